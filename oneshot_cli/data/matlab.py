"""Reading MATLAB files."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from scipy import io

from oneshot_cli.errors import OneshotError


def loadmat(path: Path) -> dict[str, Any]:
    """The arrays in `path` by name. Raises OneshotError if the file is damaged."""
    try:
        content: dict[str, Any] = io.loadmat(path)
    except Exception as error:  # SciPy raises many kinds on damaged files, some its own
        raise OneshotError(f"{path} is damaged or no MATLAB file ({error})") from None
    return content
