"""Generates docs/results.md from the files in docs/results: `make tables`.

NAME.json, or NAME.WHAT.json for another measurement of the same model, is the output of `oneshot
eval-nll CHECKPOINT --json`. It includes the checkpoint's header, which has iterations, time and
settings. recipes.json has under NAME the commands that trained the model and, unless the header has
it, the kind of machine. A file that belongs to no table or has no recipe is an error.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from oneshot_cli.evaluation.published import Published, tables
from oneshot_cli.evaluation.standard_errors import unit
from oneshot_cli.model.registry import config_type
from oneshot_cli.presets import PRESETS, Preset
from oneshot_cli.training.config import TrainConfig

HERE = Path(__file__).parent
DATA_FIELDS = ("size", "channels", "observation", "ink")
"""Fields of a model that are determined by its data."""
CONTEXTS = (0, 1, 2, 4, 8)
SPLITS = ("weak", "strong-30-20", "strong-40-10", "strong-45-5")
ABSENT = "not measured"

HEAD = """# Results

Made by `make tables` from the files in [results](results), which are what `oneshot eval-nll`
printed; [evaluation.md](evaluation.md) says how to add one. Upper bounds on -log p in nats per
image unless another unit is named, lower is better. ± is the standard error. Drawings of one
held-out character or alphabet resemble each other, so the error is clustered by these; where it
says naive, an older measurement took all drawings for independent, and the true error is several
times as large. Settings, iterations and times are those in the checkpoints. **Full preset** is the
preset's model and schedule, unchanged; every other row of ours says what differs, the preset's own
value in brackets.
"""

MNIST = """
## MNIST

Published figures as their authors give them, on binarized MNIST of one kind or another; ours on the
binarization that is named (dynamic: the test set drawn once with a fixed seed). So the two are near
each other, but not on the very same pictures.

"""

OMNIGLOT = """
## Omniglot, 28 x 28

Drawings of held-out characters (weak) and of held-out alphabets (strong), given so many other
drawings of the same character; the house protocol of [data.md](data.md), which has no published
counterpart. Compare splits at equal training: the last column says how long.

"""

DENSITY = """
## Omniglot, 26 x 26: few-shot density

Alphabets of the strong 45-5 split, max-pooled (Bornschein et al. 2017), in nats per pixel, given so
many drawings of the same character.

