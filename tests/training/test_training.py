"""Training: it learns, it resumes bit for bit, it survives interruption and bad numbers."""

from __future__ import annotations

import json
import math
import os
import signal
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file
from tiny import TINY, tiny_drawings, tiny_model
from torch import nn
from torch.utils._python_dispatch import TorchDispatchMode

from oneshot_cli import checkpoint
from oneshot_cli.data.augmentation import Augmentation
from oneshot_cli.data.episodes import Episodes, TaskMix
from oneshot_cli.data.spec import DataSpec
from oneshot_cli.errors import OneshotError
from oneshot_cli.experiment import Experiment
from oneshot_cli.model.engine import sampling
from oneshot_cli.training.averaging import WeightAverage
from oneshot_cli.training.config import TrainConfig
from oneshot_cli.training.folder import RunFolder
from oneshot_cli.training.loop import MAX_NONFINITE, Hooks, Intervals, Trainer
from oneshot_cli.training.statistics import RunningMeans
from oneshot_cli.training.stopping import stop_signals

aten = torch.ops.aten

DRAWINGS = tiny_drawings(characters=8, each=6)
CONFIG = TrainConfig(
    iterations=12,
    batch=8,
    learning_rate=3e-3,
    warmup=3,
    kl_warmup=6,
    evaluation_drawings=10,
    tasks=TaskMix(),
    augmentation=Augmentation(0.1, 0.02),
)
INTERVALS = Intervals(log=2, evaluate=4, save=5, sample=6)


def trainer(folder: Path, config: TrainConfig = CONFIG, **options: object) -> Trainer:
    run = Trainer(
        RunFolder(folder),
        Experiment(TINY, config, DataSpec("tiny", "weak", 8)),
        Episodes(DRAWINGS, config.tasks, seed=config.seed),
        DRAWINGS,
        intervals=INTERVALS,
        **options,  # type: ignore[arg-type]
    )
    run.experiment.write(run.folder.config)
    return run


def rows(folder: Path) -> list[dict[str, float]]:
    """metrics.jsonl without what depends on the clock."""
    lines = (folder / "metrics.jsonl").read_text().splitlines()
    clock = {"seconds", "images_per_second"}
    return [{k: v for k, v in json.loads(line).items() if k not in clock} for line in lines]


def test_resuming_equals_not_stopping_bit_for_bit(tmp_path: Path) -> None:
    whole = trainer(tmp_path / "whole")
    assert whole.fit() == "done"

    stopped = trainer(tmp_path / "parts")
    iterate = stopped._iterate

    def killed() -> dict[str, torch.Tensor]:
        if stopped.counters.step == 7:  # two iterations after a save, which are lost
            raise RuntimeError("power cut")
        return iterate()

    stopped._iterate = killed  # type: ignore[method-assign]
    with pytest.raises(RuntimeError, match="power cut"):
        stopped.fit()
    resumed = trainer(tmp_path / "parts")
    resumed.resume()
    assert resumed.counters.step == 5
    assert resumed.fit() == "done"

    for name in ("state/state.safetensors", "last.safetensors", "best.safetensors"):
        one, two = load_file(tmp_path / "whole" / name), load_file(tmp_path / "parts" / name)
        assert one.keys() == two.keys()
        for key in one:
            assert torch.equal(one[key], two[key]), (name, key)
    found, expected = rows(tmp_path / "parts"), rows(tmp_path / "whole")
    assert [r["step"] for r in found] == [r["step"] for r in expected]
    after = 6  # a mean over iterations 5 and 6, or after the kill over 6 alone
    assert [r for r in found if r["step"] != after] == [r for r in expected if r["step"] != after]


def test_it_learns(tmp_path: Path) -> None:
    config = replace(CONFIG, iterations=150, augmentation=Augmentation(), tasks=TaskMix.of_task(2))
    run = trainer(tmp_path, config)
    run.intervals = replace(INTERVALS, log=10, evaluate=1000, save=1000, sample=1000)
    run.fit()
    bounds = [r["bound"] for r in rows(tmp_path) if "bound" in r]
    assert bounds[-1] > bounds[0] + 8
    assert run.counters.skipped == 0


def test_a_run_leaves_what_it_promises(tmp_path: Path) -> None:
    drawn: list[int] = []
    run = trainer(tmp_path, hooks=Hooks(samples=lambda model, step: drawn.append(step)))
    run.fit()
    assert drawn == [6, 12]
    assert {p.name for p in tmp_path.iterdir()} == {
        "config.json",
        "metrics.jsonl",
        "state",
        "best.safetensors",
        "last.safetensors",
    }
    assert not list(tmp_path.rglob(".partial-*"))
    model, header = checkpoint.load(tmp_path / "last.safetensors")
    assert header.training["step"] == 12
    assert header.data["dataset"] == "tiny"
    assert header.figures["drawings"] == 10
    for mine, kept in zip(model.parameters(), run.average.model.parameters(), strict=True):
        assert torch.equal(mine, kept)
    assert {"step", "bound", "reconstruction", "kl"} <= rows(tmp_path)[0].keys()


