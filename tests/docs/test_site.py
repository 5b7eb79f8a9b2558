"""The documentation builds as a site: without warnings, and with links that lead somewhere."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

pytest.importorskip("material", reason="the extra 'site' is not installed")

ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("site")
    built = subprocess.run(
        [sys.executable, "-m", "mkdocs", "build", "--strict", "--site-dir", folder],
        cwd=ROOT,
        env={**os.environ, "NO_MKDOCS_2_WARNING": "1"},
        capture_output=True,
        text=True,
    )
    assert built.returncode == 0, built.stderr
    assert "WARNING" not in built.stderr
    return folder


def test_every_page_is_there_and_readme_is_the_first(site: Path) -> None:
    assert "Show it one drawn character" in (site / "index.html").read_text()
    for page in (ROOT / "docs").glob("*.md"):
        name = "contents" if page.stem == "README" else page.stem
        assert (site / name / "index.html").is_file(), page.name
    assert not list(site.rglob("*.py")), "scripts are no part of the documentation"


def test_links_and_pictures_of_the_site_lead_somewhere(site: Path) -> None:
    checked = 0
    for page in site.rglob("index.html"):
        body = page.read_text().partition("<article")[2].partition("</article>")[0]
        for link in re.findall(r'(?:href|src)="([^"#:]+)(?:#[^"]*)?"', body):
            target = (page.parent / link).resolve()
            assert target.is_file() or (target / "index.html").is_file(), f"{page}: {link}"
            checked += 1
    assert checked > 100
