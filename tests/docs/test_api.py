"""docs/api.md, which is generated, and what the package shows of itself."""

from __future__ import annotations

import pydoc
import runpy
from pathlib import Path

import oneshot_cli

DOCS = Path(__file__).parents[2] / "docs"


def test_the_page_is_what_the_docstrings_say() -> None:
    made = runpy.run_path(str(DOCS / "make_api.py"))
    assert made["reference"]() == (DOCS / "api.md").read_text(), "run `make docs`"


def test_the_page_describes_every_public_name() -> None:
    page = (DOCS / "api.md").read_text()
    for name in oneshot_cli.__all__:
        assert name == "__version__" or f"### oneshot.{name}\n" in page, name


def test_dir_and_help_show_what_there_is() -> None:
    assert set(dir(oneshot_cli)) == set(oneshot_cli.__all__)
    shown = pydoc.plain(pydoc.render_doc(oneshot_cli))
    for text in ("class Oneshot", "vary(self, image", "load(checkpoint", "train(experiment"):
        assert text in shown
    summary = str(oneshot_cli.__doc__)
    assert all(name in summary for name in oneshot_cli.__all__ if name != "__version__")
