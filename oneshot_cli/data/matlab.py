"""Reading MATLAB files, which needs SciPy."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from oneshot_cli.errors import OneshotError


def loadmat(path: Path) -> dict[str, Any]:
    """The arrays in `path` by name. Raises OneshotError if it is damaged, or SciPy not there."""
    try:
        from scipy.io import loadmat as read
    except ImportError:
        raise OneshotError(f"reading {path} needs SciPy\npip install scipy") from None
    try:
        content: dict[str, Any] = read(path)
    except Exception as error:  # SciPy raises many kinds on damaged files, some its own
        raise OneshotError(f"{path} is damaged or no MATLAB file ({error})") from None
    return content
