"""Damage to files: to their bytes, and to the values in JSON documents."""

from __future__ import annotations

import json
import struct
from collections.abc import Callable
from random import Random
from typing import Any

NUMBERS = (0, 1, 2, 127, 128, 255, 256, 32767, 65535, 2**31 - 1, 2**31, 2**32 - 1, 2**63)
VALUES: tuple[Any, ...] = (
    *(None, True, False, 0, 1, -1, 3, 10**6, 10**9, 2**63, 2**70, -(2**70)),
    *(0.5, -0.5, 4.0, 1e30, -1e30, 1e308, float("nan"), float("inf"), float("-inf")),
    *(
        "",
        "32",
        "\ud800",
        "\x1b[31mred",
        "[/b]",
        "a\nb",
        "x" * 5000,
        [],
        {},
        [[]],
        [None],
        {"a": 1},
    ),
)
MARKER = "DEEP-MARKER"
DEEP = (1_000, 100_000)
"""Depths of nested lists."""


def damaged(random: Random, content: bytes, others: list[bytes]) -> bytes:
    """`content` with one to four kinds of damage; some of it may come from `others`."""
    data = bytearray(content)
    for _ in range(random.choice((1, 1, 1, 2, 4))):
        random.choice(DAMAGES)(random, data, others)
    return bytes(data)


def _flip(random: Random, data: bytearray, others: list[bytes]) -> None:
    for _ in range(random.choice((1, 1, 3, 16))):
        if data:
            data[_place(random, data)] ^= 1 << random.randrange(8)


def _byte(random: Random, data: bytearray, others: list[bytes]) -> None:
    if data:
        data[_place(random, data)] = random.choice(
            (0, 1, 127, 128, 254, 255, random.randrange(256))
        )


def _number(random: Random, data: bytearray, others: list[bytes]) -> None:
    """Overwrite an integer of 2, 4 or 8 bytes, such as a length, by an unusual one."""
    form = random.choice("HIQ")
    packed = struct.pack(
        random.choice("<>") + form, random.choice(NUMBERS) % 256 ** struct.calcsize(form)
    )
    if len(data) >= len(packed):
        at = min(_place(random, data), len(data) - len(packed))
        data[at : at + len(packed)] = packed


def _cut(random: Random, data: bytearray, others: list[bytes]) -> None:
    del data[random.randrange(len(data) + 1) :]


def _remove(random: Random, data: bytearray, others: list[bytes]) -> None:
    at = _place(random, data)
    del data[at : at + random.choice((1, 2, 4, 16, 100))]


def _repeat(random: Random, data: bytearray, others: list[bytes]) -> None:
    at = _place(random, data)
    part = bytes(data[at : at + random.choice((1, 4, 16, 64))])
    data[at:at] = part * random.choice((1, 2, 20))


def _insert(random: Random, data: bytearray, others: list[bytes]) -> None:
    at = _place(random, data)
    data[at:at] = random.randbytes(random.choice((1, 2, 4, 16)))


def _splice(random: Random, data: bytearray, others: list[bytes]) -> None:
    other = random.choice(others)
    at, start = _place(random, data), random.randrange(len(other) + 1)
    data[at:] = other[start:]


def _empty(random: Random, data: bytearray, others: list[bytes]) -> None:
    del data[random.choice((0, 1, 8, 64)) :]


DAMAGES: tuple[Callable[[Random, bytearray, list[bytes]], None], ...] = (
    *(_flip, _flip, _byte, _number, _number, _cut, _remove, _repeat, _insert, _splice, _empty),
)


def _place(random: Random, data: bytearray) -> int:
    """A position; every second one in the first 256 bytes, where headers are."""
    end = len(data) if random.random() < 0.5 else min(len(data), 256)
    return random.randrange(end) if end else 0


def damaged_json(random: Random, content: bytes, others: list[bytes]) -> bytes:
    """A JSON document with other values, names or depths; now and then with damaged bytes."""
    if random.random() < 0.2:
        return damaged(random, content, others)
    document = json.loads(content)
    for _ in range(random.choice((1, 1, 2, 5))):
        document = _changed(random, document)
    text = json.dumps(document)
    if MARKER in text:
        depth = random.choice(DEEP)
        text = text.replace(f'"{MARKER}"', "[" * depth + "]" * depth, 1)
    return text.encode()


def _changed(random: Random, value: Any) -> Any:
    """The value with one change, somewhere inside or of itself."""
    if isinstance(value, dict) and value and random.random() < 0.95:
        name = random.choice(list(value))
        changed = dict(value)
        action = random.random()
        if action < 0.1:
            del changed[name]
        elif action < 0.2:
            changed[random.choice(("new", "", "\ud800", "size", "__class__"))] = _value(random)
        elif action < 0.25:
            changed[name + "_"] = changed.pop(name)
        else:
            changed[name] = _changed(random, value[name])
        return changed
    if isinstance(value, list) and value and random.random() < 0.8:
        at = random.randrange(len(value))
        if random.random() < 0.3:
            return value[:at] + value[at:] * random.choice((0, 2, 50))
        return [*value[:at], _changed(random, value[at]), *value[at + 1 :]]
    if isinstance(value, int | float) and random.random() < 0.4:
        return value * random.choice((-1, 0, 2, 1.5, 1e6))
    return _value(random)


def _value(random: Random) -> Any:
    return MARKER if random.random() < 0.02 else random.choice(VALUES)
