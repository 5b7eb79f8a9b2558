"""Films of a drawing being made: the canvas after every step, and the windows of attention."""

from __future__ import annotations

import colorsys
from collections.abc import Sequence
from contextlib import closing
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw
from torch import Tensor

from oneshot_cli.errors import OneshotError
from oneshot_cli.files import atomic_write, atomic_write_bytes
from oneshot_cli.imaging.rendering import Bytes, cell_side, enlarged

GAP = 8
FADE = 0.6
"""How much of a fresh stroke's colour is left a step later."""

ENDINGS = (".gif", ".webp", ".png", ".apng", ".mp4")

Colour = tuple[int, int, int]


@dataclass(frozen=True)
class Strip:
    """One row of a film: n canvases (n, T, H, W), or in colour (n, T, H, W, 3), and what they see.

    `writing` (n, T, 2, 3) are the windows on the canvases; `seen` is the picture beside them, in
    grey levels, with the windows `reading` (n, T, 2, 3) on it. Either may be None.
    """

    canvases: Bytes
    writing: Tensor | None
    seen: Bytes | None
    reading: Tensor | None


def film(strips: Sequence[Strip], *, fade: bool = False) -> list[Image.Image]:
    """One picture a step: a row for each strip, what is seen at the left, then the canvases.

    Each canvas has its colour: of the frame of its writing window, of its reading window on the
    picture beside it, and, with `fade`, of its freshest strokes.
    """
    steps = min(strip.canvases.shape[1] for strip in strips)
    side = cell_side(strips[0].canvases.shape[2])
    columns = max(len(strip.canvases) for strip in strips)
    left = GAP + (side + 2 * GAP if any(strip.seen is not None for strip in strips) else 0)
    size = (left + columns * (side + GAP), GAP + len(strips) * (side + GAP))
    glow = [_glow(s.canvases) if fade and s.canvases.ndim == 4 else None for s in strips]
    frames = []
    for t in range(steps):
        frame = Image.new("RGB", size, "white")
        for row, strip in enumerate(strips):
            y = GAP + row * (side + GAP)
            colours = palette(len(strip.canvases))
            if strip.seen is not None:
                panel = enlarged(strip.seen, side).convert("RGB")
                if strip.reading is not None:
                    for colour, windows in zip(colours, strip.reading, strict=True):
                        draw_window(panel, windows[t], colour)
                _put(frame, panel, GAP, y)
            for i, colour in enumerate(colours):
                fresh = glow[row]
                tint = None if fresh is None else fresh[i, t]
                panel = _inked(strip.canvases[i, t], tint, colour, side)
                if strip.writing is not None and t < steps - 1:
                    draw_window(panel, strip.writing[i, t], colour)
                _put(frame, panel, left + i * (side + GAP), y)
        frames.append(frame)
    return frames


def palette(n: int) -> list[Colour]:
    """n colours that are easily told apart, on white, of equal lightness."""
    hues = [(0.99 + i / max(n, 1)) % 1 for i in range(n)]
    return [tuple(round(255 * c) for c in colorsys.hls_to_rgb(h, 0.42, 0.75)) for h in hues]  # type: ignore[misc]


def draw_window(panel: Image.Image, window: Tensor, colour: Colour) -> None:
    """The frame of `window` (2, 3), a map from patch to image coordinates in [-1, 1]."""
    corners = [(-1, -1), (1, -1), (1, 1), (-1, 1)]
    a = window.double().numpy()
    side = panel.width
    points = [
        tuple(((a[:, :2] @ np.array(corner) + a[:, 2] + 1) * side / 2 - 0.5).tolist())
        for corner in [*corners, corners[0], corners[1]]
    ]
    ImageDraw.Draw(panel).line(points, fill=colour, width=max(1, round(side / 70)), joint="curve")