def test_time_ends_a_run_that_can_go_on(tmp_path: Path) -> None:
    run = trainer(tmp_path)
    assert run.fit(max_seconds=0.0) == "time"
    again = trainer(tmp_path)
    again.resume()
    assert again.fit() == "done"


def test_numbers_that_are_not_finite_are_skipped_and_counted(tmp_path: Path) -> None:
    run = trainer(tmp_path)
    batch = run.episodes.batch

    def poisoned(step: int, *rest: object) -> object:
        episode = batch(step, *rest)  # type: ignore[arg-type]
        if step in (3, 6, 7):
            return replace(episode, target=episode.target * torch.nan)
        return episode

    run.episodes.batch = poisoned  # type: ignore[method-assign, assignment]
    assert run.fit() == "done"
    assert run.counters.skipped == 3
    assert all(torch.isfinite(p).all() for p in run.model.parameters())
    bounds = {row["step"]: row.get("bound") for row in rows(tmp_path) if "learning_rate" in row}
    assert bounds.pop(8) is None, "both of its iterations were skipped"
    assert list(bounds) == [2, 4, 6, 10, 12]
    assert all(bound is not None and math.isfinite(bound) for bound in bounds.values())


def test_a_run_that_keeps_diverging_stops_with_its_last_good_state(tmp_path: Path) -> None:
    run = trainer(tmp_path, replace(CONFIG, iterations=100))
    batch = run.episodes.batch

    def poisoned(step: int, *rest: object) -> object:
        episode = batch(step, *rest)  # type: ignore[arg-type]
        return replace(episode, target=episode.target * torch.nan) if step >= 6 else episode

    run.episodes.batch = poisoned  # type: ignore[method-assign, assignment]
    with pytest.raises(OneshotError, match="diverged"):
        run.fit()
    assert run.counters.skipped == MAX_NONFINITE
    again = trainer(tmp_path)
    again.resume()
    assert all(torch.isfinite(p).all() for p in again.model.parameters())


@pytest.mark.parametrize(
    "wrong", [{"free_bits": -0.1}, {"free_bits": 0.1, "particles": 5}, {"decay": 2.0}]
)
def test_settings_that_make_no_sense_are_refused(wrong: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match=next(iter(wrong))):
        TrainConfig(**wrong)


def test_schedules() -> None:
    config = TrainConfig(iterations=1000, learning_rate=1.0, warmup=10, decay=0.5, kl_warmup=100)
    assert config.rate(0) == pytest.approx(0.1)
    assert config.rate(300) == 1.0
    assert config.rate(750) == pytest.approx(0.5)
    assert config.rate(999) == pytest.approx(0.002)
    assert config.kl_weight(0) == config.kl_start
    assert config.kl_weight(50) == pytest.approx(0.55)
    assert config.kl_weight(100) == 1.0
    assert TrainConfig.from_dict(json.loads(json.dumps(config.to_dict()))) == config


def test_average_follows_the_weights() -> None:
    model = tiny_model()
    average = WeightAverage(model, 0.9)
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.add_(1.0)
    start = {k: v.clone() for k, v in average.model.named_parameters()}
    average.update(model, step=10_000)
    for name, parameter in model.named_parameters():
        expected = 0.9 * start[name] + 0.1 * parameter
        torch.testing.assert_close(average.model.get_parameter(name), expected)


def test_the_average_starts_with_a_short_memory() -> None:
    """After updates of steps 0 to n, by hand, for one weight."""
    model = nn.Linear(1, 1, bias=False)
    average = WeightAverage(model, 0.5)
    expected = model.weight.item()
    for step, value in enumerate([3.0, -1.0, 4.0, 1.5, 9.0, -2.0, 6.0, 5.0, 3.5, 8.0]):
        with torch.no_grad():
            model.weight.fill_(value)
        average.update(model, step)
        decay = min(0.5, (1 + step) / (10 + step))
        expected = decay * expected + (1 - decay) * value
        assert average.model.weight.item() == pytest.approx(expected, rel=1e-5)


def test_a_state_of_another_model_is_refused(tmp_path: Path) -> None:
    trainer(tmp_path).fit()
    other = Trainer(
        RunFolder(tmp_path),
        Experiment(replace(TINY, hidden=16), CONFIG, DataSpec("tiny")),
        Episodes(DRAWINGS, CONFIG.tasks, seed=0),
        DRAWINGS,
    )
    with pytest.raises(OneshotError, match="another model"):
        other.resume()
    state = tmp_path / "state" / "state.safetensors"
    state.write_bytes(state.read_bytes()[:1000])
    with pytest.raises(OneshotError, match="cannot resume"):
        trainer(tmp_path).resume()


