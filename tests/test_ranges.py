"""Every number of a configuration has a range, and what is out of it is refused."""

from __future__ import annotations

import math
from dataclasses import fields
from pathlib import Path
from typing import Any, get_args, get_type_hints

import pytest
import torch
from tiny import tiny_drawings
from typer.models import OptionInfo
from typer.testing import CliRunner

from oneshot_cli.cli.app import app
from oneshot_cli.data.augmentation import Augmentation
from oneshot_cli.data.episodes import Episodes, TaskMix
from oneshot_cli.model.config import DRAWConfig, NADEConfig, SequentialConfig, VAEConfig
from oneshot_cli.presets import PRESETS
from oneshot_cli.ranges import MOST_SEED, MOST_STEPS, Range, check_fields, range_of
from oneshot_cli.training.config import TrainConfig

CONFIGURATIONS: tuple[type[Any], ...] = (
    TrainConfig,
    TaskMix,
    Augmentation,
    SequentialConfig,
    DRAWConfig,
    VAEConfig,
    NADEConfig,
)
NUMBERS = [
    (kind, each.name, range_of(each))
    for kind in CONFIGURATIONS
    for each in fields(kind)
    if range_of(each) is not None
]


def of(kind: type[Any], name: str, value: Any) -> Any:
    """The configuration with that number in that field, or first of several there."""
    usual = getattr(kind(), name)
    return kind(**{name: (value, *usual[1:]) if isinstance(usual, tuple) else value})


def outside(within: Range) -> list[float]:
    """Numbers just out of a range, and far out."""
    found = [math.nan, math.inf, -math.inf, -1, -1e30]
    found += [] if within.least is None else [within.least - 1, math.nextafter(within.least, -9)]
    found += [] if within.above is None else [within.above]
    found += [] if within.most is None else [within.most + 1, within.most * 2, 2**70, 1e30]
    found += [] if within.below is None else [within.below, 2**70, 1e30]
    return found


@pytest.mark.parametrize(
    ("kind", "name", "within"), NUMBERS, ids=[f"{k.__name__}.{n}" for k, n, _ in NUMBERS]
)
def test_a_number_out_of_its_range_is_refused(kind: type[Any], name: str, within: Range) -> None:
    for value in outside(within):
        with pytest.raises(ValueError, match=name):
            of(kind, name, value)
    for wrong in ("1", None, True):
        with pytest.raises(ValueError, match=f"{name} must be a"):
            of(kind, name, wrong)


def test_a_range_has_the_ends_that_it_names() -> None:
    closed, open_ = Range(least=0, most=1), Range(above=0, below=1)
    assert [value in closed for value in (-0.1, 0, 0.5, 1, 1.1)] == [False, True, True, True, False]
    assert [value in open_ for value in (0, 0.5, 1)] == [False, True, False]
    assert math.nan not in Range()
    assert 2**70 in Range()


def test_every_number_of_a_configuration_has_a_range() -> None:
    """A new field that is a float has to say which; a whole number is a count without saying."""
    for kind in CONFIGURATIONS:
        for each in fields(kind):
            first = (
                next(iter(each.default), None) if isinstance(each.default, tuple) else each.default
            )
            if isinstance(first, float):
                assert "range" in each.metadata, f"{kind.__name__}.{each.name}"
            elif isinstance(first, int) and not isinstance(first, bool):
                assert range_of(each) is not None


@pytest.mark.parametrize("kind", CONFIGURATIONS)
def test_the_defaults_lie_in_their_ranges(kind: type[Any]) -> None:
    check_fields(kind())


def test_a_whole_number_is_no_fraction() -> None:
    with pytest.raises(ValueError, match="batch must be a whole number"):
        TrainConfig(batch=2.5)  # type: ignore[arg-type]
    assert TrainConfig(clip=1000).clip == 1000


def test_the_message_says_the_range_and_the_number() -> None:
    with pytest.raises(ValueError, match=r"kl_start must be at least 0 and at most 1, not 1\.5"):
        TrainConfig(kl_start=1.5)


def test_the_largest_seed_and_step_still_seed_generators() -> None:
    """Those of the episodes, and those whose multipliers are larger."""
    Episodes(tiny_drawings(), TaskMix(), seed=MOST_SEED).batch(MOST_STEPS, 2)
    for most in ((MOST_SEED + 1) * 7_000_003 + MOST_STEPS, (MOST_SEED + 1) * 9_000_011 + 10**9):
        torch.Generator().manual_seed(most)
        assert most < 2**63


def test_betas_are_two() -> None:
    with pytest.raises(ValueError, match="betas are two"):
        TrainConfig(betas=(0.9,))  # type: ignore[arg-type]


