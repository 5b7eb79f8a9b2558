"""Ranges of the numbers in configurations: declared with a field's default, checked together."""

from __future__ import annotations

import math
from dataclasses import Field, dataclass, field, fields
from typing import Any

MOST_SEED = 10**12 - 1
"""The largest seed. Generators are seeded with the seed times up to 9,000,011, plus a step. The sum
has to be below 2**63."""

MOST_STEPS = 10**9
"""The largest number of iterations of a run."""

MOST = 10**6
"""The largest count: of drawings, of a batch, of units."""

MOST_SYMBOLS = 10_000
"""The most generated symbols that are added to a training set."""

MOST_THREADS = 1024

NO_LIMIT = 10**12
"""The largest limit of a gradient's norm, which is none."""


@dataclass(frozen=True)
class Range:
    """Finite numbers x with x >= `least`, x > `above`, x <= `most` and x < `below`, where given."""

    least: float | None = None
    above: float | None = None
    most: float | None = None
    below: float | None = None

    def __contains__(self, value: float) -> bool:
        return (
            (isinstance(value, int) or math.isfinite(value))
            and (self.least is None or value >= self.least)
            and (self.above is None or value > self.above)
            and (self.most is None or value <= self.most)
            and (self.below is None or value < self.below)
        )

    def __str__(self) -> str:
        limits = {
            "at least": self.least,
            "above": self.above,
            "at most": self.most,
            "below": self.below,
        }
        return " and ".join(f"{words} {end:,}" for words, end in limits.items() if end is not None)


COUNT = Range(least=1, most=MOST)
"""The range of whole numbers that declare none."""
SHARE = Range(least=0, most=1)
SPREAD = Range(least=0, most=2)
"""Temperatures of drawings."""


def number(default: Any, within: Range) -> Any:
    """A field of a dataclass with the range `within` for its number, or for each of its numbers."""
    return field(default=default, metadata={"range": within})


def is_number(value: Any, *, whole: bool = False) -> bool:
    """Whether a value is a number, or a whole one. True and False are none."""
    return isinstance(value, int if whole else int | float) and not isinstance(value, bool)


def range_of(each: Field[Any]) -> Range | None:
    """The range of a dataclass's field, or None if its default is not a number."""
    default = _first_default(each)
    return each.metadata.get("range", COUNT) if is_number(default) else None


def check_fields(config: Any) -> None:
    """Raise ValueError for the first field of a dataclass of the wrong type or out of its range.

    A field whose default is a whole number has to be a whole number. Texts, and switches that are
    true or false, have the type of their defaults.
    """
    for each in fields(config):
        _check_kind(each, getattr(config, each.name))
        within = range_of(each)
        if within is None:
            continue
        value = getattr(config, each.name)
        whole = isinstance(_first_default(each), int)
        for one in value if isinstance(each.default, tuple) else (value,):
            if not is_number(one, whole=whole):
                kind = "a whole number" if whole else "a number"
                raise ValueError(f"{each.name} must be {kind}, not {one!r}")
            if one not in within:
                raise ValueError(f"{each.name} must be {within}, not {one}")


def _check_kind(each: Field[Any], value: Any) -> None:
    """Raise ValueError if a text or a switch is none."""
    for kind, words in ((bool, "true or false"), (str, "a text")):
        optional = value is None and "None" in str(each.type)
        if isinstance(each.default, kind) and not isinstance(value, kind) and not optional:
            raise ValueError(f"{each.name} must be {words}, not {value!r}")


def _first_default(each: Field[Any]) -> Any:
    """The default of a field, or the first number of a tuple. None for an empty one."""
    return next(iter(each.default), None) if isinstance(each.default, tuple) else each.default
