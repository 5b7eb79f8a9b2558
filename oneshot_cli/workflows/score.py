"""The work of `oneshot score`: load, measure with a display, print, write."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from oneshot_cli import data
from oneshot_cli.cli import score_tables as show
from oneshot_cli.cli.options import Screen, require_folder
from oneshot_cli.data.drawings import Drawings
from oneshot_cli.data.fetch import Remote, find
from oneshot_cli.drawing.oneshot import Oneshot, load
from oneshot_cli.errors import OneshotError
from oneshot_cli.evaluation import classification as runs_module
from oneshot_cli.evaluation.critics import binary_ink, critic_path, save_critic
from oneshot_cli.evaluation.critics.training import PROTONET, SIMCLR, train_critic
from oneshot_cli.evaluation.curve import SPREADS
from oneshot_cli.evaluation.folders import read_folders
from oneshot_cli.evaluation.generalization import (
    Generalization,
    RunsResult,
    character_rows,
    document,
    measure,
    scores_dict,
)
from oneshot_cli.evaluation.memorization import Memorization, memorization
from oneshot_cli.evaluation.oneshot_scores import Critics, Scores, people, references, score
from oneshot_cli.evaluation.plots import png, require_matplotlib, scatter
from oneshot_cli.evaluation.report import nearest_sheet, page
from oneshot_cli.files import atomic_write_bytes
from oneshot_cli.imaging.rendering import save_picture
from oneshot_cli.paths import shown

AT_ONCE = 10
"""Characters whose variations are drawn in one batch; no figure depends on it."""


@dataclass(frozen=True)
class Parts:
    """What of a checkpoint is measured: the options of `oneshot score`."""

    n: int
    limit: int | None
    size: int | None
    closeness: float | None
    classify: bool
    runs: Path | None
    particles: int
    memorization: bool
    seed: int


@dataclass(frozen=True)
class Files:
    """Where results go; None is not written."""

    document: Path | None
    plot: Path | None
    report: Path | None
    nearest: Path | None

    @classmethod
    def of(
        cls, output: Path | None, plot: Path | None, report: Path | None, *, whole: bool
    ) -> Files:
        """The files in folder `output`, and those named apart. `whole`: a checkpoint is scored."""
        if output is None:
            return cls(None, plot, report, None)
        return cls(
            document=output / "score.json",
            plot=plot or output / "scatter.png",
            report=report or (output / "report.html" if whole else None),
            nearest=output / "nearest.png" if whole else None,
        )

    def all(self) -> Iterator[Path]:
        """Those that will be written."""
        yield from filter(None, (self.document, self.plot, self.report, self.nearest))

    def check(self) -> None:
        """Raise OneshotError before the work, if they cannot be made."""
        for path in self.all():
            require_folder(path.parent)
        if self.plot or self.report:
            require_matplotlib()


def score_checkpoint(
    screen: Screen,
    checkpoint: Path | None,
    parts: Parts,
    files: Files,
    data_dir: Path | None,
    device: str,
) -> None:
    """Measure a checkpoint, print, write."""
    started = time.monotonic()
    model = load(checkpoint, device)
    config = model.model.config
    if not config.conditional or config.observation != "bernoulli" or config.channels > 1:
        raise OneshotError(
            f"{model.path}: draws no variations of a binary exemplar (a {config.kind}, "
            f"{'with' if config.conditional else 'without'} a context), so it has no such score"
        )
    critics = Critics.load(model.device)
    drawings = _test_drawings(data_dir, 28, parts.limit)
    trained_on = model.header.data.get("split") or "unknown"
    if trained_on != "weak":
        screen.note(
            f"trained on {model.header.data.get('dataset', 'unknown')}, split {trained_on}: "
            "it may have seen the test characters of the weak split"
        )
    scores = _generalization(screen, model, critics, drawings, parts, data_dir)
    runs = _classification(screen, model, critics, parts, data_dir) if parts.classify else None
    recall = _memorization(screen, critics, scores, drawings, parts, data_dir)
    content: dict[str, Any] = {
        "checkpoint": shown(model.path),
        "dataset": "omniglot",
        "split": "weak",
        "trained_on": model.header.data,
        "seed": parts.seed,
        **document(scores, runs, recall[0] if recall else None),
    }
    # No clock inside: the document of the same seed is the same to the byte.
    screen.document(content)
    show.generalization(screen, scores, runs, recall[0] if recall else None)
    if files.document:
        atomic_write_bytes(files.document, _json(content))
    if files.plot:
        atomic_write_bytes(files.plot, png(scatter(scores.references, scores.curve)))
    if files.nearest and recall:
        save_picture(nearest_sheet(scores.variations, *recall), files.nearest)
    if files.report:
        html = page(shown(model.path), content, scores, runs, recall)
        atomic_write_bytes(files.report, html.encode())
    for path in files.all():
        if path.exists():
            screen.result(str(path))
    screen.note(f"measured in {time.monotonic() - started:.0f} s")


def _generalization(
    screen: Screen,
    model: Oneshot,
    critics: Critics,
    drawings: Drawings,
    parts: Parts,
    data_dir: Path | None,
) -> Generalization:
    """The curve over temperatures and the scores at the checkpoint's own."""
    own = drawings
    if model.size != drawings.size:
        own = _test_drawings(data_dir, model.size, parts.limit)
    exemplars = people(own, parts.seed)[0]
    closeness = model.closeness if parts.closeness is None else parts.closeness
    count = len(exemplars)
    with screen.progress("drawing", (len(SPREADS) + 1) * count * parts.n) as advance:

        def draw(spread: float) -> Tensor:
            drawn = []
            for rows in exemplars.split(AT_ONCE):
                sets = [exemplar[None] for exemplar in rows]
                drawn.append(
                    model.vary_batch(
                        sets,
                        parts.n,
                        seed=parts.seed,
                        spread=spread,
                        closeness=closeness,
                        size=parts.size or model.size,
                    )
                )
                advance(len(rows) * parts.n)
            return torch.cat(drawn)

        defaults = (model.spread, closeness)
        return measure(drawings, draw, *defaults, critics, own=own, seed=parts.seed)