"""


@dataclass(frozen=True)
class Run:
    """A file of docs/results: a checkpoint, its measurements and its recipe."""

    file: Path
    about: dict[str, Any]
    results: list[dict[str, Any]]
    recipe: dict[str, Any]

    @property
    def name(self) -> str:
        return self.file.name.partition(".")[0]

    @property
    def data(self) -> dict[str, Any]:
        return dict(self.about["measured_on"])

    @property
    def machine(self) -> str:
        return str(self.about["training"].get("machine") or self.recipe["machine"])

    @property
    def preset_name(self) -> str:
        named = re.search(r"--model (\S+)", self.recipe["train"][0])
        return named[1] if named else "flagship"

    @property
    def preset(self) -> Preset:
        return PRESETS[self.preset_name]

    @property
    def changes(self) -> list[str]:
        """The model's fields that differ from the preset, with the preset's values in brackets."""
        usual = asdict(config_type(self.preset.kind)(**self.preset.model))
        usual |= {"conditional": self.preset.task != 1} if "conditional" in usual else {}
        mine = {**usual, **self.about["model"]}
        listed = {k: list(v) if isinstance(v, tuple) else v for k, v in usual.items()}
        return [
            f"{name.replace('_', ' ')} {mine[name]} ({value})"
            for name, value in listed.items()
            if name not in DATA_FIELDS and mine[name] != value
        ]

    @property
    def trained(self) -> str:
        """The length of training, and whether it is the full preset."""
        training = self.about["training"]
        full = TrainConfig(**self.preset.training).iterations
        step = training["step"] + training.get("steps_before", 0)
        seconds = training["seconds"] + training.get("seconds_before", 0.0)
        took = f"{step:,} iterations of {training['batch']}, {_time(seconds)}"
        if self.changes:
            return f"{', '.join(self.changes)}; {took}"
        return f"**full preset**: {took}" if step >= full else f"briefly: {took}"

    @property
    def table(self) -> str:
        """The name of the table that its data belong to. Raises SystemExit if there is none."""
        data = self.data
        if data["dataset"] in ("mnist", "mnist-static") and data["size"] == 28:
            return "mnist"
        if data["dataset"] == "omniglot" and data["split"] in SPLITS:
            named = {(28, "area"): "omniglot", (26, "max"): "density"}
            if (data["size"], data["resample"]) in named:
                return named[data["size"], data["resample"]]
        raise SystemExit(f"{self.file}: there is no table for {data}")


def runs(folder: Path) -> list[Run]:
    """All runs in `folder` by name. Raises SystemExit if a file or recipe is missing or wrong."""
    recipes = json.loads((folder / "recipes.json").read_text())
    found = []
    for file in sorted(folder.glob("*.json")):
        if file.name == "recipes.json":
            continue
        content, name = json.loads(file.read_text()), file.name.partition(".")[0]
        if name not in recipes:
            raise SystemExit(f"{file}: recipes.json does not say how {name} was trained")
        if len(content.get("checkpoints", [])) != 1:
            raise SystemExit(
                f"{file}: is not the output of `oneshot eval-nll --json` for one checkpoint"
            )
        found.append(Run(file, content["checkpoints"][0], content["results"], recipes[name]))
    for name in sorted(recipes.keys() - {run.name for run in found}):
        raise SystemExit(f"{folder}: there is a recipe for {name}, but no {name}.json")
    return found


def mnist(measured: Sequence[Run]) -> str:
    """A row for each published result, and rows for our runs that compare with it."""
    rows = []
    placed = {row.preset for row in tables()["mnist"].rows}
    for row in tables()["mnist"].rows:
        train = f", {row.train:.1f} on training images" if row.train else ""
        figure = f"{_published(row)}{train}, {row.authors}"
        mine = [run for run in measured if run.preset_name == row.preset]
        rows += [_digits(run, result, row.name, figure) for run in mine for result in run.results]
        if not mine:
            absent = "not trained here" if row.preset else "not a model here"
            rows.append([row.name, figure, "", "", "", absent])
    for run in (run for run in measured if run.preset_name not in placed):
        rows += [_digits(run, result, "", "") for result in run.results]
    return _table(("model", "published", "our ELBO", "our IWAE", "images", "trained"), rows)


def _digits(run: Run, result: dict[str, Any], name: str, figure: str) -> list[str]:
    label = f"{name}: `{run.name}`" if name else f"`{run.name}`"
    images = f"{_images(result)}, {run.data.get('binarization', 'static')}"
    particles = max(result["iwae"], key=int, default=None)
    iwae = f"{_nats(result['iwae'][particles])} (K = {int(particles):,})" if particles else ""
    return [label, figure, _nats(result["elbo"]), iwae, images, run.trained]


def _naive(result: dict[str, Any], split: str) -> bool:
    """Whether the errors treat drawings of one held-out character as independent."""
    return unit(split) != result.get("errors_clustered_by", "image")


def omniglot(measured: Sequence[Run]) -> str:
    """A row for each model and split, a column for each size of the context."""
    contexts = _contexts(measured)
    rows = []
    for split in SPLITS:
        mine = [run for run in measured if run.data["split"] == split]
        for run, drawings, cells in _by_context(mine, contexts, scale=1):
            rows.append([f"{split}: `{run.name}`", *cells, drawings, run.trained])
        if not mine:
            rows.append([split, *([ABSENT] * len(contexts)), "", "not trained here"])
    return _table(("split", *map(str, contexts), "drawings", "trained"), rows)


def density(measured: Sequence[Run]) -> str:
    """The published results, and ours."""
    contexts = [m for m in _contexts(measured) if m]
    published = tables()["omniglot-strong"].rows
    rows = []
    for name in dict.fromkeys(row.name for row in published):
        given = {row.context: row for row in published if row.name == name}
        figures = [_published(given[m], 3) if m in given else "" for m in contexts]
        rows.append([name, *figures, next(iter(given.values())).authors])
    for run, drawings, cells in _by_context(measured, contexts, scale=26 * 26):
        label = f"`{run.name}`, {run.data['split']}, {drawings}"
        rows.append([label, *cells, run.trained])
    if not measured:
        rows.append(["ours", *([ABSENT] * len(contexts)), "not trained here"])
    return _table(("model", *map(str, contexts), "source, or how it was trained"), rows)


def _contexts(measured: Iterable[Run]) -> list[int]:
    found = {result["context_images"] for run in measured for result in run.results}
    return sorted(found | set(CONTEXTS))


def _by_context(
    measured: Iterable[Run], contexts: Sequence[int], scale: int
) -> list[tuple[Run, str, list[str]]]:
    """Each run, its drawings, and its tightest bound, over `scale`, for each size of context."""
    rows = []
    for run in measured:
        for drawings in dict.fromkeys(_images(result) for result in run.results):
            found = {r["context_images"]: r for r in run.results if _images(r) == drawings}
            split = run.data["split"]
            cells = [_tightest(found[m], scale, split) if m in found else ABSENT for m in contexts]
            rows.append((run, drawings, cells))
    return rows


def _images(result: dict[str, Any]) -> str:
    return f"{result['images']:,} {result['part']}"


def _tightest(result: dict[str, Any], scale: int, split: str) -> str:
    particles = max(result["iwae"], key=int, default=None)
    samples = f" (K = {int(particles):,})" if particles else ""
    figure = result["iwae"][particles] if particles else result["elbo"]
    return _nats(figure, scale) + (" (naive)" if _naive(result, split) else "") + samples


def _nats(figure: dict[str, float], scale: int = 1) -> str:
    digits = 2 if scale == 1 else 4
    return f"{figure['nats'] / scale:.{digits}f} ± {figure['standard_error'] / scale:.{digits}f}"


def _published(row: Published, digits: int = 2) -> str:
    error = f" ({row.error})" if row.error is not None else ""
    return f"{'<= ' if row.bound else ''}{row.value:.{digits}f}{error}"


def _time(seconds: float) -> str:
    minutes = seconds / 60
    return f"{minutes:.0f} minutes" if minutes < 100 else f"{minutes / 60:.1f} hours"


def _table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    lines = [head, ["---"] * len(head), *rows]
    return "".join(f"| {' | '.join(line)} |\n" for line in lines)


def _recipes(measured: Iterable[Run]) -> str:
    named = {run.name: run for run in measured}
    return "".join(
        f"- `{name}`, on {run.machine}:\n  "
        + ",\n  then ".join(f"`{command}`" for command in run.recipe["train"])
        + "\n"
        for name, run in named.items()
    )


def page(folder: Path) -> str:
    """The page generated from the files in `folder`."""
    measured = runs(folder)
    parts = [HEAD]
    for key, head, make in (
        ("mnist", MNIST, mnist),
        ("omniglot", OMNIGLOT, omniglot),
        ("density", DENSITY, density),
    ):
        parts += [head, make([run for run in measured if run.table == key])]
    return "".join([*parts, "\n## How ours were trained\n\n", _recipes(measured)])


if __name__ == "__main__":
    (HERE / "results.md").write_text(page(HERE / "results"))
