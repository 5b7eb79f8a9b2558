"""`animate`: an animation of the model drawing."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from oneshot_cli.drawing.defaults import DEFAULT_SIZE, FPS, HOLD
from oneshot_cli.drawing.oneshot import load
from oneshot_cli.errors import UsageError
from oneshot_cli.imaging.animation import film, film_bytes, film_format, require_codec
from oneshot_cli.imaging.exemplar import Picture, Reading
from oneshot_cli.imaging.rendering import Bytes, of_mask
from oneshot_cli.reporting import SILENT, Reporter
from oneshot_cli.workflows.jobs import STANDARD, find, title
from oneshot_cli.workflows.pictures import check_written, description
from oneshot_cli.workflows.targets import (
    DEFAULT_FOLDER,
    opened,
    refuse_conflicts,
    refuse_terminal,
    refuse_url,
    write,
)

MOST = 400
"""The largest number of drawings in one film."""


@dataclass(frozen=True)
class AnimateResult:
    """The result of `animate`: its file, the number of its frames, and their size in pixels."""

    checkpoint: Path | None
    animation: Path | None
    """None if it was written to standard output."""
    exemplars: list[str]
    drawings: int
    frames: int
    width: int
    height: int
    bytes: int
    seed: int
    failed: list[tuple[str, str]]
    """The paths that could not be read, and the reasons."""

    def document(self) -> dict[str, Any]:
        """For JSON."""
        return {
            "checkpoint": self.checkpoint,
            "animation": self.animation,
            "exemplars": self.exemplars,
            "drawings": self.drawings,
            "frames": self.frames,
            "width": self.width,
            "height": self.height,
            "bytes": self.bytes,
            "seed": self.seed,
            "failed": [{"exemplar": name, "error": error} for name, error in self.failed],
        }


def animate(
    exemplars: Sequence[Path] = (),
    output: str | Path | None = None,
    *,
    n: int = 5,
    size: int = DEFAULT_SIZE,
    seed: int = 0,
    spread: float | None = None,
    closeness: float | None = None,
    reconstruct: bool = False,
    windows: bool = True,
    fade: bool = False,
    fps: float = FPS,
    hold: float = HOLD,
    format: str | None = None,
    frame: int | None = None,
    box: str = "auto",
    each: bool = False,
    checkpoint: str | Path | None = None,
    device: str = "auto",
    force: bool = False,
    reporter: Reporter = SILENT,
) -> AnimateResult:
    """Animate the canvas over the steps of n drawings of each exemplar, as `oneshot animate` does.

    Without exemplars the drawings are unconditional samples. `output` is a file, or `-` for
    standard output; without it, the film is written to a new folder in `out`. `fps` is the number
    of steps a second, `hold` the seconds that the last frame is shown. Raises OneshotError.
    """
    check_written(n=n, seed=seed, spread=spread, closeness=closeness, size=size)
    if reconstruct and not exemplars:
        raise UsageError("--reconstruct needs an exemplar")
    written = DEFAULT_FOLDER if output is None else None
    found = find(exemplars, written, Reading(frame, box), each=each)
    if exemplars:
        found.report(reporter)
    drawings = n * max(1, len(found.sources))
    if drawings > MOST:
        raise UsageError(f"{drawings} drawings, but a film has at most {MOST}")
    with film_file(output, format, title(exemplars) if exemplars else "sample") as (file, kind):
        refuse_conflicts([file], [source.path for source in found.sources], overwrite=force)
        model = load(checkpoint, device)
        read = found.drawings(model.size, reporter) if exemplars else []
        rows: list[tuple[Picture | None, Bytes | None]]
        rows = [(drawing, of_mask(drawing.mask, size)) for _, drawing in read]
        strips = []
        with reporter.progress("drawing", n * max(1, len(read))) as advance:
            for picture, seen in rows or [(None, None)]:
                made = model.draw(
                    picture,
                    n,
                    seed=seed,
                    spread=spread,
                    closeness=closeness,
                    size=size,
                    reconstruct=reconstruct,
                )
                strips.append(made.strip(seen, windows=windows))
                advance(n)
        about = description(model, "animate", n=n, seed=seed, size=size, reconstruct=reconstruct)
        if not reconstruct:
            usual = (model.spread, model.closeness) if read else (1.0, None)
            about["spread"] = usual[0] if spread is None else spread
            about["closeness"] = usual[1] if closeness is None or not read else closeness
        about["exemplar"] = [source.label for source, _ in read]
        with reporter.progress("writing the film", None):
            frames = film(strips, fade=fade)
            content = film_bytes(frames, kind, fps=fps, hold=hold, about=about)
        write(file, content)
    return AnimateResult(
        checkpoint=model.path,
        animation=None if file == STANDARD else file,
        exemplars=[str(source) for source, _ in read],
        drawings=n * len(strips),
        frames=len(frames),
        width=frames[0].width,
        height=frames[0].height,
        bytes=len(content),
        seed=seed,
        failed=found.failed,
    )


@contextmanager
def film_file(
    output: str | Path | None, format: str | None, title: str
) -> Iterator[tuple[Path, str]]:
    """The file of a film and its format, for the block. Without an output it is in a new folder.

    An output without an ending is a folder, too.

    Raises OneshotError for an unknown ending, UsageError if format and ending contradict.
    """
    if output is None:
        kind = format or "gif"
        require_codec(kind)
        with opened(None, None, title) as target:
            yield target.folder / f"animation.{kind}", kind
        return
    refuse_url(output)
    file = Path(output)
    if file == STANDARD:
        refuse_terminal()
        require_codec(format or "gif")
        yield file, format or "gif"
        return
    if str(output).endswith(("/", os.sep)) or file.is_dir() or not file.suffix:
        file = file / f"animation.{format or 'gif'}"
    kind = film_format(file)
    if format not in (None, kind):
        raise UsageError(f"--format {format} does not fit the ending of {file}")
    yield file, kind