def wrong_use(*words: str) -> str:
    result = CliRunner().invoke(app, list(words))
    assert result.exit_code == 2, (words, result.stderr, result.exception)
    return " ".join(result.stderr.replace("│", "").split())


@pytest.mark.parametrize(
    "words",
    [
        *(["--clip", value] for value in ("0", "-1", "nan", "inf")),
        *(["--learning-rate", value] for value in ("0", "inf", "nan", "1e30")),
        *(["--batch", value] for value in ("0", str(2**70))),
        *(["--seed", value] for value in ("-1", str(2**63))),
        *(["--iterations", value] for value in ("0", str(2**70))),
        *(["--kl-warmup", value] for value in ("-1", str(2**70))),
        *(["--augment", value] for value in ("nan", "2")),
        *(["--turn", value] for value in ("nan", "-0.1")),
        *(["--epochs", value] for value in ("nan", "inf", "1e300")),
        *(
            ["--set", f"{name}={value}"]
            for name in ("step_clip", "kl_start", "free_bits", "weight_decay", "warmup", "average")
            for value in ("-1", "nan", "inf")
        ),
        *(["--set", f"betas={value}"] for value in ("0.9,1", "-0.1,0.9", "nan,0.9", "0.9")),
        *(["--set", f"{name}=nan"] for name in ("read_scale", "write_scale", "ink")),
    ],
    ids=" ".join,
)
def test_a_run_is_refused_nonsense_as_wrong_use(words: list[str], tmp_path: Path) -> None:
    told = wrong_use(
        "train", "--dataset", "glyphs", "--threads", "1", "-o", str(tmp_path / "run"), *words
    )
    name = words[1].partition("=")[0] if words[0] == "--set" else words[0].strip("-")
    name = {"epochs": "iterations"}.get(name, name) if "1e300" in words else name
    assert name in told or name.replace("-", "_") in told
    assert not (tmp_path / "run").exists()


def test_other_commands_refuse_seeds_and_numbers_alike() -> None:
    for words in (
        ["sample", "--seed", str(2**70)],
        ["vary", "x.png", "--seed", str(MOST_SEED + 1)],
        ["eval-nll", "--seed", str(2**70)],
        ["score", "--seed", str(2**70)],
        ["vary", "x.png", "--spread", "nan"],
        ["animate", "--fps", "nan"],
    ):
        assert words[-2].strip("-") in wrong_use(*words)


@pytest.mark.parametrize("name", PRESETS)
def test_presets_lie_in_their_ranges(name: str) -> None:
    config = TrainConfig(**PRESETS[name].training).to_dict()
    assert {field: config[field] for field in PRESETS[name].training} == PRESETS[name].training


def numeric_options() -> list[tuple[str, str, OptionInfo]]:
    """Command, flag and declaration of each option that is one number.

    Without those of `train` that are fields of its configuration, which has their ranges.
    """
    configured = {name for kind, name, _ in NUMBERS if kind is TrainConfig}
    configured |= {"epochs", "eval_drawings", "augment", "turn"}
    found = []
    for command in app.registered_commands:
        assert command.callback is not None
        name = command.name or command.callback.__name__.replace("_", "-")
        for parameter, hint in get_type_hints(command.callback, include_extras=True).items():
            declared = next((m for m in get_args(hint) if isinstance(m, OptionInfo)), None)
            kinds = {get_args(hint)[0], *get_args(get_args(hint)[0])} if declared else set()
            own = name != "train" or parameter not in configured - {"seed"}
            if declared is not None and kinds & {int, float} and own:
                usual = f"--{parameter.replace('_', '-')}"
                flag = next((word for word in declared.param_decls or () if word), usual)
                found.append((name, flag, declared))
    return found


def test_every_option_that_is_a_number_has_two_ends() -> None:
    assert len(numeric_options()) > 30
    for command, flag, declared in numeric_options():
        assert declared.min is not None, (command, flag)
        assert declared.max is not None, (command, flag)
        assert declared.min < declared.max


@pytest.mark.parametrize(
    "words",
    [
        ["eval-nll", "--particles", str(2**70)],
        ["eval-nll", "--particles", "1,0"],
        ["eval-nll", "--context", "-1"],
        ["eval-nll", "--size", "0"],
        ["train", "--threads", "10000"],
        ["train", "--max-time", "9999999999h"],
        ["vary", "x.png", "--pen", "1e30"],
    ],
    ids=" ".join,
)
def test_numbers_in_texts_are_in_range_too(words: list[str]) -> None:
    assert words[-2].strip("-") in wrong_use(*words)
