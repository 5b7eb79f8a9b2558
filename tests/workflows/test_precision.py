"""bfloat16 where it pays: how that is decided, and what `oneshot train` makes of it."""

from __future__ import annotations

import itertools
import json
from collections.abc import Callable
from contextlib import nullcontext
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import torch
from tiny import small, write_crosses
from typer.testing import CliRunner

from oneshot_cli import precision
from oneshot_cli.cli.app import app
from oneshot_cli.workflows import train as workflow

Train = Callable[..., Any]
INTEL = {"architecture": "x86_64", "cpu_name": "Intel Xeon"}
AMD = {"architecture": "x86_64", "cpu_name": "AMD EPYC"}
CPU, CUDA, MPS = (torch.device(kind) for kind in ("cpu", "cuda", "mps"))


@pytest.mark.parametrize(
    ("capabilities", "faster"),
    [
        ({**INTEL, "avx512_bf16": True, "amx_bf16": True}, True),
        ({**INTEL, "avx512_bf16": True, "amx_bf16": False}, False),
        ({**AMD, "avx512_bf16": True, "amx_bf16": False}, True),
        ({**AMD, "avx512_bf16": False, "amx_bf16": False, "avx512_f": True}, False),
        ({"architecture": "aarch64", "bf16": True}, True),
        ({"architecture": "aarch64", "bf16": False}, False),
        ({}, False),
    ],
)
def test_on_the_cpu_the_hardware_decides_and_nothing_is_timed(
    capabilities: dict[str, Any], faster: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(torch.cpu, "get_capabilities", lambda: capabilities, raising=False)
    monkeypatch.setattr(precision, "_seconds", lambda dtype: pytest.fail("timed"))
    assert precision.bf16_is_faster(CPU) is faster
    assert not precision.bf16_is_faster(MPS)
    monkeypatch.delattr(torch.cpu, "get_capabilities")
    assert not precision.bf16_is_faster(CPU)


def test_the_speedup_is_the_ratio_of_what_was_timed(monkeypatch: pytest.MonkeyPatch) -> None:
    seconds = {torch.float32: 0.003, torch.bfloat16: 0.002}
    monkeypatch.setattr(precision, "_seconds", seconds.__getitem__)
    assert precision.bf16_speedup() == 1.5


@pytest.mark.parametrize("has", [True, False])
def test_on_cuda_it_pays_where_the_hardware_has_it(
    has: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(torch.cuda, "device", nullcontext)
    supported: list[Callable[..., bool]] = [
        lambda including_emulation=True: including_emulation or has,
        lambda: has,  # before PyTorch had the argument
    ]
    for function in supported:
        monkeypatch.setattr(torch.cuda, "is_bf16_supported", function)
        assert precision.bf16_is_faster(CUDA) is has


@pytest.mark.parametrize(("tick", "turns"), [(1.0, 1), (1e-5, precision.REPEATS)])
def test_a_slow_type_is_not_measured_for_long(
    tick: float, turns: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With a clock that goes on by a tick whenever it is read."""
    clock, calls = itertools.count(), []
    monkeypatch.setattr(precision, "time", SimpleNamespace(perf_counter=lambda: tick * next(clock)))
    monkeypatch.setattr(precision, "multiply", lambda x, weight: calls.append(x.dtype))
    assert precision._seconds(torch.bfloat16) == pytest.approx(tick)
    assert calls == [torch.bfloat16] * 3 * turns


def test_this_machine_is_measured() -> None:
    """What comes out belongs to the machine; that the products fit each other does not."""
    assert 1e-4 < precision.bf16_speedup() < 1e4


@pytest.fixture
def train(tmp_path: Path) -> Train:
    """`oneshot train` of a tiny model in `tmp_path`/run, with further words."""
    write_crosses(tmp_path / "data")
    fields = [word for item in small("vae").items() for word in ("--set", "=".join(item))]
    always = ["--output", tmp_path / "run", "--data-dir", tmp_path / "data", "--threads", 1]
    what = ["--dataset", "folder", "--model", "vae", "--size", 14, "--batch", 2, *fields]

    def run(*words: object) -> Any:
        brief = ["--iterations", 1, "--eval-drawings", 1]
        new = [] if "--resume" in words else what
        command = ["train", *always, *new, *brief, *words]
        result = CliRunner().invoke(app, [str(word) for word in command])
        assert result.exit_code == 0, result.output
        return result

    return run


def says(pays: bool, gain: float, patch: pytest.MonkeyPatch) -> None:
    """Let the machine be one on which bfloat16 pays or not, and is `gain` times as fast."""
    patch.setattr(workflow, "bf16_is_faster", lambda device: pays)
    patch.setattr(workflow, "bf16_speedup", lambda: gain)


def kept(folder: Path) -> object:
    """What config.json says."""
    return json.loads((folder / "run" / "config.json").read_text())["training"]["bf16"]


@pytest.mark.parametrize("pays", [True, False])
@pytest.mark.parametrize("words", [[], ["--verbose"], ["--quiet"]])
def test_a_new_run_is_in_the_faster_type_and_stays_in_it(
    pays: bool,
    words: list[str],
    train: Train,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    says(pays, 2.0 if pays else 0.1, monkeypatch)
    done = train(*words)
    assert kept(tmp_path) is pays
    assert ("training in bfloat16" in done.stderr) == (pays and words != ["--quiet"])
    assert ("training in float32" in done.stderr) == (not pays and words == ["--verbose"])
    says(not pays, 1.0, monkeypatch)
    done = train("--resume", "--iterations", 2)
    assert kept(tmp_path) is pays
    assert "float" not in done.stderr


@pytest.mark.parametrize(
    ("words", "bf16"),
    [(["--fp32"], False), (["--set", "bf16=false"], False), (["--set", "bf16=true"], True)],
)
def test_who_says_which_type_gets_it(
    words: list[str],
    bf16: bool,
    train: Train,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    says(not bf16, 2.0, monkeypatch)
    assert "float" not in train(*words).stderr
    assert kept(tmp_path) is bf16


@pytest.mark.parametrize(
    ("gain", "times"), [(1 / 60, "60"), (1 / 7.46, "7.5"), (1 / 1.1, None), (3.0, None)]
)
def test_slow_bfloat16_that_was_asked_for_is_warned_of(
    gain: float,
    times: str | None,
    train: Train,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    says(False, gain, monkeypatch)
    begun = train("--bf16", "--json")
    assert kept(tmp_path) is True
    assert json.loads(begun.stdout)["ended"] == "done"
    resumed = train("--resume", "--iterations", 2)
    assert kept(tmp_path) is True
    for done, advice in ((begun, "leave --bf16 out"), (resumed, "this run has to keep it")):
        assert ("warning" in done.stderr) == (times is not None)
        if times is not None:
            assert f"{times} times slower" in done.stderr
            assert advice in done.stderr
    assert "warning" not in train("--resume", "--iterations", 3, "--quiet").stderr


def test_fp32_may_be_repeated_to_a_run_that_goes_on(train: Train, tmp_path: Path) -> None:
    train("--fp32")
    train("--resume", "--fp32", "--iterations", 2)
    assert kept(tmp_path) is False
