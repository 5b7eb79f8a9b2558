"""`oneshot info`: describes a checkpoint."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Annotated, Any

import typer

from oneshot_cli.cli import completion
from oneshot_cli.cli.options import JsonOption, QuietOption, VerboseOption
from oneshot_cli.cli.screen import Screen, counted
from oneshot_cli.ranges import is_number

WRITTEN_ENDINGS = frozenset(
    {".png", ".apng", ".webp", ".svg", ".npz", ".gif", ".jpg", ".jpeg", ".tif", ".tiff"}
)
"""The endings of pictures that say how they were drawn."""

VIDEOS = frozenset({".mp4", ".webm"})
"""The endings of films whose description other programs read."""


def info(
    checkpoint: Annotated[
        Path | None,
        typer.Argument(
            help="A .safetensors checkpoint, the folder of a run, or a picture that oneshot wrote; "
            "without it, the flagship that ships with oneshot.",
            show_default=False,
            autocompletion=completion.checkpoints,
        ),
    ] = None,
    json: JsonOption = False,
    quiet: QuietOption = False,
    verbose: VerboseOption = False,
) -> None:
    """Describe a checkpoint: its model, data, split, training and measured results.

    What it draws, what it was trained on and how good it is come first, then all fields of its
    header. The weights are not read. Of a picture it tells how it was drawn: the exemplar, the
    seed, the settings, and the version of oneshot.
    """
    if checkpoint is not None and checkpoint.suffix.lower() in WRITTEN_ENDINGS:
        _describe_picture(checkpoint, Screen(json, quiet, verbose))
        return
    if checkpoint is not None and checkpoint.suffix.lower() in VIDEOS:
        from oneshot_cli.errors import UsageError

        raise UsageError(
            f"{checkpoint}: how a video was drawn stands in its comment, which this does not read\n"
            "ffprobe shows it; films of the other formats are described here"
        )

    from math import prod

    from rich.table import Table
    from safetensors import safe_open

    from oneshot_cli.checkpoint import checkpoint_file, read_header
    from oneshot_cli.paths import flagship

    path = flagship() if checkpoint is None else checkpoint_file(checkpoint)
    header = read_header(path)
    with safe_open(path, "np") as file:
        names = list(file.keys())
        parameters = sum(prod(file.get_slice(name).get_shape()) for name in names)
    document: dict[str, Any] = {
        "checkpoint": str(path),
        "bytes": path.stat().st_size,
        "parameters": parameters,
        "version": header.version,
        "model": {"kind": header.model, **header.config.to_dict()},
        "data": header.data,
        "training": header.training,
        "figures": header.figures,
        "sampling": header.sampling,
    }
    screen = Screen(json, quiet, verbose)
    screen.document(document)
    if json:
        return
    table = Table(title=str(path), title_justify="left", show_header=False, box=None)
    table.add_column(style="bold")
    table.add_column()
    for name, text in _rows(path, document):
        table.add_row(name, text)
    screen.console.print(table)


def _rows(path: Path, document: Mapping[str, Any]) -> list[tuple[str, str]]:
    """The summary, and all fields. Raises OneshotError if they are none of oneshot's."""
    from oneshot_cli.errors import OneshotError

    try:
        rows = [*_summary(document), ("", "")]
        for part in ("model", "data", "training", "figures", "sampling"):
            for i, (name, value) in enumerate(_flat(document[part])):
                rows.append((part if i == 0 else "", f"{name}: {_readable(name, value)}"))
    except (TypeError, ValueError, LookupError, AttributeError, ArithmeticError) as error:
        raise OneshotError(
            f"{path}: its header is not as oneshot writes it ({error}); --json shows it"
        ) from error
    return rows


def _describe_picture(path: Path, screen: Screen) -> None:
    """Print how a picture was drawn. Raises OneshotError if it does not say so."""
    from rich.table import Table

    from oneshot_cli.errors import OneshotError
    from oneshot_cli.imaging.formats import about_of

    about = about_of(path)
    if about is None:
        raise OneshotError(f"{path}: a picture, but it does not say that oneshot drew it")
    screen.document({"picture": path, **about})
    if screen.json_only:
        return
    table = Table(title=str(path), title_justify="left", show_header=False)
    table.box = None
    table.add_column(style="bold")
    table.add_column()
    for name, value in about.items():
        if value is not None:
            shown = ", ".join(map(str, value)) if isinstance(value, list) else str(value)
            table.add_row(name.replace("_", " "), shown)
    screen.console.print(table)


def _summary(document: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    """What matters most of a checkpoint: a word, and what there is to say."""
    model, data, training = (document[part] for part in ("model", "data", "training"))
    size, conditional = model["size"], model.get("conditional", False)
    pictures = "new drawings of exemplars, or free ones" if conditional else "free drawings"
    yield "draws", f"{pictures}, {size} x {size} pixels ({model['kind']} model)"
    if data:
        split = f", {data['split']} split" if data.get("split") else ""
        yield "trained on", f"{data.get('dataset', 'other data')}{split}{_effort(training)}"
    for i, line in enumerate(_measured(document["figures"])):
        yield "measured" if i == 0 else "", line
    parameters = f"{document['parameters']:,} parameters"
    written = f", written by oneshot {document['version']}" if document["version"] else ""
    yield "file", f"{document['bytes'] / 1e6:.2f} MB, {parameters}{written}"


def _effort(training: Mapping[str, Any]) -> str:
    steps = training.get("step", training.get("iterations"))
    if steps is None:
        return ""
    seconds = training.get("seconds")
    time = f" in {_readable('seconds', seconds)}" if seconds is not None else ""
    before = training.get("steps_before")
    return f"; {counted(steps, 'iteration')}{time}" + (
        f", after {before:,} before" if before else ""
    )


def _measured(figures: Mapping[str, Any]) -> Iterator[str]:
    """A line for the bounds at each size, for those of a run, and for the scores."""
    for name, measured in figures.items():
        bounds = [
            f"{measured[bound]['nats']:.1f} \u00b1 {measured[bound]['standard_error']:.1f} "
            f"({bound.upper()})"
            for bound in ("iwae", "elbo")
            if isinstance(measured, Mapping) and bound in measured
        ]
        if bounds:
            yield f"{name}: -log p <= {', '.join(bounds)} nats"
        elif name.endswith("_bound") and isinstance(measured, int | float):
            yield f"{name.removesuffix('_bound').replace('_', ' ')}: -log p <= {-measured:.2f} nats"
    scores = figures.get("score", {}).get("default", {})
    shares = [f"{name.replace('_', ' ')} {each['value']:.2f}" for name, each in scores.items()]
    if shares:
        yield f"variations: {', '.join(shares)}"


def _flat(fields: Mapping[str, Any], prefix: str = "") -> Iterator[tuple[str, Any]]:
    """The values of nested fields, with names joined by dots."""
    for name, value in fields.items():
        if isinstance(value, Mapping):
            yield from _flat(value, f"{prefix}{name}.")
        else:
            yield prefix + name, value


def _readable(name: str, value: Any) -> str:
    if name.endswith("seconds") and isinstance(value, int | float):
        minutes, seconds = divmod(round(value), 60)
        hours, minutes = divmod(minutes, 60)
        return f"{hours} h {minutes:02} min" if hours else f"{minutes} min {seconds:02} s"
    if not is_number(value):
        return str(value)
    return f"{value:,}" if isinstance(value, int) else f"{value:.5g}"
