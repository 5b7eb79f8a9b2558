"""Several processes: the work of one, with one writer, and a clean end when one of them dies."""

from __future__ import annotations

import json
import os
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from processes import free_ports, weights
from tiny import TINY, tiny_drawings, tiny_model
from torch.multiprocessing.spawn import spawn
from typer.testing import CliRunner

from oneshot_cli.cli.app import app
from oneshot_cli.data.augmentation import NO_AUGMENTATION, Augmentation
from oneshot_cli.data.drawings import Drawings
from oneshot_cli.data.episodes import Episodes, TaskMix
from oneshot_cli.data.spec import DataSpec
from oneshot_cli.distributed import ALONE, World, join_world
from oneshot_cli.errors import OneshotError
from oneshot_cli.evaluation.bounds import evaluate
from oneshot_cli.experiment import Experiment
from oneshot_cli.training.config import TrainConfig
from oneshot_cli.training.folder import RunFolder
from oneshot_cli.training.loop import Intervals, Trainer

DRAWINGS = tiny_drawings(characters=8, each=6)
CONFIG = TrainConfig(
    iterations=6,
    batch=5,  # three for one process, two for the other
    learning_rate=1e-2,
    warmup=0,
    particles=2,
    evaluation_drawings=10,
    step_clip=0.05,  # so small that it is met
    tasks=TaskMix(empty=0.3, alphabet=0.3, single=0.5),
    augmentation=Augmentation(shared=0.1, own=0.03),
)
UNSHOWN = replace(CONFIG, iterations=2, tasks=TaskMix.of_task(1))
"""The context's parameters have no part in it."""

FREE = replace(CONFIG, particles=1, free_bits=0.353)
"""With free bits between the mean KL of a latent group over one part and over the other."""

BEGUN = 4

POISONED = 3
"""An iteration whose last example, of the second process, is not a number."""


def trainer(folder: Path, config: TrainConfig = CONFIG, world: World = ALONE) -> Trainer:
    experiment = Experiment(TINY, config, DataSpec("tiny"))
    world.from_main(lambda: experiment.write(RunFolder(folder).config))
    return Trainer(
        RunFolder(folder),
        experiment,
        Episodes(DRAWINGS, config.tasks, seed=config.seed),
        DRAWINGS,
        world=world,
        intervals=Intervals(log=2, evaluate=4, save=5, sample=6),
    )


def poisoned(folder: Path, world: World = ALONE) -> Trainer:
    run = trainer(folder, world=world)
    batch = run.episodes.batch

    def spoilt(step: int, size: int, augmentation: Augmentation, part: slice) -> Any:
        episode = batch(step, size, augmentation, part)
        if step == POISONED and part.stop == size:
            episode.target[-1] = torch.nan
        return episode

    run.episodes.batch = spoilt  # type: ignore[method-assign, assignment]
    return run


def begun(folder: Path, world: World = ALONE) -> None:
    """Leave a run after some of its iterations."""
    run = trainer(folder, world=world)
    for _ in range(BEGUN):
        run._iterate()
    run.save()


def with_free_bits(folder: Path, world: World = ALONE) -> Trainer:
    """A run whose posterior differs from the prior from the start."""
    run = trainer(folder, FREE, world)
    generator = torch.Generator().manual_seed(0)
    with torch.no_grad():
        for weight in run.model.parameters():
            weight.add_(0.2 * torch.randn(weight.shape, generator=generator))
    return run


def gradients(run: Trainer) -> dict[str, torch.Tensor | None]:
    return {name: weight.grad for name, weight in run.model.named_parameters()}


def bounds(world: World) -> Any:
    return evaluate(tiny_model(), DRAWINGS, particles=3, batch=24, world=world)


def eval_nll(path: Path) -> tuple[int, str]:
    words = [path, "--limit", 30, "--particles", "1,4", "--batch", 20]
    result = CliRunner().invoke(app, ["eval-nll", *map(str, words), "--device", "cpu", "--json"])
    return result.exit_code, result.stdout