ARGUMENTS = (
    "train --dataset glyphs --size 12 --steps 2 --hidden 16 --batch 4 --threads 1 --log-every 1 "
    "--eval-every 50 --eval-drawings 4 --save-every 1000 --sample-every 1000"
)


def oneshot(*arguments: str) -> list[str]:
    return [sys.executable, "-m", "oneshot_cli", *arguments]


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_saves_and_exits_and_the_run_goes_on(tmp_path: Path, number: int) -> None:
    run = tmp_path / "run"
    process = subprocess.Popen(
        oneshot(*ARGUMENTS.split(), "--iterations", "100000", "-o", str(run)),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env={**os.environ, "OMP_NUM_THREADS": "1"},
    )
    deadline = time.monotonic() + 120
    while not (run / "metrics.jsonl").exists() and time.monotonic() < deadline:
        assert process.poll() is None, process.stderr.read() if process.stderr else ""
        time.sleep(0.05)
    process.send_signal(number)
    out, err = process.communicate(timeout=60)
    assert process.returncode == 0, err
    assert "stopped after" in out
    assert "Traceback" not in err
    step = checkpoint.read_header(run / "last.safetensors").training["step"]
    assert step >= 1
    done = subprocess.run(
        oneshot("train", "--resume", "-o", str(run), "--iterations", str(step + 2), "--json"),
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert done.returncode == 0, done.stderr
    document = json.loads(done.stdout)
    assert document["iterations"] == step + 2
    assert document["ended"] == "done"


@pytest.mark.parametrize(
    ("arguments", "code", "message"),
    [
        (["--resume"], 1, "no run to resume"),
        (["--dataset", "nonsense"], 1, "nonsense"),
        (["--learning-rate", "-1"], 2, "learning_rate"),
        (["--max-time", "soon"], 2, "soon"),
        (["--iterations", "3", "--epochs", "2"], 2, "not both"),
        (["--canvas", "paper"], 2, "canvas"),
    ],
)
def test_wrong_use_is_told_in_a_line(
    tmp_path: Path, arguments: list[str], code: int, message: str
) -> None:
    run = tmp_path / "run"
    done = subprocess.run(
        oneshot("train", *arguments, "-o", str(run)), capture_output=True, text=True, timeout=120
    )
    assert done.returncode == code, done.stderr
    assert message in done.stderr
    assert "Traceback" not in done.stderr
    assert not run.exists()


def test_a_run_is_not_overwritten(tmp_path: Path) -> None:
    trainer(tmp_path).fit()
    before = (tmp_path / "last.safetensors").read_bytes()
    done = subprocess.run(
        oneshot(*ARGUMENTS.split(), "-o", str(tmp_path)),
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert done.returncode == 1
    assert "already has a run" in done.stderr
    assert (tmp_path / "last.safetensors").read_bytes() == before


WAITING = (
    aten._local_scalar_dense,
    aten.nonzero,
    aten.equal,
    aten.index,  # by indices that come from the CPU
    aten.index_put_,
)


class Waits(TorchDispatchMode):
    """Notes the operations for whose results a GPU would have to be waited for."""

    def __init__(self) -> None:
        super().__init__()
        self.seen: list[str] = []

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        if func.overloadpacket in WAITING:
            self.seen.append(str(func))
        return func(*args, **(kwargs or {}))


def everywhere(images: torch.Tensor, maps: torch.Tensor, size: int, steps: int) -> list[slice]:
    """The rows that are sampled on a GPU: all."""
    return [slice(0, size) for _ in maps.split(steps, 1)]


def test_an_iteration_waits_for_no_device(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The episode apart, which is drawn on the CPU, and which rows to sample, read there alone."""
    run = trainer(tmp_path)
    episode = run.episodes.batch(0, CONFIG.batch)
    run.episodes.batch = lambda *_: episode  # type: ignore[method-assign]
    window = RunningMeans()
    with Waits() as waits, monkeypatch.context() as patch:
        patch.setattr(torch.Tensor, "tolist", waits.seen.append)  # not an operation
        patch.setattr(sampling, "_bands", everywhere)
        window.add(run._iterate())
        window.add(run._iterate())
    assert waits.seen == []
    with waits:
        assert not run.nonfinite.new
    assert waits.seen  # what is looked for can be found


def test_a_second_signal_interrupts_unless_it_is_the_first_forwarded() -> None:
    with stop_signals(forwarded=True) as asked:
        assert not asked()
        signal.raise_signal(signal.SIGINT)
        signal.raise_signal(signal.SIGTERM)
        assert asked()
    with stop_signals() as asked:
        signal.raise_signal(signal.SIGTERM)
        assert asked()
        with pytest.raises(KeyboardInterrupt):
            signal.raise_signal(signal.SIGTERM)


def test_the_speed_is_that_of_the_iterations() -> None:
    means = RunningMeans()
    with means.uncounted():
        time.sleep(0.5)
    assert means.seconds < 0.4
    time.sleep(0.1)
    assert means.seconds >= 0.1
