"""The drawings of a run: for training, for validation and for augmentation."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from oneshot_cli.data import symbols
from oneshot_cli.data.drawings import Drawings
from oneshot_cli.data.spec import DataSpec
from oneshot_cli.errors import OneshotError
from oneshot_cli.reporting import SILENT, Reporter
from oneshot_cli.training.evaluations import HELD_OUT, VALIDATION

AUGMENTED_FROM = 105
"""Height and width in pixels of the drawings that augmentation transforms: Omniglot's own size."""


@dataclass(frozen=True)
class TrainingData:
    """The drawings that a run is trained on, its `validation` drawings, and `originals` to augment.

    With several sizes, `drawings` and `validation` have the smallest one, at which the model reads,
    and `others` are the training drawings at the larger ones. `evaluated_on` is the name of
    `validation` in metrics, see `training.evaluations`.
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


def load_training_data(
    spec: DataSpec,
    *,
    augmented: bool,
    data_dir: Path | None = None,
    reporter: Reporter = SILENT,
) -> TrainingData:
    """Load the drawings of a run on `spec`. Raises OneshotError.

    The test part is not loaded. The exception is a run that is older than the validation part: its
    description has none, and it is still evaluated on the test part.
    """
    smallest, *larger = spec.all_sizes

    def load(part: str, size: int, resample: str | None = None) -> Drawings:
        with reporter.loading() as progress:
            return spec.load(part, size, resample=resample, data_dir=data_dir, progress=progress)

    def training(size: int, resample: str | None = None) -> Drawings:
        drawings = load("train", size, resample)
        if not spec.symbols:
            return drawings
        method = resample or spec.resampling
        return symbols.added(drawings, symbols.first(spec.symbols, size, method))

    drawings = training(smallest)
    evaluated_on = HELD_OUT if spec.validation is None else VALIDATION
    validation = load("test" if spec.validation is None else "validation", smallest)
    if augmented and drawings.levels > 2:
        raise OneshotError(f"{spec.dataset}: augmentation needs binary drawings")
    sizes = " and ".join(f"{size} x {size}" for size in spec.all_sizes)
    notes = [sizes, f"split {spec.split}"]
    if spec.symbols:
        notes.append(f"{_counted(spec.symbols, 'invented symbol')} among them")
    content = spec.to_dict()
    notes += [f"{key} {content[key]}" for key in ("binarization", "resample") if key in content]
    reporter.note(
        f"{spec.dataset}: {_counted(len(drawings), 'drawing')} of "
        f"{_counted(len(drawings.characters), 'character')}, " + ", ".join(notes)
    )
    if len(validation) and evaluated_on == VALIDATION:
        characters = _counted(len(validation.character.unique()), "other character")
        reporter.note(f"validation: {_counted(len(validation), 'drawing')} of {characters}")
    elif not len(validation):
        few = " (an alphabet needs three characters for it)" if spec.validation else ""
        reporter.note(
            f"no validation drawings{few}: all are trained on, nothing is evaluated, "
            "and best.safetensors has the last weights"
        )
    return TrainingData(
        drawings,
        validation.fixed(),
        originals=training(AUGMENTED_FROM, "area") if augmented else None,
        others=tuple(training(size) for size in larger),
        evaluated_on=evaluated_on,
    )


def _counted(number: int, noun: str) -> str:
    return f"{number} {noun}" if number == 1 else f"{number} {noun}s"
