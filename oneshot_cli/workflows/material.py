"""What `oneshot train` learns from: which data, at which sizes, and loading them."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import typer

from oneshot_cli import data as data_sets
from oneshot_cli.cli.loading import loading
from oneshot_cli.cli.options import Screen
from oneshot_cli.data import omniglot
from oneshot_cli.data.drawings import Drawings
from oneshot_cli.data.resampling import RESAMPLINGS
from oneshot_cli.data.spec import DataSpec
from oneshot_cli.data.splits import USUAL_SHARE
from oneshot_cli.errors import OneshotError
from oneshot_cli.training.evaluations import HELD_OUT, VALIDATION

AUGMENTED_FROM = 105
"""Side of the originals that augmentation samples from, in pixels: Omniglot's own."""

SMALLEST, LARGEST = 8, 105


@dataclass(frozen=True)
class Material:
    """What a run learns from, what it is evaluated on, and what augmentation samples from.

    Of several sizes `drawings` and `validation` have the smallest, the size that is read, and
    `others` are the drawings at the larger ones. `evaluated_on` says what `validation` is, see
    `training.evaluations`.
    """

    drawings: Drawings
    validation: Drawings
    originals: Drawings | None = None
    others: tuple[Drawings, ...] = ()
    evaluated_on: str = VALIDATION

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
    validation: float = USUAL_SHARE,
) -> DataSpec:
    """The data of a new run. Raises OneshotError for what there is not."""
    if (name, binarization) == ("mnist", "static"):
        name, binarization = "mnist-static", None
    known = data_sets.known(name)
    wanted = (known.size,) if size is None else sizes(size)
    if "binarization" not in known.options and binarization is not None:
        raise OneshotError(f"{name} takes no --binarization")
    if resample is not None and resample not in RESAMPLINGS:
        raise typer.BadParameter(f"--resample is one of {', '.join(RESAMPLINGS)}")
    binary = {"binarization": binarization or "dynamic"}
    return DataSpec(
        dataset=name,
        split=split or (known.splits[0] if known.splits else None),
        size=wanted[-1],
        sizes=tuple(wanted) if len(wanted) > 1 else (),
        resample=resample,
        validation=validation,
        options=binary if "binarization" in known.options else {},
    )


def default_dataset(data_dir: Path | None, screen: Screen) -> str:
    """omniglot where it is at hand, otherwise glyphs, which needs no download."""
    if omniglot.at_hand(data_dir):
        return "omniglot"
    screen.note("Omniglot is not at hand: training on made-up glyphs (--dataset omniglot fetches)")
    return "glyphs"


def material(spec: DataSpec, augmented: bool, data_dir: Path | None, screen: Screen) -> Material:
    """Load the data of a run.

    Nothing of the test part, but for a run that was begun before there was a validation part: its
    data do not name one, and it goes on being evaluated on the test part.
    """
    smallest, *larger = spec.all_sizes

    def load(part: str, size: int, resample: str | None = None) -> Drawings:
        with loading(screen) as progress:
            return spec.load(part, size, resample=resample, data_dir=data_dir, progress=progress)

    drawings = load("train", smallest)
    evaluated_on = HELD_OUT if spec.validation is None else VALIDATION
    validation = load("test" if spec.validation is None else "validation", smallest)
    if augmented and drawings.levels > 2:
        raise OneshotError(f"{spec.dataset}: only binary drawings can be augmented")
    told = " and ".join(f"{size} x {size}" for size in spec.all_sizes)
    notes = [told, f"split {spec.split}"]
    said = spec.to_dict()
    notes += [f"{key} {said[key]}" for key in ("binarization", "resample") if key in said]
    screen.note(
        f"{spec.dataset}: {len(drawings)} drawings of {len(drawings.characters)} characters, "
        + ", ".join(notes)
    )
    if len(validation) and evaluated_on == VALIDATION:
        characters = len(validation.character.unique())
        screen.note(
            f"validation: {len(validation)} drawings of {characters} characters beside them"
        )
    elif not len(validation):
        screen.note("no validation drawings: nothing is evaluated, the last weights are the best")
    return Material(
        drawings,
        validation.fixed(),
        originals=load("train", AUGMENTED_FROM, "area") if augmented else None,
        others=tuple(load("train", size) for size in larger),
        evaluated_on=evaluated_on,
    )
