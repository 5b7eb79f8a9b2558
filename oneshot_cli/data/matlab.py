"""Reading MATLAB files."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from scipy import io

from oneshot_cli.errors import OneshotError


def loadmat(path: Path) -> dict[str, Any]:
    """The arrays of the file `path` by name. Raises OneshotError if it is damaged."""
    try:
        content: dict[str, Any] = io.loadmat(path)
    except Exception as error:  # SciPy raises many kinds of errors on damaged files
        raise OneshotError(f"{path} is damaged or not a MATLAB file ({error})") from None
    return content
