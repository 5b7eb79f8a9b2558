"""oneshot from Python: load a checkpoint, then vary, alphabet, sample and draw.

Every picture comes from noise that depends on the seed, the exemplars and its own number only: the
tenth variation is the same whether one or a thousand are asked for, alone or in a batch.
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
from oneshot_cli.drawing.variations import Variations, apart, contexts_of, noise_for
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
"""The temperature of variations for a checkpoint whose header names none."""

CLOSENESS = 0.5
"""How near variations come to their exemplar, for a checkpoint whose header does not say."""

ALPHABET_SPREAD = 0.8
"""The same for new characters: below, they grow alike; above, strokes break, see checkpoints/."""

COPY_DISTANCE = 0.8
"""Characters nearer than this (`ink_distance`, pixels of 28) count as the same."""


ARGUMENTS = {
    "n": Range(least=0, most=10**6),
    "spread": Range(least=0, most=2),
    "closeness": SHARE,
    "size": Range(least=1, most=512),
    "keep_best": Range(least=1, most=10**6),
    "pen": Range(least=0, most=0.2),
}
"""What arguments of the methods of `Oneshot` may be; the commands' options have the same limits."""


def check(**given: float | None) -> None:
    """Raise OneshotError for an argument out of its range; None stands for the default."""
    for name, value in given.items():
        if value is not None and value not in ARGUMENTS[name]:
            raise OneshotError(f"{name} is {value}, but has to be {ARGUMENTS[name]}")


def pictures_of(given: Pictures) -> list[Picture]:
    """One picture or several as a list. Raises OneshotError for none."""
    each: list[Picture] = list(given) if isinstance(given, list | tuple) else [given]
    if not each:
        raise OneshotError("no exemplar was given")
    return each