def _classification(
    screen: Screen, model: Oneshot, critics: Critics, parts: Parts, data_dir: Path | None
) -> RunsResult:
    """Lake's runs if they are at hand, seeded ones otherwise, by the model and by the critic."""
    size = model.model.config.reading
    runs = _runs(parts, data_dir, size)
    small = runs if size == 28 else _runs(parts, data_dir, 28)
    with screen.progress("classifying", runs.label.numel()) as advance:
        found = runs_module.model_scores(
            model.model, runs, particles=parts.particles, seed=parts.seed, advance=advance
        )
    split = model.header.data.get("split")
    own = [] if split == "strong-30-20" else ["model"]
    return RunsResult(
        source=runs.source,
        particles=parts.particles,
        model=runs_module.classify(found, runs.label, parts.seed),
        protonet=runs_module.classify(
            runs_module.protonet_scores(critics.protonet, small), small.label, parts.seed
        ),
        seen=" and ".join([*own, "prototypical network"]),
    )


def _runs(parts: Parts, data_dir: Path | None, size: int) -> runs_module.Runs:
    beside = find([Remote("all_runs.zip")], ["omniglot"], data_dir)
    path = parts.runs or (beside[0] if beside else None)
    if path is not None:
        return runs_module.official_runs(path, size)
    evaluation = data.load(
        "omniglot", data_dir=data_dir, split="strong-30-20", part="test", size=size
    )
    return runs_module.seeded_runs(evaluation, seed=parts.seed)