def work(rank: int, folder: Path, ports: list[int]) -> None:
    """What each of two processes does; `found{rank}.pt` is what it saw."""
    torch.set_num_threads(1)
    os.environ |= {"RANK": str(rank), "WORLD_SIZE": "2", "LOCAL_RANK": str(rank)}
    os.environ |= {"MASTER_ADDR": "localhost", "MASTER_PORT": str(ports[0])}
    found: dict[str, Any] = {}
    with join_world("cpu") as world:
        found["gathered"] = world.gathered([f"item {i}" for i in world.share(range(7))])
        found["mean"] = world.mean([rank, 10.0 * rank])
        found["highest"] = world.maximum(3 - rank)
        found["from_main"] = world.from_main(lambda: f"rank {rank}")

        first = trainer(folder / f"first{rank}", world=world)
        first._iterate()
        found["gradients"] = gradients(first)
        free = with_free_bits(folder / f"free{rank}", world)
        found["free means"] = free._iterate()
        found["free"] = gradients(free)
        unshown = trainer(folder / f"unshown{rank}", UNSHOWN, world)
        unshown.fit()
        found["unshown"] = gradients(unshown)
        run = trainer(folder / f"run{rank}", world=world)
        found["reason"] = run.fit()
        found["weights"] = run.model.state_dict()
        spoilt = poisoned(folder / f"poisoned{rank}", world)
        spoilt.fit()
        found["skipped"] = spoilt.counters.skipped
        found["poisoned"] = spoilt.model.state_dict()
        begun(folder / f"begun{rank}", world)
        resumed = trainer(folder / ("begun" if world.is_main else "nowhere"), world=world)
        resumed.resume()
        resumed.fit()
        found["resumed"] = resumed.model.state_dict()
        late = trainer(folder / f"late{rank}", world=world)
        found["late"] = late.fit(max_seconds=0.0 if rank else None), late.counters.step
        report = bounds(world)
        found["bounds"] = (report.elbo, report.iwae, report.kl_per_step, report.activity.square)
        try:
            world.from_main(lambda: run.world.part(1))
        except (OneshotError, SystemExit) as error:
            found["failure"] = type(error)
    os.environ["MASTER_PORT"] = str(ports[1])
    found["eval-nll"] = eval_nll(folder / "weights.safetensors")
    torch.save(found, folder / f"found{rank}.pt")


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where two processes did their `work`."""
    folder = tmp_path_factory.mktemp("two")
    weights(folder / "weights.safetensors")
    begun(folder / "begun")
    spawn(work, (folder, free_ports(2)), nprocs=2)
    return folder


@pytest.fixture(scope="module")
def found(folder: Path) -> list[dict[str, Any]]:
    """What each of them saw."""
    return [torch.load(folder / f"found{rank}.pt", weights_only=False) for rank in range(2)]


def assert_close(mine: dict[str, Any], theirs: dict[str, Any]) -> None:
    assert mine.keys() == theirs.keys()
    for name, tensor in mine.items():
        if tensor is None:
            assert theirs[name] is None, name
        else:
            torch.testing.assert_close(
                tensor, theirs[name], atol=2e-5, rtol=2e-4, msg=(name + ": {}").format
            )


def test_processes_share_gather_and_agree(found: list[dict[str, Any]]) -> None:
    for each in found:
        assert each["gathered"] == [f"item {i}" for i in range(7)]
        assert each["mean"] == [0.5, 5.0]
        assert each["highest"] == 3
        assert each["from_main"] == "rank 0"
    assert [each["failure"] for each in found] == [OneshotError, SystemExit]


@pytest.mark.parametrize("count", [5, 6, 17])
def test_parts_make_up_a_batch(count: int) -> None:
    parts = [World(rank, 5).part(count) for rank in range(5)]
    assert [i for part in parts for i in range(count)[part]] == list(range(count))
    with pytest.raises(OneshotError, match="cannot be divided"):
        World(0, 5).part(4)


GREY = replace(DRAWINGS, images=100 * DRAWINGS.images + 50, levels=256, dynamic=True)


@pytest.mark.parametrize(
    ("drawings", "augmentation"),
    [
        (DRAWINGS, NO_AUGMENTATION),
        (GREY, NO_AUGMENTATION),
        (DRAWINGS, CONFIG.augmentation),
        (DRAWINGS, replace(CONFIG.augmentation, plain=0.5)),
    ],
    ids=["binary", "dynamic", "augmented", "plain"],
)
def test_the_part_of_an_episode_is_the_part_of_the_whole(
    drawings: Drawings, augmentation: Augmentation
) -> None:
    episodes = Episodes(drawings, CONFIG.tasks, seed=3)
    for step in range(4):
        whole = episodes.batch(step, 7, augmentation)
        for part in (slice(0, 3), slice(3, 7)):
            mine = episodes.batch(step, 7, augmentation, part)
            for name, tensor in vars(whole).items():
                assert torch.equal(getattr(mine, name), tensor[part]), name


@pytest.mark.parametrize(
    "augmentation", [NO_AUGMENTATION, CONFIG.augmentation, replace(CONFIG.augmentation, plain=0.5)]
)
def test_an_episode_is_made_where_it_is_needed(augmentation: Augmentation) -> None:
    """On the device, by numbers drawn on the CPU, and without reading anything back."""
    there = Episodes(DRAWINGS, CONFIG.tasks, seed=3, device="meta").batch(0, 4, augmentation)
    for name in ("target", "context", "mask", "alphabet"):
        assert getattr(there, name).is_meta, name


def test_gradients_are_those_of_the_joint_batch(
    found: list[dict[str, Any]], tmp_path: Path
) -> None:
    alone = trainer(tmp_path)
    alone._iterate()
    for each in found:
        assert_close(each["gradients"], gradients(alone))


def test_free_bits_are_those_of_the_joint_batch(
    found: list[dict[str, Any]], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Also where a part would have decided otherwise of a latent group."""
    alone = with_free_bits(tmp_path)
    kept: list[torch.Tensor] = []
    bound = alone.model.bound

    def seen(*arguments: Any, **limits: Any) -> Any:
        result = bound(*arguments, **limits)
        kept.append(result.kl.detach().mean(1))
        return result

    monkeypatch.setattr(alone.model, "bound", seen)
    means = alone._iterate()
    (kl,) = kept
    counts = [
        part.mean(0) >= FREE.free_bits
        for part in (kl, *(kl[World(r, 2).part(5)] for r in range(2)))
    ]
    assert (counts[0] & ~counts[1]).any()
    assert (~counts[0] & counts[2]).any()
    for each in found:
        assert_close(each["free"], gradients(alone))
    for name in ("bound", "kl"):
        joint = sum(each["free means"][name] for each in found) / 2
        torch.testing.assert_close(joint, means[name])


