"""What the benchmarks measure is what they say, and the table whole."""

from __future__ import annotations

import json
import sys
from dataclasses import asdict
from typing import Any

import pytest
import torch
from tiny import context, images, noise, tiny_model
from torch import Tensor
from torch.utils.flop_counter import FlopCounterMode

from benchmarks import __main__ as program
from benchmarks import nade, pen, training
from benchmarks.reference import Reference
from benchmarks.roofline import floor
from benchmarks.training import Case, Row, cases, training_step
from oneshot_cli.evaluation.oneshot_scores import Scores, bootstrap
from oneshot_cli.imaging.rendering import Bytes
from oneshot_cli.model import SequentialGenerator
from oneshot_cli.model.config import NADEConfig

CANVASES = ["additive", "gated"]
CPU = torch.device("cpu")


@pytest.mark.parametrize("image_encoders", [False, True])
@pytest.mark.parametrize("canvas", CANVASES)
def test_the_floor_is_the_arithmetic_of_a_step(canvas: Any, image_encoders: bool) -> None:
    """It multiplies as much as a training step of the engine does, to within 2 %."""
    case = Case(canvas, size=16, steps=4, batch=4, image_encoders=image_encoders)
    step = training_step(SequentialGenerator(case.config), case, CPU)
    counts, onednn = [], {}
    if hasattr(torch.ops.mkldnn, "_linear_pointwise"):  # which PyTorch does not count
        onednn[torch.ops.mkldnn._linear_pointwise] = lambda x, weight, *_, **__: (
            2 * x.numel() * weight[0]
        )
    for run in (step, floor(case.config, case.batch, torch.float32, CPU)):
        with FlopCounterMode(display=False, custom_mapping=onednn) as counter:
            run()
        counts.append(counter.get_total_flops())
    assert 0.98 < counts[1] / counts[0] <= 1.0


@torch.no_grad()
@pytest.mark.parametrize("canvas", CANVASES)
def test_the_reference_does_without_image_encoders_too(canvas: str) -> None:
    """It computes what the engine does; both draw the same."""
    engine = tiny_model(latent=4, image_encoder_units=0, canvas=canvas)
    reference = Reference(engine.config, canvas_error=False)
    reference.adopt(engine)
    x, shown, draws = images(4), context(4, 2), noise(4, 1, 3, 4)
    mine, plain = engine.bound(x, shown, draws), reference.bound(x, shown, draws)
    for name in ("log_likelihood", "kl", "log_ratio"):
        torch.testing.assert_close(getattr(mine, name), getattr(plain, name), atol=2e-5, rtol=2e-5)
    torch.testing.assert_close(
        engine.sample(shown, draws[:, 0]),
        reference.sample(shown, draws[:, 0]),
        atol=1e-5,
        rtol=1e-4,
    )
    assert not any("encoder" in name for name, _ in reference.named_parameters())


def test_cases_are_models_of_the_paper_with_and_without_image_encoders() -> None:
    every, usual = list(cases(full=True)), list(cases(full=False))
    assert len(set(every)) == len(every) == 2 * 2**5
    assert set(usual) < set(every)
    summed = {(c.canvas, c.size, c.steps, c.batch, c.bf16) for c in usual if c.image_encoders}
    assert summed == {(canvas, 52, 20, 64, bf16) for canvas in CANVASES for bf16 in (False, True)}
    for case in every:
        config = case.config.to_dict()
        assert (config["prior"], config["output"]) == ("standard", "linear")
        assert bool(config["image_encoder_units"]) is case.image_encoders
        assert (config["canvas"], config["size"], config["steps"]) == (
            case.canvas,
            case.size,
            case.steps,
        )
        assert Case(**json.loads(json.dumps(asdict(case)))) == case  # as benchmarks.memory gets it


@pytest.mark.parametrize("pays", [True, False])
def test_the_table_is_whole_without_a_terminal(
    pays: bool,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    tmp_path: Any,
) -> None:
    """And bfloat16 is left out where it would take minutes to find out how slow it is."""

    def measured(case: Case, turns: int, device: torch.device) -> Row:
        memory = {"reference": 12_345.0, "engine": 23_456.0}
        return Row(case, 1.125, 2.125, 3.125, 1.5, 4.25, 6.75, 5.25, 2.5, 7.75, memory)

    monkeypatch.setattr(training, "measure", measured)
    monkeypatch.setattr(program, "bf16_is_faster", lambda device: pays)
    output = tmp_path / "figures.json"
    words = ["--only", "training", "--device", "cpu", "--output", output]
    monkeypatch.setattr(sys, "argv", ["benchmarks", *map(str, words)])
    program.main()
    printed = capsys.readouterr().out
    figures = ["1.125", "2.125", "4.25", "6.75", "3.125", "5.25", "7.75", "12,345", "23,456"]
    lines = [" ".join(line.replace("│", " ").split()) for line in printed.splitlines()]
    wanted = [case for case in cases(full=False) if pays or not case.bf16]
    for case in wanted:
        kind = "bf16" if case.bf16 else "fp32"
        kind += ", image encoder" if case.image_encoders else ""
        name = [case.canvas, case.size, case.steps, case.batch, kind]
        assert " ".join([*map(str, name), *figures]) in lines
    assert ("left out" in printed) is not pays
    rows = json.loads(output.read_text())["training"]
    assert [Case(**row["case"]) for row in rows] == wanted


def test_the_pens_benchmark_reads_ink_and_compares_the_same_characters() -> None:
    drawn, exemplars = torch.rand(3, 2, 1, 8, 8), torch.rand(3, 1, 8, 8)
    given: list[Tensor] = []

    def render(each: Tensor, exemplar: Tensor) -> Bytes:
        given.append(exemplar)
        return (255 * (1 - each[:, 0])).round().byte().numpy()

    ink, taken = pen.pictures(drawn, exemplars, render)
    assert torch.equal(torch.cat(given), exemplars)
    assert ink.shape == drawn.shape
    assert (ink - drawn).abs().max() <= 0.5 / 255 + 1e-6
    assert taken > 0
    found = torch.rand(3, 4)
    better, worse = (
        Scores(
            recognizability=bootstrap(each.mean(1)),
            diversity=bootstrap(found.mean(1)),
            overlap=bootstrap(found.mean(1)),
            overlap_in_place=bootstrap(found.mean(1)),
            ways=3,
            per_character={"recognizability": each.mean(1)},
            found=each,
        )
        for each in (found, found - 0.25)
    )
    assert "-0.2500 [-0.2500, -0.2500]" in pen.row("pen", worse, "0.10", 1.0, better)


def test_nade_is_timed_with_both_engines() -> None:
    found = nade.times(NADEConfig(size=8, hidden=4), 2, CPU)
    assert set(found) == {"plain", "written"}
    assert all(len(seconds) == 2 and min(seconds) > 0 for seconds in found.values())
