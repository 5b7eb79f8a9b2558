"""`animate`: an animation of the model drawing."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from oneshot_cli.drawing.defaults import DEFAULT_SIZE
from oneshot_cli.drawing.oneshot import load
from oneshot_cli.errors import UsageError
from oneshot_cli.files import refuse_to_overwrite
from oneshot_cli.imaging.animation import Strip, film, save_film
from oneshot_cli.imaging.exemplar import drawing
from oneshot_cli.imaging.rendering import of_mask
from oneshot_cli.reporting import SILENT, Reporter
from oneshot_cli.workflows.jobs import pictures_in

MOST = 400
"""The largest number of drawings in one film."""


@dataclass(frozen=True)
class AnimateResult:
    """The result of `animate`: its file, the number of its frames, and their size in pixels."""

    checkpoint: Path | None
    animation: Path
    exemplars: list[Path]
    drawings: int
    frames: int
    width: int
    height: int
    seed: int

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
            "bytes": self.animation.stat().st_size,
            "seed": self.seed,
        }


def animate(
    exemplars: Sequence[Path] = (),
    output: Path = Path("out/animation.gif"),
    *,
    n: int = 5,
    size: int = DEFAULT_SIZE,
    seed: int = 0,
    spread: float | None = None,
    closeness: float | None = None,
    reconstruct: bool = False,
    windows: bool = True,
    fade: bool = False,
    fps: float = 8.0,
    hold: float = 2.0,
    checkpoint: str | Path | None = None,
    device: str = "auto",
    force: bool = False,
    reporter: Reporter = SILENT,
) -> AnimateResult:
    """Animate the canvas over the steps of n drawings of each exemplar, as `oneshot animate` does.

    Without exemplars the drawings are unconditional samples. `fps` is the number of steps a second,
    `hold` the seconds that the last frame is shown. Raises OneshotError.
    """
    if reconstruct and not exemplars:
        raise UsageError("--reconstruct needs an exemplar")
    refuse_to_overwrite([output], force)
    found = [path for _, path in pictures_in(exemplars)]
    if n * max(1, len(found)) > MOST:
        raise UsageError(f"{n * len(found)} drawings, but a film has at most {MOST}")
    model = load(checkpoint, device)
    each: list[Path | None] = [*found] or [None]
    strips = []
    with reporter.progress("drawing", len(each)) as advance:
        for path in each:
            made = model.draw(
                path,
                n,
                seed=seed,
                spread=spread,
                closeness=closeness,
                size=size,
                reconstruct=reconstruct,
            )
            reading = made.target_windows if reconstruct else made.read_windows
            strips.append(
                Strip(
                    canvases=model.render(made.frames, pen=0),
                    writing=made.write_windows if windows else None,
                    seen=None if path is None else of_mask(drawing(path, model.size).mask, size),
                    reading=reading if windows else None,
                )
            )
            advance(1)
    frames = film(strips, fade=fade)
    save_film(frames, output, fps=fps, hold=hold)
    return AnimateResult(
        checkpoint=model.path,
        animation=output,
        exemplars=found,
        drawings=n * len(strips),
        frames=len(frames),
        width=frames[0].width,
        height=frames[0].height,
        seed=seed,
    )
