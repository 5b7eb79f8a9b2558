"""Which part of the package may import which: the rule of docs/architecture.md."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

PACKAGE = Path(__file__).parents[1] / "oneshot_cli"
DOCS = Path(__file__).parents[1] / "docs"

COMMON = {
    "affine",
    "documents",
    "errors",
    "files",
    "paths",
    "ranges",
    "reporting",
    "devices",
    "distributed",
}
"""Small modules that know nothing of models or data; each layer may use them, with exceptions."""

ABOUT_MODELS = {"checkpoint", "compiling", "precision"}
"""Modules that know the model and nothing else of the package."""

LAYERS = {
    "model": set(),
    "data": {"imaging"},
    "imaging": set(),
    "evaluation": {"imaging", "data", "model"},
    "drawing": {"imaging", "data", "model"},
    "experiment": {"training", "data", "model"},
    "training": {"experiment", "evaluation", "imaging", "data", "model"},
    "pad": {"drawing", "imaging", "data", "model"},
    "workflows": {
        *("presets", "drawing", "experiment", "training", "evaluation", "imaging", "data", "model"),
    },
    "cli": {
        *("presets", "workflows", "pad", "drawing", "experiment", "training"),
        *("evaluation", "imaging", "data", "model"),
    },
}
"""What each layer may import, beside itself."""

NEEDS_MODELS = {"evaluation", "drawing", "experiment", "training", "pad", "workflows", "cli"}
ONLY_IN_CLI = ("typer", "click", "rich")


def layer(module: str) -> str:
    """The part of the package that a module belongs to: "oneshot_cli.data.fetch" to "data"."""
    return module.split(".")[1] if "." in module else ""


def imports(path: Path) -> Iterator[str]:
    """The modules that a file imports, inside functions, too; not those for type checkers alone."""
    tree = ast.parse(path.read_text(encoding="utf-8"))
    skipped = {
        node
        for branch in ast.walk(tree)
        if isinstance(branch, ast.If) and ast.unparse(branch.test) == "TYPE_CHECKING"
        for node in ast.walk(branch)
    }
    for node in ast.walk(tree):
        if node in skipped:
            continue
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module:
            if node.module == "oneshot_cli":
                yield from (f"oneshot_cli.{alias.name}" for alias in node.names)
            else:
                yield node.module


def files() -> Iterator[tuple[str, Path]]:
    for path in sorted(PACKAGE.rglob("*.py")):
        parts = path.relative_to(PACKAGE).with_suffix("").parts
        yield parts[0], path


@pytest.mark.parametrize("part", LAYERS)
def test_dependencies_point_one_way(part: str) -> None:
    allowed = LAYERS[part] | COMMON | {part, "__version__"}
    allowed |= ABOUT_MODELS if part in NEEDS_MODELS else set()
    if part == "model":
        allowed = {"model", "affine", "errors", "ranges"}
    found = {
        f"{path.relative_to(PACKAGE)} imports {module}"
        for name, path in files()
        if name == part
        for module in imports(path)
        if module.startswith("oneshot_cli.") and layer(module) not in allowed
    }
    assert not found


def test_common_modules_import_no_layer() -> None:
    for name, path in files():
        own = {layer(m) for m in imports(path) if m.startswith("oneshot_cli.")}
        if name in COMMON:
            assert own <= COMMON, path.name
        elif name in ABOUT_MODELS:
            assert own <= COMMON | {"model"}, path.name
        elif name == "presets":
            assert not own


def test_every_module_is_in_a_layer() -> None:
    outside = {"__init__", "__main__", "presets"}
    assert {name for name, _ in files()} == set(LAYERS) | COMMON | ABOUT_MODELS | outside


def test_only_the_command_line_knows_the_terminal() -> None:
    found = {
        f"{path.relative_to(PACKAGE)} imports {module}"
        for name, path in files()
        if name not in ("cli", "__main__")
        for module in imports(path)
        if module.split(".")[0] in ONLY_IN_CLI
    }
    assert not found


def test_the_page_names_every_layer() -> None:
    page = (DOCS / "architecture.md").read_text(encoding="utf-8")
    for part in LAYERS:
        assert f"`{part}/`" in page or f"`{part}.py`" in page, part
