"""Animations of a drawing process: the canvas after every step, and the attention windows."""

from __future__ import annotations

import colorsys
import json
from collections.abc import Sequence
from contextlib import closing
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw
from torch import Tensor

from oneshot_cli.errors import OneshotError
from oneshot_cli.files import atomic_write_bytes
from oneshot_cli.imaging.formats import KEY, About, check_sides, exif_of, png_info
from oneshot_cli.imaging.rendering import Bytes, cell_side, enlarged

GAP = 8
FADE = 0.6
"""The factor by which the colour of new ink fades with each step."""

FORMATS = ("gif", "webp", "apng", "mp4", "webm")
"""The formats of animations. An animated PNG may end in .png, too."""

ENDINGS = {**{f".{name}": name for name in FORMATS}, ".png": "apng"}

CODECS = {"mp4": "libx264", "webm": "libvpx-vp9"}
"""The codecs of videos."""

Colour = tuple[int, int, int]


@dataclass(frozen=True)
class Strip:
    """One row of an animation: n canvases (n, T, H, W), or in colour (n, T, H, W, 3).

    `writing` (n, T, 2, 3) are the writing windows on the canvases, and `reading` (n, T, 2, 3) the
    reading windows on the picture `seen` (H, W), in grey levels, which stands to the left of the
    canvases. Windows are affine maps from the patch to the image. `finished` (n, H, W) are the
    drawings after the last step, where they are shown otherwise than their canvases. Each may be
    None.
    """

    canvases: Bytes
    writing: Tensor | None
    seen: Bytes | None
    reading: Tensor | None
    finished: Bytes | None = None


def film(strips: Sequence[Strip], *, fade: bool = False) -> list[Image.Image]:
    """The frames of the animation, one for each step, with a row for each strip.

    Each canvas has a colour. Its writing window has it, its reading window on the picture at the
    left, and with `fade` the ink that was written in the last steps. One more frame shows the
    finished drawings, if there are any.
    """
    steps = min(strip.canvases.shape[1] for strip in strips)
    side = cell_side(strips[0].canvases.shape[2])
    columns = max(len(strip.canvases) for strip in strips)
    left = GAP + (side + 2 * GAP if any(strip.seen is not None for strip in strips) else 0)
    size = (left + columns * (side + GAP), GAP + len(strips) * (side + GAP))
    new_ink = [_new_ink(s.canvases) if fade and s.canvases.ndim == 4 else None for s in strips]
    frames = []
    last = steps if any(strip.finished is not None for strip in strips) else steps - 1
    for t in range(last + 1):
        step = min(t, steps - 1)
        frame = Image.new("RGB", size, "white")
        for row, strip in enumerate(strips):
            y = GAP + row * (side + GAP)
            colours = palette(len(strip.canvases))
            if strip.seen is not None:
                panel = enlarged(strip.seen, side).convert("RGB")
                if strip.reading is not None and t < steps:
                    for colour, windows in zip(colours, strip.reading, strict=True):
                        draw_window(panel, windows[t], colour)
                _put(frame, panel, GAP, y)
            for i, colour in enumerate(colours):
                shares = new_ink[row]
                tint = None if shares is None or t == steps else shares[i, t]
                canvas = strip.canvases[i, step]
                if t == steps and strip.finished is not None:
                    canvas = strip.finished[i]
                panel = _inked(canvas, tint, colour, side)
                if strip.writing is not None and t < last:
                    draw_window(panel, strip.writing[i, t], colour)
                _put(frame, panel, left + i * (side + GAP), y)
        frames.append(frame)
    return frames


def palette(n: int) -> list[Colour]:
    """n colours of equal lightness and evenly spaced hues."""
    hues = [(0.99 + i / max(n, 1)) % 1 for i in range(n)]
    return [tuple(round(255 * c) for c in colorsys.hls_to_rgb(h, 0.42, 0.75)) for h in hues]  # type: ignore[misc]


def draw_window(panel: Image.Image, window: Tensor, colour: Colour) -> None:
    """Draw the outline of `window` (2, 3), an affine map from patch to image in [-1, 1]."""
    corners = [(-1, -1), (1, -1), (1, 1), (-1, 1)]
    a = window.double().numpy()
    side = panel.width
    points = [
        tuple(((a[:, :2] @ np.array(corner) + a[:, 2] + 1) * side / 2 - 0.5).tolist())
        for corner in [*corners, corners[0], corners[1]]  # one more, which joins the last corner
    ]
    ImageDraw.Draw(panel).line(points, fill=colour, width=max(1, round(side / 70)), joint="curve")


def save_film(frames: Sequence[Image.Image], path: Path, *, fps: float, hold: float) -> None:
    """Write an animation in an endless loop; the last frame is shown for `hold` seconds.

    The format follows the ending, see ENDINGS. Raises OneshotError for any other ending, and for a
    video if the extra `video` is not installed.
    """
    atomic_write_bytes(path, film_bytes(frames, film_format(path), fps=fps, hold=hold))