def _memorization(
    screen: Screen,
    critics: Critics,
    scores: Generalization,
    drawings: Drawings,
    parts: Parts,
    data_dir: Path | None,
) -> tuple[Memorization, Drawings] | None:
    """Samples and people's drawings against all training drawings, and those drawings."""
    if not parts.memorization:
        return None
    training = data.load("omniglot", data_dir=data_dir, split="weak", part="train", size=28)
    samples = binary_ink(scores.variations.flatten(0, 1))
    held_out = drawings.images[:, None].float()
    with screen.progress("comparing with training drawings", len(samples) + len(held_out)) as step:
        found = memorization(samples, held_out, training.images, critics.simclr, advance=step)
    return found, training


def _test_drawings(data_dir: Path | None, size: int, limit: int | None) -> Drawings:
    """The test characters of the weak split, or `limit` of them at even distances."""
    drawings = data.load("omniglot", data_dir=data_dir, split="weak", part="test", size=size)
    count = len(drawings.characters)
    if limit is None or limit >= count:
        return drawings
    keep = torch.zeros(count, dtype=torch.bool)
    keep[torch.linspace(0, count - 1, limit).long()] = True
    return drawings.subset(keep)


def score_images(
    screen: Screen, folder: Path, files: Files, data_dir: Path | None, seed: int
) -> None:
    """Score the pictures in `folder`, beside people's where Omniglot is at hand."""
    found = read_folders(folder)
    for note in found.notes:
        screen.note(note)
    critics = Critics.load()
    scores = score(found.exemplars, found.variations, critics, present=found.present, seed=seed)
    if scores.ways < 20:
        screen.note(
            f"with {scores.ways} characters, episodes are {scores.ways}-way: recognizability "
            "cannot be compared with 20-way figures"
        )
    known: dict[str, Scores] = {}
    if data.known("omniglot").at_hand(data_dir):
        known = references(_test_drawings(data_dir, 28, None), critics, seed=seed)
    else:
        screen.note("Omniglot is not at hand: no reference points (oneshot data omniglot)")
    content = {
        "images": str(folder),
        "characters": len(found.names),
        "variations": int(found.present.sum()),
        "ways": scores.ways,
        "seed": seed,
        **scores_dict(scores),
        "references": {name: scores_dict(s) for name, s in known.items()},
        "per_character": character_rows(found.names, scores),
        "notes": list(found.notes),
    }
    screen.document(content)
    show.pictures(screen, str(folder), scores, known, len(found.names))
    if files.document:
        atomic_write_bytes(files.document, _json(content))
    if files.plot:
        atomic_write_bytes(files.plot, png(scatter({**known, folder.name or "images": scores})))


def train(screen: Screen, output: Path | None, data_dir: Path | None) -> None:
    """Train both critics on the weak training characters and write their weights."""
    drawings = data.load("omniglot", data_dir=data_dir, split="weak", part="train", size=105)
    test = _test_drawings(data_dir, 28, None)
    written = {}
    for name, settings in (("protonet", PROTONET), ("simclr", SIMCLR)):
        path = (
            critic_path(name) if output is None else require_folder(output) / f"{name}.safetensors"
        )
        started = time.monotonic()
        with screen.progress(f"training {name}", settings.iterations) as advance:
            critic, record = train_critic(name, drawings, settings, _steps(advance))
        minutes = round((time.monotonic() - started) / 60, 1)
        record |= {"dataset": "omniglot", "split": "weak", "minutes": minutes}
        try:
            save_critic(path, name, critic, record)
        except OSError as error:
            raise OneshotError(f"{path}: cannot be written ({error}); give --output") from error
        written[name] = critic
        screen.result(str(path))
    known = references(test, Critics(written["protonet"], written["simclr"]))
    screen.document({name: scores_dict(s) for name, s in known.items()})
    show.pictures(screen, "", None, known, len(test.characters))


def _steps(advance: Callable[[int], None]) -> Callable[[int, int, float], None]:
    return lambda done, total, loss: advance(1)


def _json(content: dict[str, Any]) -> bytes:
    return (json.dumps(content, indent=2, ensure_ascii=False) + "\n").encode()
