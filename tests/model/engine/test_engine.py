"""The engine: what makes it fast changes nothing, and a long run does not leak."""

from __future__ import annotations

import gc
from pathlib import Path
from typing import Any

import pytest
import torch
from tiny import TINY, context, images, noise, tiny_drawings, tiny_model

from benchmarks.reference import Gates, Reference
from oneshot_cli.data.episodes import Episodes, TaskMix
from oneshot_cli.data.spec import DataSpec
from oneshot_cli.experiment import Experiment
from oneshot_cli.model import image_encoder as module
from oneshot_cli.model.canvas import GatedCanvas
from oneshot_cli.model.engine import recurrence
from oneshot_cli.model.engine.steps import Steps
from oneshot_cli.model.image_encoder import ImageEncoder
from oneshot_cli.model.objective import objective
from oneshot_cli.training.config import TrainConfig
from oneshot_cli.training.folder import RunFolder
from oneshot_cli.training.loop import Trainer

CANVASES = ["additive", "gated"]


@pytest.mark.parametrize("canvas", CANVASES)
def test_engine_equals_the_eager_reference(canvas: str) -> None:
    """Bound, samples and the gradients of all weights, against an independent plain writing."""
    engine = tiny_model(canvas=canvas)
    reference = Reference(engine.config, canvas_error=False)
    reference.adopt(engine)
    x, shown, draws = images(4), context(4, 2), noise(4, 1, 3, 2)
    mine, plain = engine.bound(x, shown, draws), reference.bound(x, shown, draws)
    for name in ("log_likelihood", "kl", "log_ratio"):
        torch.testing.assert_close(
            getattr(mine, name), getattr(plain, name), atol=2e-5, rtol=2e-5, msg=name
        )
    objective(mine).backward()
    objective(plain).backward()
    gradients = Reference(engine.config, canvas_error=False)
    for weight in engine.parameters():
        assert weight.grad is not None
        weight.data = weight.grad
    gradients.adopt(engine)  # the engine's gradients, in the places of the reference's weights
    for (name, wanted), found in zip(
        reference.named_parameters(), gradients.parameters(), strict=True
    ):
        if name != "lstm.bias_hh":  # the engine has one bias where LSTMCell has two
            torch.testing.assert_close(
                found.data, wanted.grad, atol=2e-4, rtol=2e-4, msg=(name + ": {}").format
            )


@torch.inference_mode()
@pytest.mark.parametrize("canvas", CANVASES)
def test_engine_draws_what_the_eager_reference_draws(canvas: str) -> None:
    engine = tiny_model(canvas=canvas)
    reference = Reference(engine.config)  # its canvas error is for the posterior alone
    reference.adopt(engine)
    shown, draws = context(3, 2), noise(3, 3, 2)
    for size in (8, 15):
        drawn, plain = (
            engine.sample(shown, draws, size=size),
            reference.sample(shown, draws, size=size),
        )
        torch.testing.assert_close(drawn, plain, atol=1e-5, rtol=1e-4)


def test_the_canvas_error_of_the_reference_is_read() -> None:
    """So that what the benchmark times is what it says."""
    torch.manual_seed(0)
    reference = Reference(TINY)
    objective(reference.bound(images(4), context(4, 1), noise(4, 1, 3, 2))).backward()
    gradient = reference.embed_step.weight.grad
    assert gradient is not None
    assert gradient[:, TINY.glimpse**2 : 2 * TINY.glimpse**2].abs().max() > 0


@pytest.mark.parametrize("size", [8, 13])
def test_the_memory_format_of_the_gated_canvas_changes_nothing(size: int) -> None:
    torch.manual_seed(0)
    canvas, plain = GatedCanvas(4, torch.zeros(1)), Gates(4)
    plain.gates.load_state_dict(canvas.gates.state_dict())
    plain.candidate.load_state_dict(canvas.candidate.state_dict())
    start, write = (noise(3, 4, size, size, seed=s).requires_grad_() for s in (1, 2))
    weight = noise(3, 4, size, size, seed=3)
    results = []
    for step in (canvas, plain):
        after = step(step(start, write), write)
        gradients = torch.autograd.grad((after * weight).sum(), [start, write])
        results.append((after, *gradients))
    for mine, theirs in zip(*results, strict=True):
        torch.testing.assert_close(mine, theirs, atol=1e-5, rtol=1e-4)


def test_the_memory_format_of_the_image_encoder_changes_nothing() -> None:
    torch.manual_seed(0)
    encoder = ImageEncoder(TINY)
    x = images(5)
    plain = torch.nn.functional.silu(
        encoder.dense(encoder.convolutions(2 * x - 1).contiguous().flatten(1))
    )
    found = encoder(x)
    torch.testing.assert_close(found, plain, atol=1e-6, rtol=1e-5)
    weights = list(encoder.parameters())
    value = noise(*plain.shape)
    for mine, theirs in zip(
        torch.autograd.grad((found * value).sum(), weights),
        torch.autograd.grad((plain * value).sum(), weights),
        strict=True,
    ):
        torch.testing.assert_close(mine, theirs, atol=1e-5, rtol=1e-4)


