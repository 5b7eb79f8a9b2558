"""`Oneshot`: a loaded checkpoint with the methods vary, alphabet, sample and draw.

The noise of a picture depends only on the seed, the exemplars and the picture's number. So the
tenth variation is the same whatever n and the batch are.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import TypeAlias

import torch
from torch import Tensor

from oneshot_cli import checkpoint as checkpoints
from oneshot_cli.data.spec import DataSpec
from oneshot_cli.devices import resolve_device
from oneshot_cli.drawing.batches import Batches
from oneshot_cli.drawing.results import Film, NewCharacters
from oneshot_cli.drawing.variations import VariationInputs, contexts_of, noise_for, select_distinct
from oneshot_cli.errors import OneshotError
from oneshot_cli.imaging.concerns import Concern, concerns
from oneshot_cli.imaging.distances import ink_distance
from oneshot_cli.imaging.exemplar import PEN, Drawing, Picture, at_size, drawing, exemplar
from oneshot_cli.imaging.rendering import Bytes, inked, penned
from oneshot_cli.model import Context, GenerativeModel, SequentialGenerator
from oneshot_cli.paths import flagship
from oneshot_cli.ranges import SHARE, Range

Pictures: TypeAlias = "Picture | list[Picture] | tuple[Picture, ...]"

SPREAD = 0.5
"""The temperature of variations if the checkpoint's header gives none."""

CLOSENESS = 0.5
"""The closeness of variations if the checkpoint's header gives none."""

ALPHABET_SPREAD = 0.8
"""The default temperature of new characters. Lower ones make them alike, higher ones break strokes;
see checkpoints/README.md."""

COPY_DISTANCE = 0.8
"""Characters with a smaller `ink_distance`, in pixels at 28 x 28, count as the same."""

ARGUMENTS = {
    "n": Range(least=0, most=10**6),
    "spread": Range(least=0, most=2),
    "closeness": SHARE,
    "size": Range(least=1, most=512),
    "keep_best": Range(least=1, most=10**6),
    "pen": Range(least=0, most=0.2),
}
"""Ranges of the arguments of the methods of `Oneshot`, and of the commands' options."""


def check(**given: float | None) -> None:
    """Raise OneshotError if an argument is out of its range. None, the default, always passes."""
    for name, value in given.items():
        if value is not None and value not in ARGUMENTS[name]:
            raise OneshotError(f"{name} is {value}, but has to be {ARGUMENTS[name]}")


def pictures_of(given: Pictures) -> list[Picture]:
    """One picture or several as a list. Raises OneshotError if the list is empty."""
    each: list[Picture] = list(given) if isinstance(given, list | tuple) else [given]
    if not each:
        raise OneshotError("no exemplar was given")
    return each


