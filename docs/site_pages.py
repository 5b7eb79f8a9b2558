"""A hook of MkDocs: the pages outside docs/ become part of the site, and links lead to them.

The Markdown files are written for readers of the repository, with links relative to each file. In
the site README.md is the first page. A link to a file that is not in the site, such as source code,
becomes text.
"""

from __future__ import annotations

import posixpath
import re
from pathlib import Path

from mkdocs.config.defaults import MkDocsConfig
from mkdocs.structure.files import File, Files
from mkdocs.structure.pages import Page

ROOT = Path(__file__).parents[1]

MOVED = {
    "README.md": "index.md",
    "docs/README.md": "contents.md",
    "CONTRIBUTING.md": "contributing.md",
    "CHANGELOG.md": "changelog.md",
    "checkpoints/README.md": "checkpoints.md",
}
"""Pages that have another place in the site than in docs/: from the root to the site."""

LINK = re.compile(r"(?P<picture>!?)\[(?P<text>[^\[\]]*)\]\((?P<target>[^)\s]+)\)")


def on_files(files: Files, config: MkDocsConfig) -> Files:
    """Add the pages of MOVED."""
    for path, place in MOVED.items():
        old = files.get_file_from_path(posixpath.relpath(path, "docs"))
        if old is not None:
            files.remove(old)
        content = (ROOT / path).read_text(encoding="utf-8")
        files.append(File.generated(config, place, content=content))
    return files


def on_page_markdown(markdown: str, page: Page, config: MkDocsConfig, files: Files) -> str:
    """Turn the links of a page, which are those of the repository, into links of the site."""
    places = {place: path for path, place in MOVED.items()}
    here = page.file.src_uri
    folder = posixpath.dirname(places.get(here, f"docs/{here}"))

    def of_the_site(link: re.Match[str]) -> str:
        path, mark, heading = link["target"].partition("#")
        if not path or re.match(r"[a-z]+:", path):
            return link[0]
        path = posixpath.normpath(posixpath.join(folder, path))
        place = MOVED.get(path, path.removeprefix("docs/") if path.startswith("docs/") else "")
        if files.get_file_from_path(place) is None:
            return link["text"]
        target = posixpath.relpath(place, posixpath.dirname(here) or ".")
        return f"{link['picture']}[{link['text']}]({target}{mark}{heading})"

    return LINK.sub(of_the_site, markdown)
