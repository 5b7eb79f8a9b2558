"""What all tests share: a cache of their own, and real data where it is at hand."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest


@pytest.fixture(scope="session", autouse=True)
def own_cache(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """No test reads or writes the user's cache; decoded data is shared within a session."""
    with pytest.MonkeyPatch.context() as patch:
        folder = tmp_path_factory.mktemp("cache")
        patch.setenv("ONESHOT_CACHE", str(folder))
        yield folder


@pytest.fixture(scope="session")
def real_data() -> Path:
    """The folder with the official files; the test is skipped where there is none."""
    folder = os.environ.get("ONESHOT_DATA", "")
    if not folder or not Path(folder).is_dir():
        pytest.skip("ONESHOT_DATA names no folder with the official files")
    return Path(folder)
