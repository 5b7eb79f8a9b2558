"""`score`: one-shot generalization of a checkpoint, or of pictures, compared with people's."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from oneshot_cli import data
from oneshot_cli.checkpoint import UNRECORDED, Header
from oneshot_cli.data.drawings import Drawings
from oneshot_cli.drawing.oneshot import Oneshot, load
from oneshot_cli.errors import OneshotError
from oneshot_cli.evaluation.critics import binary_ink
from oneshot_cli.evaluation.folders import read_folders
from oneshot_cli.evaluation.generalization import (
    Draw,
    Generalization,
    RunsResult,
    character_rows,
    document,
    measure,
    scores_dict,
)
from oneshot_cli.evaluation.memorization import CONTROLS, Memorization
from oneshot_cli.evaluation.memorization import memorization as against_training
from oneshot_cli.evaluation.oneshot_scores import Critics, Scores, people, references
from oneshot_cli.evaluation.oneshot_scores import score as score_variations
from oneshot_cli.evaluation.plots import png, require_matplotlib, scatter
from oneshot_cli.evaluation.report import nearest_sheet, page
from oneshot_cli.evaluation.spread_curve import SPREADS
from oneshot_cli.files import atomic_write_bytes, refuse_to_overwrite, require_folder
from oneshot_cli.imaging.rendering import save_picture
from oneshot_cli.paths import display_path
from oneshot_cli.reporting import SILENT, Reporter
from oneshot_cli.workflows.score_runs import classification

CHARACTERS_PER_BATCH = 10
"""Characters whose variations are drawn in one batch. No result depends on it."""


@dataclass(frozen=True)
class ScoreOptions:
    """The arguments of `score` that determine what is measured."""

    n: int
    limit: int | None
    size: int | None
    closeness: float | None
    classify: bool
    both_directions: bool
    runs: Path | None
    particles: int
    memorization: bool
    seed: int
    seeds: int
    critics: tuple[Path, ...]


@dataclass(frozen=True)
class ScoreFiles:
    """The files of the results. None is not written."""

    document: Path | None
    plot: Path | None
    report: Path | None
    nearest: Path | None

    @classmethod
    def of(
        cls,
        output: Path | None,
        plot: Path | None,
        report: Path | None,
        *,
        whole: bool,
        memorization: bool = False,
    ) -> ScoreFiles:
        """The files in the folder `output`, and `plot` and `report` if they are given.

        `whole` adds the report of a checkpoint, `memorization` the nearest training drawings.
        """
        if output is None:
            return cls(None, plot, report, None)
        return cls(
            document=output / "score.json",
            plot=plot or output / "scatter.png",
            report=report or (output / "report.html" if whole else None),
            nearest=output / "nearest.png" if memorization else None,
        )

    def all(self) -> Iterator[Path]:
        """The files that will be written."""
        yield from filter(None, (self.document, self.plot, self.report, self.nearest))

    def check(self) -> None:
        """Raise OneshotError early if the files cannot be written."""
        for path in self.all():
            require_folder(path.parent)
        if self.plot or self.report:
            require_matplotlib()


def may_have_seen_the_test(header: Header) -> list[str]:
    """The data sets and splits of training that may have drawings of the weak split's test.

    Earlier training that was not recorded is taken for that of the same split.
    """
    without = ["omniglot weak", "omniglot weak-validation"]
    if without[0] in header.seen:
        without.append(UNRECORDED)
    others = (seen for seen in header.seen if seen not in without)
    return [seen for seen in others if seen == UNRECORDED or seen.startswith("omniglot ")]


@dataclass(frozen=True)
class ScoreResult:
    """The result of `score`. Measurements that were left out are None."""

    content: dict[str, Any]
    scores: Generalization
    runs: RunsResult | None
    recall: Memorization | None
    files: list[Path]
    seconds: float

    def document(self) -> dict[str, Any]:
        """For JSON. It has no times, so that the same seed gives the same document."""
        return self.content


@dataclass(frozen=True)
class PicturesResult:
    """The scores of pictures, and those of the reference points."""

    content: dict[str, Any]
    scores: Scores | None
    references: dict[str, Scores]
    characters: int
    files: list[Path]

    def document(self) -> dict[str, Any]:
        """For JSON."""
        return self.content


def score(
    checkpoint: str | Path | None = None,
    *,
    n: int = 20,
    limit: int | None = None,
    size: int | None = None,
    closeness: float | None = None,
    classify: bool = True,
    both_directions: bool = True,
    runs: Path | None = None,
    particles: int = 5,
    memorization: bool = True,
    seed: int = 0,
    seeds: int = 1,
    critics: Sequence[Path] = (),
    output: Path | None = None,
    plot: Path | None = None,
    report: Path | None = None,
    data_dir: Path | None = None,
    device: str = "auto",
    force: bool = False,
    reporter: Reporter = SILENT,
) -> ScoreResult:
    """Score the variations that a checkpoint draws, as `oneshot score` does.

    The arguments are the options of the command. `critics` are folders with a further pair each.
    Files are written to the folder `output`, `plot` and `report` if given. Raises OneshotError.
    """
    started = time.monotonic()
    files = ScoreFiles.of(output, plot, report, whole=True, memorization=memorization)
    model = load(checkpoint, device)
    refuse_to_overwrite(files.all(), force, read=filter(None, [model.path]))
    files.check()
    options = ScoreOptions(
        n=n,
        limit=limit,
        size=size,
        closeness=closeness,
        classify=classify,
        both_directions=both_directions,
        runs=runs,
        particles=particles,
        memorization=memorization,
        seed=seed,
        seeds=seeds,
        critics=tuple(critics),
    )
    config = model.model.config
    if not config.conditional or not config.binary or config.channels > 1:
        raise OneshotError(
            f"{model.path}: only conditional models of binary ink have this score, not a "
            f"{config.kind} model {'with' if config.conditional else 'without'} a context"
        )
    shipped = Critics.load(model.device)
    pairs = [shipped, *(Critics.load(model.device, folder) for folder in options.critics)]
    drawings = weak_test_drawings(data_dir, 28, limit)
    if other := may_have_seen_the_test(model.header):
        reporter.note(
            f"trained on {', '.join(other)}: "
            "training may have included the test characters of the weak split"
        )
    scores = _generalization(reporter, model, pairs, drawings, options, data_dir)
    classified = classification(reporter, model, shipped, options, data_dir) if classify else None
    recall = _memorization(reporter, shipped, scores, drawings, options, data_dir)
    content: dict[str, Any] = {
        "checkpoint": display_path(model.path),
        "dataset": "omniglot",
        "split": "weak",
        "trained_on": model.header.data,
        "seed": seed,
        **document(scores, classified, recall[0] if recall else None),
    }
    if files.document:
        atomic_write_bytes(files.document, _json(content))
    if files.plot:
        atomic_write_bytes(files.plot, png(scatter(scores.references, scores.curve)))
    if files.nearest and recall:
        save_picture(nearest_sheet(scores.variations, *recall), files.nearest)
    if files.report:
        html = page(display_path(model.path), content, scores, classified, recall)
        atomic_write_bytes(files.report, html.encode())
    return ScoreResult(
        content=content,
        scores=scores,
        runs=classified,
        recall=recall[0] if recall else None,
        files=list(files.all()),
        seconds=time.monotonic() - started,
    )


def _generalization(
    reporter: Reporter,
    model: Oneshot,
    critics: Sequence[Critics],
    drawings: Drawings,
    options: ScoreOptions,
    data_dir: Path | None,
) -> Generalization:
    """The curve over temperatures, and the scores at the checkpoint's defaults."""
    own = drawings
    if model.size != drawings.size:
        own = weak_test_drawings(data_dir, model.size, options.limit)
    closeness = model.closeness if options.closeness is None else options.closeness
    pictures = len(own.characters) * options.n
    work = (options.seeds * len(SPREADS) + 1) * pictures
    with reporter.progress("drawing", work) as advance:

        def drawer(seed: int) -> Draw:
            """Draws the exemplars of `seed` with its noise."""
            exemplars = people(own, seed)[0]

            def draw(spread: float) -> Tensor:
                drawn = []
                for rows in exemplars.split(CHARACTERS_PER_BATCH):
                    sets = [exemplar[None] for exemplar in rows]
                    drawn.append(
                        model.vary_batch(
                            sets,
                            options.n,
                            seed=seed,
                            spread=spread,
                            closeness=closeness,
                            size=options.size or model.size,
                        )
                    )
                    advance(len(rows) * options.n)
                return torch.cat(drawn)

            return draw

        first, *others = (options.seed + k for k in range(options.seeds))
        return measure(
            drawings,
            drawer(first),
            model.spread,
            closeness,
            critics[0],
            own=own,
            seed=first,
            more={seed: drawer(seed) for seed in others},
            more_critics=critics[1:],
        )


