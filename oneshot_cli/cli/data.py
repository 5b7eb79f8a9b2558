"""`oneshot data`: lists the data sets, or downloads and verifies one."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from oneshot_cli.cli import completion
from oneshot_cli.cli.options import (
    DataDirOption,
    JsonOption,
    QuietOption,
    VerboseOption,
)
from oneshot_cli.cli.screen import Screen, counted

if TYPE_CHECKING:
    from oneshot_cli.data import DataSet


def data(
    name: Annotated[
        str | None,
        typer.Argument(
            help="The data set to download and verify; without it, all are listed.",
            show_default=False,
            autocompletion=completion.datasets,
        ),
    ] = None,
    data_dir: DataDirOption = None,
    json: JsonOption = False,
    quiet: QuietOption = False,
    verbose: VerboseOption = False,
) -> None:
    """List the data sets, or download one, verify it and show where it is.

    Missing files are downloaded, to --data-dir if that is given, and checked against the official
    hashes. Existing files are checked by their content.
    """
    from oneshot_cli.data import DATASETS, get_dataset

    screen = Screen(json, quiet, verbose)
    if name is None:
        rows = [_row(dataset, data_dir) for dataset in DATASETS.values()]
        screen.document({"datasets": rows})
        if not json:
            _print_list(rows, screen)
    else:
        _fetch(get_dataset(name), data_dir, screen)


def _row(dataset: DataSet, data_dir: Path | None) -> dict[str, Any]:
    files = dataset.local_files(data_dir)
    return {
        "name": dataset.name,
        "title": dataset.title,
        "source": dataset.source,
        "splits": dataset.splits,
        "at_hand": files is not None,
        "downloadable": dataset.downloadable,
        "files": files or [],
    }


def _print_list(rows: list[dict[str, Any]], screen: Screen) -> None:
    from rich.table import Table

    table = Table(box=None, pad_edge=False)
    table.add_column("data set", style="bold", no_wrap=True)
    table.add_column("on disk", no_wrap=True)
    table.add_column("description")
    table.add_column("splits")
    for row in rows:
        missing = "to download" if row["downloadable"] else "needs --data-dir"
        table.add_row(
            row["name"],
            "yes" if row["at_hand"] else missing,
            row["title"],
            ", ".join(row["splits"]),
        )
    screen.console.print(table)
    screen.note("`oneshot data NAME` downloads a data set, verifies it and shows where it is.")


def _fetch(dataset: DataSet, data_dir: Path | None, screen: Screen) -> None:
    from oneshot_cli.data import load
    from oneshot_cli.data.fetch import data_folder

    with screen.loading() as progress:
        files = dataset.fetch(data_dir, progress)
        folder = files[0].parent if files else data_folder(data_dir)
        drawings = load(dataset.name, data_dir=folder, part="all", progress=progress)
    splits = {split: _sizes(split, drawings.characters) for split in dataset.splits}
    screen.document(
        {
            "name": dataset.name,
            "title": dataset.title,
            "source": dataset.source,
            "files": files,
            "drawings": len(drawings),
            "characters": len(drawings.characters),
            "alphabets": len(drawings.alphabets),
            "splits": splits,
        }
    )
    screen.result(
        f"{dataset.name}: {counted(len(drawings), 'drawing')} of "
        f"{counted(len(drawings.characters), 'character')} of "
        f"{counted(len(drawings.alphabets), 'alphabet')}, complete"
    )
    for split, sizes in splits.items():
        if sizes:
            screen.result(
                f"  {split}: {sizes['train']:,} training and {sizes['test']:,} test characters"
            )
    for file in files:
        size = "unpacked" if file.is_dir() else f"{file.stat().st_size / 1e6:.1f} MB"
        screen.result(f"  {file} ({size})")


def _sizes(split: str, characters: tuple[str, ...]) -> dict[str, int] | None:
    """The number of characters in each part; None if the split is not by characters."""
    from oneshot_cli.data.splits import OFFICIAL, part_of_each

    if split == OFFICIAL:
        return None
    each = part_of_each(split, characters)
    return {part: each.count(part) for part in ("train", "test")}