def test_parameters_without_a_part_have_no_gradient(
    found: list[dict[str, Any]], tmp_path: Path
) -> None:
    alone = trainer(tmp_path, UNSHOWN)
    alone.fit()
    assert None in gradients(alone).values()
    for each in found:
        assert_close(each["unshown"], gradients(alone))


def test_a_run_is_the_same_and_has_one_writer(
    found: list[dict[str, Any]], folder: Path, tmp_path: Path
) -> None:
    alone = trainer(tmp_path)
    alone.fit()
    for each in found:
        assert each["reason"] == "done"
        assert_close(each["weights"], alone.model.state_dict())
    for name, tensor in found[0]["weights"].items():
        assert torch.equal(tensor, found[1]["weights"][name])
    assert not (folder / "run1").exists()
    mine, theirs = (RunFolder(path) for path in (tmp_path, folder / "run0"))
    assert sorted(p.name for p in mine.path.iterdir()) == sorted(
        p.name for p in theirs.path.iterdir()
    )
    clock = {"seconds", "images_per_second"}
    for mine_row, their_row in zip(mine.rows(), theirs.rows(), strict=True):
        assert mine_row.keys() == their_row.keys()
        for key in mine_row.keys() - clock:
            assert their_row[key] == pytest.approx(mine_row[key], rel=1e-3, abs=2e-4), key


def test_a_run_goes_on_in_fewer_and_in_more_processes(
    found: list[dict[str, Any]], folder: Path, tmp_path: Path
) -> None:
    whole = trainer(tmp_path)
    whole.fit()
    fewer = trainer(folder / "begun0")
    fewer.resume()
    assert fewer.counters.step == BEGUN
    assert fewer.fit() == "done"
    assert_close(fewer.model.state_dict(), whole.model.state_dict())
    assert_close(fewer.average.model.state_dict(), whole.average.model.state_dict())
    for each in found:
        assert_close(each["resumed"], whole.model.state_dict())
    assert not (folder / "nowhere").exists()


def test_all_skip_what_one_cannot_count(found: list[dict[str, Any]], tmp_path: Path) -> None:
    alone = poisoned(tmp_path)
    alone.fit()
    assert alone.counters.skipped == 1
    for each in found:
        assert each["skipped"] == 1
        assert_close(each["poisoned"], alone.model.state_dict())


def test_all_stop_when_the_time_of_one_is_up(found: list[dict[str, Any]]) -> None:
    assert [each["late"] for each in found] == [("time", 0), ("time", 0)]


def test_bounds_are_those_of_one_process_bit_for_bit(found: list[dict[str, Any]]) -> None:
    report = bounds(ALONE)
    alone = (report.elbo, report.iwae, report.kl_per_step, report.activity.square)
    for each in found:
        for mine, theirs in zip(alone, each["bounds"], strict=True):
            assert torch.equal(mine, theirs)


def test_eval_nll_says_what_one_process_says_once(
    found: list[dict[str, Any]], folder: Path
) -> None:
    code, text = eval_nll(folder / "weights.safetensors")
    assert code == 0
    assert [each["eval-nll"][0] for each in found] == [0, 0]
    assert json.loads(found[0]["eval-nll"][1]) == json.loads(text)
    assert found[1]["eval-nll"][1] == ""