def _memorization(
    reporter: Reporter,
    critics: Critics,
    scores: Generalization,
    drawings: Drawings,
    options: ScoreOptions,
    data_dir: Path | None,
) -> tuple[Memorization, Drawings] | None:
    """The nearest training drawings of samples and of people's drawings, and all of them."""
    if not options.memorization:
        return None
    training = data.load("omniglot", data_dir=data_dir, split="weak", part="train", size=28)
    samples = binary_ink(scores.variations.flatten(0, 1))
    held_out = drawings.images[:, None].float()
    characters, each = scores.variations.shape[:2]
    work = len(samples) + len(held_out) + CONTROLS
    with reporter.progress("comparing with training drawings", work) as step:
        found = against_training(
            samples,
            held_out,
            training.images,
            critics.simclr,
            sample_character=torch.arange(characters).repeat_interleave(each),
            held_out_character=drawings.character,
            seed=options.seed,
            advance=step,
        )
    return found, training


def weak_test_drawings(data_dir: Path | None, size: int, limit: int | None) -> Drawings:
    """The drawings of the weak split's test characters, or of `limit` evenly spaced ones."""
    drawings = data.load("omniglot", data_dir=data_dir, split="weak", part="test", size=size)
    count = len(drawings.characters)
    if limit is None or limit >= count:
        return drawings
    keep = torch.zeros(count, dtype=torch.bool)
    keep[torch.linspace(0, count - 1, limit).long()] = True
    return drawings.subset(keep)


