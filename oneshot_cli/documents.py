"""JSON from files that anybody may have written: headers, configurations, metrics."""

from __future__ import annotations

import json
from typing import Any

DEEPEST = 50
"""The deepest nesting that is read. So those who walk through a document need no limit."""


def parse(text: str | bytes) -> Any:
    """What a JSON text holds. Raises ValueError if it is none, too deep, or not Unicode."""
    try:
        document = json.loads(text)
    except RecursionError:
        raise ValueError("JSON that is nested too deep") from None
    level = [document]
    for _ in range(DEEPEST):
        if not level:
            return document
        level = [part for value in level for part in _parts(value)]
    raise ValueError("JSON that is nested too deep")


def _parts(value: Any) -> list[Any]:
    """What a value contains. Raises ValueError for half of a surrogate pair, as in "\\\\ud800"."""
    if isinstance(value, dict):
        return [*value.keys(), *value.values()]
    if isinstance(value, list):
        return value
    if isinstance(value, str) and not value.isascii():
        try:
            value.encode()
        except UnicodeEncodeError:
            raise ValueError("a text that is not Unicode") from None
    return []