@pytest.mark.parametrize("at_once", [1, 5_000])
def test_an_image_encoder_in_parts_of_the_batch_is_the_same(
    at_once: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    torch.manual_seed(0)
    encoder, x, results = ImageEncoder(TINY), images(5), []
    for numbers in (at_once, 10**9):
        monkeypatch.setattr(module, "AT_ONCE", numbers)
        out = encoder(x)
        results.append((out, *torch.autograd.grad(out.square().sum(), list(encoder.parameters()))))
    for mine, whole in zip(*results, strict=True):
        torch.testing.assert_close(mine, whole, atol=1e-5, rtol=1e-4)


@pytest.mark.parametrize("steps", [1, 2, 3])
@pytest.mark.parametrize("canvas", CANVASES)
def test_what_is_computed_again_changes_nothing(canvas: str, steps: int) -> None:
    """The bound and all gradients, particles and limited gradients included."""
    x, shown, draws = images(4), context(4, 2), noise(4, 2, 3, 2)
    results = []
    for kept in (0, steps):
        model = tiny_model(canvas=canvas)
        model.recompute(kept)
        bound = model.bound(x, shown, draws, gradient_limit=0.05)
        objective(bound).backward()
        results.append((bound.log_weight, *(p.grad for p in model.parameters())))
    for again, plain in zip(*results, strict=True):
        torch.testing.assert_close(again, plain, atol=0, rtol=0)


def test_recomputing_keeps_less() -> None:
    """Bytes of the tensors saved for the backward pass."""

    def kept(steps: int) -> int:
        model = tiny_model(steps=12, canvas="gated")
        model.recompute(steps)
        sizes: dict[int, int] = {}

        def note(t: torch.Tensor) -> torch.Tensor:
            sizes[t.untyped_storage().data_ptr()] = t.untyped_storage().nbytes()
            return t

        with torch.autograd.graph.saved_tensors_hooks(note, lambda t: t):
            bound = model.bound(images(8), context(8, 1), noise(8, 1, 12, 2))
        assert bound.log_likelihood.requires_grad
        return sum(sizes.values())

    assert kept(4) < kept(0) / 3


@pytest.mark.parametrize(("every", "kept"), [(0, 12), (4, 0)])
def test_steps_that_are_computed_again_keep_nothing(
    every: int, kept: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What the steps of the recurrence keep for the written-out gradient."""
    made: list[Steps] = []

    class Noted(Steps):
        def __init__(self, *arguments: Any) -> None:
            super().__init__(*arguments)
            made.append(self)

    monkeypatch.setattr(recurrence, "Steps", Noted)
    model = tiny_model(steps=12)
    model.recompute(every)
    model.bound(images(2), context(2, 1), noise(2, 1, 12, 2))
    assert [len(each.saved) for each in made] == [kept]


def test_the_fused_optimizer_takes_the_plain_one_s_steps() -> None:
    """Three steps with gradients in whatever memory format the backward pass left them."""
    mine, plain = (tiny_model(canvas="gated") for _ in range(2))
    fast, slow = (
        torch.optim.AdamW(model.parameters(), lr=1e-2, fused=fused)
        for model, fused in ((mine, True), (plain, False))
    )
    for step in range(3):
        fast.zero_grad()
        draws = noise(4, 1, 3, 2, seed=step)
        objective(mine.bound(images(4), context(4, 1), draws)).backward()
        for one, other in zip(mine.parameters(), plain.parameters(), strict=True):
            assert one.grad is not None
            other.grad = one.grad.clone()
        fast.step()
        slow.step()
    for one, other in zip(mine.parameters(), plain.parameters(), strict=True):
        torch.testing.assert_close(one, other, atol=1e-6, rtol=1e-6)


def test_a_long_run_does_not_leak(tmp_path: Path) -> None:
    """As many live tensors, and as much memory to within 2 %, after 200 iterations as after 20."""
    drawings = tiny_drawings(characters=8, each=6)
    config = TrainConfig(iterations=1_000, batch=4)
    episodes = Episodes(drawings, TaskMix(), seed=0)
    experiment = Experiment(TINY, config, DataSpec("tiny"))
    run = Trainer(RunFolder(tmp_path), experiment, episodes, drawings)

    def held_after(iterations: int) -> tuple[int, int]:
        while run.counters.step < iterations:
            run._iterate()
        gc.collect()
        tensors = sum(issubclass(type(thing), torch.Tensor) for thing in gc.get_objects())
        statm = Path("/proc/self/statm")  # pages of the process, and those in memory; Linux only
        return tensors, int(statm.read_text().split()[1]) if statm.exists() else 0

    tensors, pages = held_after(20)
    later, pages_later = held_after(200)
    assert later == tensors
    assert pages_later <= 1.02 * pages