def film_format(path: Path) -> str:
    """The format of an animation in this file. Raises OneshotError for an unknown ending."""
    kind = ENDINGS.get(path.suffix.lower())
    if kind is None:
        raise OneshotError(f"{path}: an animation ends in {', '.join(ENDINGS)}")
    require_codec(kind)
    return kind


def require_codec(kind: str) -> None:
    """Raise OneshotError if `kind` is a video and the extra `video` is not installed."""
    if kind in CODECS:
        try:
            import imageio_ffmpeg  # noqa: F401
        except ImportError:
            raise OneshotError(
                f"{kind.upper()} needs ffmpeg, which is an extra\n"
                "pip install 'oneshot-cli[video]', or let the file end in .gif or .webp"
            ) from None


def film_bytes(
    frames: Sequence[Image.Image],
    kind: str,
    *,
    fps: float,
    hold: float,
    about: About | None = None,
) -> bytes:
    """An animation in a format of FORMATS, with `about` in its metadata.

    It loops, and the last frame is shown for `hold` seconds. Raises OneshotError for a video if the
    extra `video` is not installed.
    """
    if kind in CODECS:
        return _video(frames, kind, fps, hold, about)
    durations = [round(1000 / fps)] * (len(frames) - 1) + [round(1000 * hold)]
    options: dict[str, Any]
    if kind == "gif":
        first, *rest = _one_palette(frames)
        options = {"optimize": True, "disposal": 1}
        if about is not None:
            options["comment"] = json.dumps({KEY: about}).encode()
    else:
        first, *rest = frames
        options = {"lossless": True, "method": 4} if kind == "webp" else {"optimize": True}
        if about is not None:
            options |= {"exif": exif_of(about)} if kind == "webp" else {"pnginfo": png_info(about)}
    buffer, name = BytesIO(), {"gif": "GIF", "webp": "WEBP", "apng": "PNG"}[kind]
    check_sides(first, name)
    first.save(
        buffer,
        name,
        save_all=True,
        append_images=rest,
        duration=durations,
        loop=0,
        **options,
    )
    return buffer.getvalue()


def _video(
    frames: Sequence[Image.Image], kind: str, fps: float, hold: float, about: About | None
) -> bytes:
    """A video; ffmpeg writes it to a file."""
    require_codec(kind)
    import imageio_ffmpeg

    width, height = (side + side % 2 for side in frames[0].size)  # the codecs need even sides
    comment = [] if about is None else ["-metadata", f"comment={json.dumps({KEY: about})}"]
    quality = ["-crf", "18", "-b:v", "0"] if kind == "webm" else []
    with TemporaryDirectory() as folder:
        file = Path(folder) / f"film.{kind}"
        with closing(
            imageio_ffmpeg.write_frames(
                str(file),
                (width, height),
                fps=fps,
                codec=CODECS[kind],
                quality=None if quality else 8,
                macro_block_size=2,
                output_params=[*quality, *comment],
            )
        ) as writer:
            writer.send(None)
            for frame in [*frames[:-1], *[frames[-1]] * max(1, round(hold * fps))]:
                even = Image.new("RGB", (width, height), "white")
                even.paste(frame, (0, 0))
                writer.send(even.tobytes())
        return file.read_bytes()


def _one_palette(frames: Sequence[Image.Image]) -> list[Image.Image]:
    """The frames with one common palette, so that a GIF stores only the changes between them.

    The palette has 24 greys from ink to paper and up to 200 of the frames' other colours.
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


def _new_ink(canvases: Bytes) -> NDArray[Any]:
    """The share of each pixel of canvases (n, T, H, W) that is new ink, in [0, 1].

    The ink that a step adds is new in full; a step later FADE of it still is, and so on.
    """
    ink = 1 - canvases / np.float32(255)
    new = np.zeros_like(ink)
    new[:, 0] = ink[:, 0]
    for t in range(1, ink.shape[1]):
        added = np.clip(ink[:, t] - ink[:, t - 1], 0, 1)
        new[:, t] = np.minimum(np.maximum(FADE * new[:, t - 1], added), ink[:, t])
    return new


def _inked(grey: Bytes, tint: NDArray[Any] | None, colour: Colour, side: int) -> Image.Image:
    """A canvas as a picture; `tint` (H, W) is the share of each pixel that has the `colour`."""
    panel = enlarged(grey, side).convert("RGB")
    if tint is None:
        return panel
    share = enlarged((255 - 255 * tint).astype(np.uint8), side)
    return Image.composite(panel, Image.new("RGB", panel.size, colour), share)


def _put(frame: Image.Image, panel: Image.Image, x: int, y: int) -> None:
    frame.paste(panel, (x, y))
    box = (x - 1, y - 1, x + panel.width, y + panel.height)
    ImageDraw.Draw(frame).rectangle(box, outline=(222, 222, 222))