class Oneshot:
    """A model and what it can do. Pictures in are whatever `imaging.exemplar` reads; pictures out
    are float tensors (n, 1, H, W), ink 1, on the CPU. Every method raises OneshotError for pictures
    that cannot be read, and for numbers out of their range, see ARGUMENTS."""

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
        """How near variations come to their exemplar by default."""
        return float(self.header.sampling.get("closeness", CLOSENESS))

    @property
    def trained_on(self) -> DataSpec:
        """The data that the checkpoint was trained on. Raises OneshotError if it does not say."""
        try:
            return DataSpec.from_dict(self.header.data)
        except OneshotError as error:
            raise OneshotError(f"{self.path or 'this model'}: {error}") from error

    @property
    def device(self) -> torch.device:
        """Where the weights are."""
        return self.batches.device

    def pen(self, size: int, width: float | None = None) -> float:
        """The width, as a part of the frame, of the pen that draws pictures of `size` pixels; 0 is
        no pen.

        `width` if it is given. Otherwise there is a pen above the model's own size, for a model
        that draws after exemplars: those have strokes of that width when they are read.
        """
        config = self.model.config
        if not config.binary or config.channels != 1:
            return 0.0
        if width is None:
            return PEN if config.conditional and size > self.size else 0.0
        return width

    def render(self, pictures: Tensor, pen: float | None = None) -> Bytes:
        """Pictures (..., C, H, W) as levels (..., H, W), or (..., H, W, 3) in colour.

        Ink is black on white, with crisp edges at any size; grey and colour are as they are. Above
        the model's own size its strokes are drawn anew with a round pen. `pen` is the width of the
        pen as a part of the frame; 0 draws the outline of what the model drew.
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
        """One picture, or several, as the model sees them: ink (M, 1, S, S), 0 or 1."""
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
        """n new drawings of the character in `image` (or in several drawings of it).

        With a `closeness` of 0 the model draws from its prior alone, given the exemplar; with 1 it
        redraws the exemplar; between, every latent is partly the one, partly the other. Above 0 the
        exemplar is first deformed, for each variation anew, as people's drawings of one character
        differ in place, size, slant and bend. `spread` is the temperature of latents and
        deformations, `size` the side of what is drawn. With `keep_best` that many of the n are
        returned, best first: those of which the exemplar tells most (`evidence`).
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
        """`vary` for many sets of exemplars (M, 1, S, S), as `read` gives: (E, n, 1, H, W)."""
        check(n=n, spread=spread, closeness=closeness, size=size, keep_best=keep_best)
        if keep_best is not None and keep_best > n:
            raise OneshotError(f"the best {keep_best} of {n} cannot be kept")
        made = Variations.of(exemplars, n, seed, self._conditional().noise_shape)
        temperature = self.spread if spread is None else spread
        near = self.closeness if closeness is None else closeness
        pictures = self.batches.vary(made, temperature, near, size or self.size)
        grouped = pictures.unflatten(0, (len(exemplars), n))
        if keep_best is None:
            return grouped
        own = pictures
        if grouped.shape[-1] != self.size:
            own = self.batches.vary(made, temperature, near, self.size)
        score = self.evidence((own > 0.5).float(), contexts_of(exemplars, n, self.device))
        best = score.unflatten(0, grouped.shape[:2]).argsort(1, descending=True)[:, :keep_best]
        return torch.stack([group[order] for group, order in zip(grouped, best, strict=True)])

    def concerns(self, image: Pictures) -> list[Concern]:
        """What speaks against the exemplars of one character: why `vary` may disappoint."""
        each = pictures_of(image)
        return self.concerns_batch([[drawing(picture, self.size) for picture in each]])[0]

    def concerns_batch(self, exemplars: Sequence[Sequence[Drawing]]) -> list[list[Concern]]:
        """`concerns` for many sets of exemplars; each concern once for a set."""
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
        """`alphabet`, with how far each character is from every context image.

        Up to `effort` times n are drawn, and those nearer than COPY_DISTANCE to a context image, or
        to one drawn before, are passed over; if too few are left, the furthest of them fill up.
        """
        check(n=n, spread=spread, size=size)
        self._conditional()
        exemplars = self.read(images)
        wanted = ALPHABET_SPREAD if spread is None else spread
        noise = self._noise("alphabet", seed, exemplars, range(effort * n))
        context = contexts_of([exemplars], 1, self.device, alphabet=True)
        inks = self.batches.sample(context, noise, wanted, self.size) > 0.5
        chosen = apart(inks[:, 0], exemplars[:, 0] > 0.5, n, COPY_DISTANCE * self.size / 28)
        pictures = self.batches.sample(context, noise[chosen], wanted, size or self.size)
        return NewCharacters(pictures, ink_distance(inks[chosen, 0], exemplars[:, 0] > 0.5))

    def sample(
        self,
        n: int = 64,
        *,
        seed: int = 0,
        spread: float | None = None,
        size: int | None = None,
    ) -> Tensor:
        """n characters (n, 1, H, W) out of nothing: the model's own distribution at spread 1."""
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
        """The canvas after every step of n drawings: variations of `image`, or free samples.

        The pictures at the end are those of `vary` or `sample` with the same arguments. With
        `reconstruct` the posterior draws `image` itself: what `vary` does at a closeness of 1 and a
        spread of 0, and also a model that takes no context.
        """
        check(n=n, spread=spread, closeness=closeness, size=size)
        if n == 0:
            raise OneshotError("a film has at least one drawing, n is 0")
        if image is None:
            if reconstruct:
                raise OneshotError("there is no picture to reconstruct")
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
            made = Variations.of([exemplars], n, seed, model.noise_shape)
            temperature = self.spread if spread is None else spread
            near = self.closeness if closeness is None else closeness
            context, deformed = made.deformed(torch.arange(n), temperature if near else 0.0)
            with torch.inference_mode():
                trace = model.trace(
                    context.to(self.device),
                    made.noise.to(self.device),
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
        """log p(x | x') - log p(x) in nats of each binary image (B, 1, S, S).

        How much likelier the exemplars make it. log p(x | x') alone prefers what is small and
        simple, whatever the exemplar.
        """
        nothing = Context.empty(len(images), self.size, self.device)
        return self.log_likelihood(images, context) - self.log_likelihood(images, nothing)

    def log_likelihood(self, images: Tensor, context: Context) -> Tensor:
        """log p(x | x') in nats of each binary image (B, 1, S, S), see `Batches`."""
        return self.batches.log_likelihood(images, context)

    def _conditional(self) -> SequentialGenerator:
        """The model; OneshotError if it ignores its context, or reads no ink."""
        model = self.model
        if isinstance(model, SequentialGenerator) and model.config.conditional:
            self._require_ink()
            return model
        raise OneshotError(
            f"{self.path or 'this model'}: a {self.header.model} that draws after no exemplar\n"
            "it can sample and animate; take another --checkpoint to vary a character"
        )

    def _require_ink(self) -> None:
        if self.model.config.channels != 1:
            raise OneshotError(f"{self.path or 'this model'}: draws in colour, and reads no ink")

    def _noise(
        self, task: str, seed: int, exemplars: Tensor | None, numbers: Iterable[int]
    ) -> Tensor:
        return noise_for(self.model.noise_shape, task, seed, exemplars, numbers)


def load(checkpoint: str | Path | None = None, device: str = "auto") -> Oneshot:
    """The model in `checkpoint`, or the flagship that ships with the package.

    Raises OneshotError for a file that is missing, damaged or of another model.
    """
    path = flagship() if checkpoint is None else Path(checkpoint)
    model, header = checkpoints.load(path, resolve_device(device))
    return Oneshot(model, header, path)
