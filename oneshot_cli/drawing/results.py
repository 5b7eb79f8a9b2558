"""Results of drawing: arrays that show themselves in a notebook and save themselves."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path
from typing import Any

import torch
from numpy.typing import NDArray
from PIL import Image
from torch import Tensor

from oneshot_cli.drawing.defaults import FPS, HOLD
from oneshot_cli.drawing.rendering import Rendering
from oneshot_cli.errors import OneshotError, UsageError
from oneshot_cli.files import require_folder
from oneshot_cli.imaging.animation import Strip, film, film_bytes, save_film
from oneshot_cli.imaging.grid import Group, sheet
from oneshot_cli.imaging.reading import PICTURE_ENDINGS
from oneshot_cli.imaging.rendering import Bytes, of_mask, save_picture

SHOWN = 100
"""A notebook shows at most this many pictures."""


class Pictures(Tensor):
    """Drawings: a float tensor (n, C, H, W), for ink (n, 1, H, W) in [0, 1], that shows itself.

    A notebook shows them on a sheet, beside their exemplars. Indexing the first dimension gives
    pictures again, `pictures[0]` one alone (C, H, W). Any other operation gives a plain tensor.
    `exemplars` (M, 1, S, S) is the ink of the exemplars as the model read them.
    """

    rendering: Rendering
    exemplars: Tensor

    __torch_function__ = torch._C._disabled_torch_function_impl  # type: ignore[assignment]

    @classmethod
    def of(cls, values: Tensor, rendering: Rendering, exemplars: Tensor) -> Pictures:
        """`values` (n, C, H, W) or (C, H, W) as pictures. They share their memory."""
        made = values.as_subclass(cls)
        made.rendering, made.exemplars = rendering, exemplars
        return made

    def pictures(self, pen: float | None = None) -> list[Image.Image]:
        """Each drawing as a Pillow picture, ink black on white. `pen` is as in `Oneshot.render`."""
        return [Image.fromarray(levels) for levels in self._levels(pen)]

    def grid(self, pen: float | None = None) -> Image.Image:
        """All drawings on one sheet, with their exemplars; a drawing alone is the picture itself.

        Raises OneshotError if n is 0.
        """
        return self._sheet("", pen)

    def save(self, path: str | Path, *, pen: float | None = None) -> list[Path]:
        """Write the sheet to a file that ends like a picture, or each drawing into a folder.

        In a folder they are 01.png, 02.png and so on. What is there is replaced. Returns the files
        written. Raises UsageError for an unknown ending, OneshotError for a sheet of no drawings.
        """
        path = Path(path)
        if not path.is_dir() and path.suffix:
            if path.suffix.lower() not in PICTURE_ENDINGS:
                raise UsageError(
                    f"{path}: pictures are not written as {path.suffix}; name a folder, "
                    f"or a file ending in {', '.join(sorted(PICTURE_ENDINGS))}"
                )
            save_picture(self.grid(pen), path)
            return [path]
        require_folder(path)
        drawn = self.pictures(pen)
        digits = max(2, len(str(len(drawn))))
        files = [path / f"{i:0{digits}}.png" for i in range(1, len(drawn) + 1)]
        for picture, file in zip(drawn, files, strict=True):
            save_picture(picture, file)
        return files

    def _repr_png_(self) -> bytes | None:
        """For notebooks: the sheet of the first SHOWN drawings; None if there are none."""
        if not self.numel():
            return None
        few = self.dim() == 3 or len(self) <= SHOWN
        shown = self if few else self[:SHOWN]
        label = "" if few else f"the first {SHOWN} of {len(self):,}"
        buffer = BytesIO()
        shown._sheet(label).save(buffer, "PNG")
        return buffer.getvalue()

    def _levels(self, pen: float | None) -> Bytes:
        """uint8 levels (n, H, W), or (n, H, W, 3) in colour; n is 1 for a drawing alone."""
        drawings = self.as_subclass(Tensor).detach().cpu().float()
        pictures = drawings if self.dim() == 4 else drawings[None]
        return self.rendering.levels(pictures, pen, self.exemplars)

    def _sheet(self, label: str, pen: float | None = None) -> Image.Image:
        if not self.numel():
            raise OneshotError("there are no pictures: n is 0")
        levels = list(self._levels(pen))
        if self.dim() == 3:
            return Image.fromarray(levels[0])
        given = [of_mask(ink[0].numpy() > 0.5, len(levels[0])) for ink in self.exemplars]
        if len(given) > 1:
            return sheet([Group("given", given, given=True), Group(label or "new", levels)])
        return sheet([Group(label, levels, exemplar=given[0] if given else None)])

    def __getitem__(self, key: Any) -> Any:
        found = super().__getitem__(key)
        if found.dim() in (3, 4) and found.shape[-3:] == self.shape[-3:]:
            return Pictures.of(found, self.rendering, self.exemplars)
        return found

    def __iter__(self) -> Iterator[Any]:
        return (self[i] for i in range(len(self)))

    def __repr__(self) -> str:  # type: ignore[override]
        height, width = self.shape[-2:]
        count = f"{len(self):,} drawings" if self.dim() == 4 else "one drawing"
        return f"<Pictures {tuple(self.shape)}: {count} of {height} x {width} pixels>"

    def __deepcopy__(self, memo: dict[int, Any]) -> Pictures:
        return Pictures.of(self.clone(), self.rendering, self.exemplars.clone())


@dataclass(frozen=True, eq=False)
class Film:
    """The canvas after each of T steps of n drawings, and the windows of each step.

    `frames` (n, T, 1, H, W) are probabilities of ink; NumPy takes a film as this array. Windows
    (n, T, 2, 3) are affine maps from patch to image coordinates in [-1, 1]: `write_windows` on the
    canvas, `read_windows` on the exemplars, `target_windows` on the picture that the posterior
    reads (None without one). `exemplars` (M, 1, S, S) are the exemplars as the model reads them.
    `reconstructs` is true if the film redraws its exemplar. A notebook plays the film.
    """

    frames: Tensor
    write_windows: Tensor
    read_windows: Tensor
    target_windows: Tensor | None
    exemplars: Tensor
    rendering: Rendering
    reconstructs: bool = False

    @property
    def last(self) -> Pictures:
        """The drawings (n, 1, H, W): the canvas after the last step."""
        return Pictures.of(self.frames[:, -1], self.rendering, self.exemplars)

    def pictures(self, *, windows: bool = True, fade: bool = False) -> list[Image.Image]:
        """The T frames of the animation, each with all n canvases beside the first exemplar.

        `windows` shows where the model writes and looks. With `fade`, fresh ink has a colour. Where
        `last` is drawn with a pen, one more frame shows the drawings so.
        """
        side = self.frames.shape[-1]
        seen = of_mask(self.exemplars[0, 0].numpy() > 0.5, side) if len(self.exemplars) else None
        return film([self.strip(seen, windows=windows)], fade=fade)

    def strip(
        self, seen: Bytes | None, *, windows: bool = True, drawings: slice = slice(None)
    ) -> Strip:
        """One row of an animation: some of the drawings, beside `seen` (H, W), the exemplar."""
        looks = self.target_windows if self.reconstructs else self.read_windows
        frames, pen = self.frames[drawings], self.rendering.pen(self.frames.shape[-1])
        return Strip(
            canvases=self.rendering.levels(frames, pen=0),
            writing=self.write_windows[drawings] if windows else None,
            seen=seen,
            reading=looks[drawings] if windows and looks is not None else None,
            finished=self.rendering.levels(frames[:, -1], pen, self.exemplars) if pen else None,
        )

    def save(
        self,
        path: str | Path,
        *,
        windows: bool = True,
        fade: bool = False,
        fps: float = FPS,
        hold: float = HOLD,
    ) -> list[Path]:
        """Write an animation in the format of the file's ending, such as .gif or .mp4.

        `fps` is the number of steps a second, `hold` the seconds that the last frame is shown. What
        is there is replaced. Returns the file in a list. Raises OneshotError for an unknown ending.
        """
        save_film(self.pictures(windows=windows, fade=fade), Path(path), fps=fps, hold=hold)
        return [Path(path)]

    def _repr_png_(self) -> bytes:
        """For notebooks: an animated PNG."""
        return film_bytes(self.pictures(), "apng", fps=FPS, hold=HOLD)

    def __len__(self) -> int:
        return len(self.frames)

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> NDArray[Any]:
        frames = self.frames.numpy()
        return frames.astype(dtype or frames.dtype, copy=bool(copy))

    def __repr__(self) -> str:
        n, steps, _, height, width = self.frames.shape
        return f"<Film of {n} drawings in {steps} steps, {height} x {width} pixels>"


@dataclass(frozen=True)
class NewCharacters:
    """`pictures` (n, 1, H, W) in [0, 1] and their `distance` (n, M) to each context image.

    `noise` (n, ...) are the random numbers that they were drawn with.
    """

    pictures: Pictures
    distance: Tensor
    noise: Tensor