def score_images(
    folder: Path,
    *,
    seed: int = 0,
    output: Path | None = None,
    plot: Path | None = None,
    data_dir: Path | None = None,
    force: bool = False,
    reporter: Reporter = SILENT,
) -> PicturesResult:
    """Score the pictures in `folder`, and the reference points if Omniglot is on this machine.

    `folder` has a folder for each character, with exemplar.png and its variations. Raises
    OneshotError.
    """
    files = ScoreFiles.of(output, plot, None, whole=False)
    refuse_to_overwrite(files.all(), force)
    files.check()
    found = read_folders(folder)
    for note in found.notes:
        reporter.note(note)
    critics = Critics.load()
    scores = score_variations(
        found.exemplars, found.variations, critics, present=found.present, seed=seed
    )
    if scores.ways < 20:
        reporter.note(
            f"with {scores.ways} characters, episodes are {scores.ways}-way: recognizability "
            "cannot be compared with 20-way figures"
        )
    reference_scores: dict[str, Scores] = {}
    if data.get_dataset("omniglot").local_files(data_dir):
        reference_scores = references(weak_test_drawings(data_dir, 28, None), critics, seed=seed)
    else:
        reporter.note(
            "no reference points: Omniglot is not on this machine (`oneshot data omniglot` gets it)"
        )
    content = {
        "images": str(folder),
        "characters": len(found.names),
        "variations": int(found.present.sum()),
        "ways": scores.ways,
        "seed": seed,
        **scores_dict(scores),
        "references": {name: scores_dict(s) for name, s in reference_scores.items()},
        "per_character": character_rows(found.names, scores),
        "notes": list(found.notes),
    }
    if files.document:
        atomic_write_bytes(files.document, _json(content))
    if files.plot:
        atomic_write_bytes(
            files.plot, png(scatter({**reference_scores, folder.name or "images": scores}))
        )
    written = [path for path in files.all() if path.exists()]
    return PicturesResult(content, scores, reference_scores, len(found.names), written)


def _json(content: dict[str, Any]) -> bytes:
    return (json.dumps(content, indent=2, ensure_ascii=False) + "\n").encode()
