"""What `oneshot train` learns from: which data, at which sizes, and loading them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import typer

from oneshot_cli import data as data_sets
from oneshot_cli.commands.common import Screen
from oneshot_cli.commands.loading import loading
from oneshot_cli.data.drawings import Drawings
from oneshot_cli.data.resampling import RESAMPLINGS
from oneshot_cli.errors import OneshotError

AUGMENTED_FROM = 105
"""Side of the originals that augmentation samples from, in pixels: Omniglot's own."""

SMALLEST, LARGEST = 8, 105


@dataclass(frozen=True)
class Material:
    """What a run learns from, what it is measured on, and what augmentation samples from.

    Of several sizes `drawings` and `held_out` have the smallest, the size that is read, and
    `others` are the drawings at the larger ones.
    """

    drawings: Drawings
    held_out: Drawings
    originals: Drawings | None = None
    others: tuple[Drawings, ...] = ()

    @property
    def sizes(self) -> list[int]:
        """All sizes, ascending."""
        return [self.drawings.size, *(other.size for other in self.others)]


def sizes(text: str) -> list[int]:
    """The sizes of `--size`, ascending: "28" or "28,52". Raises BadParameter."""
    try:
        found = sorted({int(part) for part in text.split(",")})
    except ValueError:
        raise typer.BadParameter(f"--size {text}: write pixels, 28 or 28,52") from None
    if not SMALLEST <= found[0] <= found[-1] <= LARGEST:
        raise typer.BadParameter(f"--size {text}: sizes are {SMALLEST} to {LARGEST} pixels")
    return found


def data_plan(
    name: str,
    split: str | None = None,
    size: str | None = None,
    binarization: str | None = None,
    resample: str | None = None,
) -> dict[str, Any]:
    """The data of a new run. Raises OneshotError for what there is not."""
    if (name, binarization) == ("mnist", "static"):
        name, binarization = "mnist-static", None
    known = data_sets.known(name)
    plan: dict[str, Any] = {
        "dataset": name,
        "split": split or (known.splits[0] if known.splits else None),
        "size": known.size if size is None else sizes(size)[-1],
    }
    if size is not None and len(sizes(size)) > 1:
        plan["sizes"] = sizes(size)
    if "binarization" in known.options:
        plan["binarization"] = binarization or "dynamic"
    elif binarization is not None:
        raise OneshotError(f"{name} takes no --binarization")
    if resample is not None:
        if resample not in RESAMPLINGS:
            raise typer.BadParameter(f"--resample is one of {', '.join(RESAMPLINGS)}")
        plan["resample"] = resample
    return plan


def material(
    data: Mapping[str, Any], augmented: bool, data_dir: Path | None, screen: Screen
) -> Material:
    """Load the data of a run."""
    known = data_sets.known(data["dataset"])
    options = {name: data[name] for name in known.options if name in data}
    smallest, *larger = data.get("sizes", [data["size"]])

    def load(part: str, size: int, resample: str) -> Drawings:
        with loading(screen) as progress:
            return data_sets.load(
                data["dataset"],
                data_dir=data_dir,
                split=data["split"],
                part=part,
                size=size,
                resample=resample,
                progress=progress,
                **options,
            )

    how = data.get("resample", "area")
    drawings = load("train", smallest, how)
    if augmented and drawings.levels > 2:
        raise OneshotError(f"{data['dataset']}: only binary drawings can be augmented")
    told = " and ".join(f"{size} x {size}" for size in (smallest, *larger))
    notes = [told, f"split {data['split']}"]
    notes += [f"{key} {data[key]}" for key in ("binarization", "resample") if key in data]
    screen.note(
        f"{data['dataset']}: {len(drawings)} drawings of {len(drawings.characters)} characters, "
        + ", ".join(notes)
    )
    return Material(
        drawings,
        load("test", smallest, how).fixed(),
        originals=load("train", AUGMENTED_FROM, "area") if augmented else None,
        others=tuple(load("train", size, how) for size in larger),
    )