def save_film(
    frames: Sequence[Image.Image], path: Path, *, fps: float = 10.0, hold: float = 1.5
) -> None:
    """Write an endless animation; the last frame is held for `hold` seconds.

    By the ending: .gif, .webp, .png or .apng (animated PNG), .mp4. Raises OneshotError for any
    other, and for MP4 without its extra.
    """
    kind = path.suffix.lower()
    if kind not in ENDINGS:
        raise OneshotError(f"{path}: an animation ends in {', '.join(ENDINGS)}")
    if kind == ".mp4":
        _save_mp4(frames, path, fps, hold)
        return
    durations = [round(1000 / fps)] * (len(frames) - 1) + [round(1000 * hold)]
    buffer = BytesIO()
    if kind == ".gif":
        first, *rest = _one_palette(frames)
        options = {"optimize": True, "disposal": 1}
    else:
        first, *rest = frames
        options = {"lossless": True, "method": 4} if kind == ".webp" else {"optimize": True}
    first.save(
        buffer,
        {".gif": "GIF", ".webp": "WEBP"}.get(kind, "PNG"),
        save_all=True,
        append_images=rest,
        duration=durations,
        loop=0,
        **options,
    )
    atomic_write_bytes(path, buffer.getvalue())


def _save_mp4(frames: Sequence[Image.Image], path: Path, fps: float, hold: float) -> None:
    try:
        import imageio_ffmpeg
    except ImportError:
        raise OneshotError(
            f"{path}: MP4 needs ffmpeg, which is an extra\n"
            "pip install 'oneshot-cli[video]', or let the file end in .gif or .webp"
        ) from None
    width, height = (side + side % 2 for side in frames[0].size)  # the codec wants even sides
    with (
        atomic_write(path) as temporary,
        closing(
            imageio_ffmpeg.write_frames(
                str(temporary), (width, height), fps=fps, quality=8, macro_block_size=2
            )
        ) as writer,
    ):
        writer.send(None)
        for frame in [*frames, *[frames[-1]] * round(hold * fps)]:
            even = Image.new("RGB", (width, height), "white")
            even.paste(frame, (0, 0))
            writer.send(even.tobytes())


def _one_palette(frames: Sequence[Image.Image]) -> list[Image.Image]:
    """The frames in one palette, so that only what changes from one to the next is stored.

    24 greys from ink to paper, and the other colours that the frames hold.
    """
    greys = np.linspace(0, 255, 24).round()[:, None].repeat(3, 1)
    counts = [frame.getcolors(frame.width * frame.height) or [] for frame in frames]
    tinted = np.array(sorted({rgb for colours in counts for _, rgb in colours}), np.uint8)
    tinted = tinted[np.ptp(tinted, axis=1) > 8]
    levels = greys
    if len(tinted):
        strip = Image.fromarray(tinted[None])
        found = strip.quantize(200, Image.Quantize.MEDIANCUT).getpalette() or []
        levels = np.concatenate([greys, np.reshape(found, (-1, 3))])
    palette = Image.new("P", (1, 1))
    palette.putpalette(levels.astype(int).flatten().tolist())
    return [frame.quantize(palette=palette, dither=Image.Dither.NONE) for frame in frames]


def _glow(canvases: Bytes) -> NDArray[Any]:
    """How fresh the ink of canvases (n, T, H, W) is, in [0, 1]: what a step added, fading."""
    ink = 1 - canvases / np.float32(255)
    glow = np.zeros_like(ink)
    glow[:, 0] = ink[:, 0]
    for t in range(1, ink.shape[1]):
        added = np.clip(ink[:, t] - ink[:, t - 1], 0, 1)
        glow[:, t] = np.minimum(np.maximum(FADE * glow[:, t - 1], added), ink[:, t])
    return glow


def _inked(grey: Bytes, tint: NDArray[Any] | None, colour: Colour, side: int) -> Image.Image:
    """A canvas as a panel; `tint` (H, W) is how much of its ink is in `colour` and not black."""
    panel = enlarged(grey, side).convert("RGB")
    if tint is None:
        return panel
    share = enlarged((255 - 255 * tint).astype(np.uint8), side)
    return Image.composite(panel, Image.new("RGB", panel.size, colour), share)


def _put(frame: Image.Image, panel: Image.Image, x: int, y: int) -> None:
    frame.paste(panel, (x, y))
    box = (x - 1, y - 1, x + panel.width, y + panel.height)
    ImageDraw.Draw(frame).rectangle(box, outline=(222, 222, 222))