class Oneshot:
    """A model that draws.

    Its methods take pictures of any kind that `imaging.exemplar` reads, and return float tensors
    (n, 1, H, W) on the CPU, where 1 is ink. They raise OneshotError for pictures that cannot be
    read and for arguments out of their range, see ARGUMENTS.
    """

    def __init__(
        self, model: GenerativeModel, header: checkpoints.Header, path: Path | None = None
    ) -> None:
        self.model = model
        self.batches = Batches(model)
        self.header = header
        self.path = path

    @property
    def size(self) -> int:
        """Height and width of the pictures that the model reads, in pixels."""
        return self.model.config.size

    @property
    def spread(self) -> float:
        """The default temperature of variations."""
        return float(self.header.sampling.get("spread", SPREAD))

    @property
    def closeness(self) -> float:
        """The default closeness of variations to their exemplar, 0 to 1."""
        return float(self.header.sampling.get("closeness", CLOSENESS))

    @property
    def trained_on(self) -> DataSpec:
        """The data that the model was trained on. Raises OneshotError if the header has none."""
        try:
            return DataSpec.from_dict(self.header.data)
        except OneshotError as error:
            raise OneshotError(f"{self.path or 'this model'}: {error}") from error

    @property
    def device(self) -> torch.device:
        """The device of the weights."""
        return self.batches.device

    def pen(self, size: int, width: float | None = None) -> float:
        """The pen's width for pictures of `size` pixels, as a fraction of the frame; 0 is no pen.

        It is `width` if that is given. Otherwise a conditional model has a pen above its own size,
        as wide as the strokes of the exemplars that it reads.
        """
        config = self.model.config
        if not config.binary or config.channels != 1:
            return 0.0
        if width is None:
            return PEN if config.conditional and size > self.size else 0.0
        return width

    def render(self, pictures: Tensor, pen: float | None = None) -> Bytes:
        """Pictures (..., C, H, W) as uint8 levels (..., H, W), or (..., H, W, 3) in colour.

        Binary ink is drawn black on white, with sharp edges at any size. Grey and colour are not
        changed. Above the model's own size its strokes are redrawn with a round pen. `pen` is the
        pen's width as a fraction of the frame, 0 keeps the outline that the model drew.
        """
        check(pen=pen)
        if width := self.pen(pictures.shape[-1], pen):
            return penned(pictures, width)
        if pictures.shape[-3] == 1:
            binary = self.model.config.binary
            sharp = self.model.config.input_size if binary else pictures.shape[-1]
            return inked(pictures, sharp)
        return (255 * pictures).round().to(torch.uint8).movedim(-3, -1).numpy()

    def read(self, pictures: Pictures) -> Tensor:
        """One or several pictures as the model reads them: ink (M, 1, S, S), 0 or 1."""
        each = [exemplar(picture, self.size)[None] for picture in pictures_of(pictures)]
        return torch.stack(each)

    def vary(
        self,
        image: Pictures,
        n: int = 10,
        *,
        seed: int = 0,
        spread: float | None = None,
        closeness: float | None = None,
        size: int | None = None,
        keep_best: int | None = None,
    ) -> Tensor:
        """n new drawings (n, 1, H, W) of the character in `image`, one picture or several.

        At a `closeness` of 0 the latents come from the prior, given the exemplar. At 1 they come
        from the posterior of the exemplar, so that it is redrawn. Between, they interpolate. Above
        0 every variation redraws the exemplar after a random deformation, which imitates how
        people's drawings of one character differ in place, size, slant and bend. `spread` is the
        temperature of latents and deformations, `size` the height and width of the drawings in
        pixels. With `keep_best` only that many drawings are returned, those with the highest
        `evidence` first.
        """
        return self.vary_batch(
            [self.read(image)],
            n,
            seed=seed,
            spread=spread,
            closeness=closeness,
            size=size,
            keep_best=keep_best,
        )[0]

    def vary_batch(
        self,
        exemplars: Sequence[Tensor],
        n: int,
        *,
        seed: int = 0,
        spread: float | None = None,
        closeness: float | None = None,
        size: int | None = None,
        keep_best: int | None = None,
    ) -> Tensor:
        """`vary` for E sets of exemplars (M, 1, S, S) as `read` returns them: (E, n, 1, H, W)."""
        check(n=n, spread=spread, closeness=closeness, size=size, keep_best=keep_best)
        if keep_best is not None and keep_best > n:
            raise OneshotError(f"keep_best is {keep_best}, but only {n} are drawn")
        inputs = VariationInputs.of(exemplars, n, seed, self._conditional().noise_shape)
        temperature = self.spread if spread is None else spread
        near = self.closeness if closeness is None else closeness
        pictures = self.batches.vary(inputs, temperature, near, size or self.size)
        grouped = pictures.unflatten(0, (len(exemplars), n))
        if keep_best is None:
            return grouped
        own = pictures
        if grouped.shape[-1] != self.size:
            own = self.batches.vary(inputs, temperature, near, self.size)
        score = self.evidence((own > 0.5).float(), contexts_of(exemplars, n, self.device))
        best = score.unflatten(0, grouped.shape[:2]).argsort(1, descending=True)[:, :keep_best]
        return torch.stack([group[order] for group, order in zip(grouped, best, strict=True)])

    def concerns(self, image: Pictures) -> list[Concern]:
        """Reasons why `vary` may do badly with these exemplars of one character."""
        each = pictures_of(image)
        return self.concerns_batch([[drawing(picture, self.size) for picture in each]])[0]

    def concerns_batch(self, exemplars: Sequence[Sequence[Drawing]]) -> list[list[Concern]]:
        """`concerns` for many sets of exemplars. Each concern is listed once in a set."""
        drawings = [drawing for each in exemplars for drawing in each]
        inks = [at_size(each.mask, self.size)[None, None] for each in drawings]
        self._conditional()
        redrawings = self.batches.redraw(inks)
        found: list[list[Concern]] = []
        for each, redrawn in zip(drawings, redrawings, strict=True):
            found.append(concerns(each, redrawn, self.model.config.input_size))
        remaining = iter(found)
        return [
            list(dict.fromkeys(concern for _ in each for concern in next(remaining)))
            for each in exemplars
        ]

    def alphabet(
        self,
        images: Pictures,
        n: int = 20,
        *,
        seed: int = 0,
        spread: float | None = None,
        size: int | None = None,
    ) -> Tensor:
        """n new characters (n, 1, H, W) in the style of characters of one alphabet."""
        return self.new_characters(images, n, seed=seed, spread=spread, size=size).pictures

    def new_characters(
        self,
        images: Pictures,
        n: int = 20,
        *,
        seed: int = 0,
        spread: float | None = None,
        size: int | None = None,
        effort: int = 4,
    ) -> NewCharacters:
        """`alphabet`, with the distance from each character to every context image.

        `effort` * n characters are drawn. Those nearer than COPY_DISTANCE to a context image, or to
        an earlier character, are dropped. If fewer than n remain, the dropped ones that are
        furthest from the context are added again.
        """
        check(n=n, spread=spread, size=size)
        self._conditional()
        exemplars = self.read(images)
        wanted = ALPHABET_SPREAD if spread is None else spread
        noise = self._noise("alphabet", seed, exemplars, range(effort * n))
        context = contexts_of([exemplars], 1, self.device, alphabet=True)
        inks = self.batches.sample(context, noise, wanted, self.size) > 0.5
        chosen = select_distinct(
            inks[:, 0], exemplars[:, 0] > 0.5, n, COPY_DISTANCE * self.size / 28
        )
        pictures = self.batches.sample(context, noise[chosen], wanted, size or self.size)
        distance = ink_distance(inks[chosen, 0], exemplars[:, 0] > 0.5)
        return NewCharacters(pictures, distance, noise[chosen])

    def sample(
        self,
        n: int = 64,
        *,
        seed: int = 0,
        spread: float | None = None,
        size: int | None = None,
    ) -> Tensor:
        """n characters (n, 1, H, W) without a context. At a spread of 1 they are exact samples."""
        check(n=n, spread=spread, size=size)
        noise = self._noise("sample", seed, None, range(n))
        context = Context.empty(n, self.size, self.device)
        temperature = 1.0 if spread is None else spread
        return self.batches.sample(context, noise, temperature, size or self.size)

    def draw(
        self,
        image: Pictures | None = None,
        n: int = 1,
        *,
        seed: int = 0,
        spread: float | None = None,
        closeness: float | None = None,
        size: int | None = None,
        reconstruct: bool = False,
    ) -> Film:
        """The canvas after every step of n drawings: variations of `image`, or samples without one.

        The last frames are the pictures of `vary` or `sample` with the same arguments. With
        `reconstruct` the posterior's mean redraws `image`, as `vary` does at a closeness of 1 and a
        spread of 0. That works for unconditional models too.
        """
        check(n=n, spread=spread, closeness=closeness, size=size)
        if n == 0:
            raise OneshotError("n is 0, but a film needs at least one drawing")
        if image is None:
            if reconstruct:
                raise OneshotError("reconstruct needs a picture")
            exemplars = torch.zeros(0, 1, self.size, self.size)
            noise = self._noise("sample", seed, None, range(n))
            temperature = 1.0 if spread is None else spread
            context = Context.empty(n, self.size, self.device)
            with torch.inference_mode():
                trace = self.model.trace(
                    context, noise.to(self.device), temperature=temperature, size=size
                )
        elif reconstruct:
            self._require_ink()
            exemplars = self.read(image)
            noise = torch.zeros(n, *self.model.noise_shape, device=self.device)
            target = exemplars[:1].expand(n, -1, -1, -1).to(self.device)
            with torch.inference_mode():
                context = contexts_of([exemplars], n, self.device)
                trace = self.model.trace(context, noise, size=size, target=target)
        else:
            exemplars = self.read(image)
            model = self._conditional()
            inputs = VariationInputs.of([exemplars], n, seed, model.noise_shape)
            temperature = self.spread if spread is None else spread
            near = self.closeness if closeness is None else closeness
            context, deformed = inputs.deformed(torch.arange(n), temperature if near else 0.0)
            with torch.inference_mode():
                trace = model.trace(
                    context.to(self.device),
                    inputs.noise.to(self.device),
                    temperature=temperature,
                    size=size,
                    target=deformed.to(self.device) if near else None,
                    closeness=near,
                )
        looks = trace.target_windows
        return Film(
            frames=trace.pictures.cpu(),
            write_windows=trace.write_windows.cpu(),
            read_windows=trace.read_windows.cpu(),
            target_windows=None if looks is None else looks.cpu(),
            exemplars=exemplars,
        )

    def evidence(self, images: Tensor, context: Context) -> Tensor:
        """log p(x | x') - log p(x) in nats (B,) of each binary image (B, 1, S, S).

        It measures how much likelier the exemplars x' make the image. log p(x | x') alone would
        prefer small and simple images whatever the exemplars are.
        """
        nothing = Context.empty(len(images), self.size, self.device)
        return self.log_likelihood(images, context) - self.log_likelihood(images, nothing)

    def log_likelihood(self, images: Tensor, context: Context) -> Tensor:
        """log p(x | x') in nats (B,) of each binary image (B, 1, S, S), see `Batches`."""
        return self.batches.log_likelihood(images, context)

    def _conditional(self) -> SequentialGenerator:
        """The model. Raises OneshotError unless it is conditional and reads ink."""
        model = self.model
        if isinstance(model, SequentialGenerator) and model.config.conditional:
            self._require_ink()
            return model
        raise OneshotError(
            f"{self.path or 'this model'}: a {self.header.model} model without a context\n"
            "it can sample and animate; give another --checkpoint to vary a character"
        )

    def _require_ink(self) -> None:
        if self.model.config.channels != 1:
            raise OneshotError(f"{self.path or 'this model'}: draws in colour and reads no ink")

    def _noise(
        self, task: str, seed: int, exemplars: Tensor | None, numbers: Iterable[int]
    ) -> Tensor:
        return noise_for(self.model.noise_shape, task, seed, exemplars, numbers)


def load(checkpoint: str | Path | None = None, device: str = "auto") -> Oneshot:
    """The model in `checkpoint`, or the flagship checkpoint that ships with the package.

    Raises OneshotError if the file is missing, damaged or not a checkpoint of oneshot.
    """
    path = flagship() if checkpoint is None else Path(checkpoint)
    model, header = checkpoints.load(path, resolve_device(device))
    return Oneshot(model, header, path)
