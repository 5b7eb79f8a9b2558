"""`Oneshot`: a loaded checkpoint with the methods vary, alphabet, sample and draw.

The noise of a picture depends only on the seed, the exemplars and the picture's number. So the
tenth variation is the same whatever n and the batch are: on the CPU bit for bit, on a GPU to within
rounding. Another number of threads may change a grey level of an edge by one.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path

import torch
from torch import Tensor

from oneshot_cli import checkpoint as checkpoints
from oneshot_cli.data.spec import DataSpec
from oneshot_cli.devices import resolve_device
from oneshot_cli.drawing.arguments import Exemplars, check, each_exemplar
from oneshot_cli.drawing.batches import Batches
from oneshot_cli.drawing.rendering import Rendering
from oneshot_cli.drawing.results import Film, NewCharacters, Pictures
from oneshot_cli.drawing.variations import VariationInputs, contexts_of, noise_for, select_distinct
from oneshot_cli.errors import OneshotError, UsageError
from oneshot_cli.imaging.concerns import Concern, concerns
from oneshot_cli.imaging.distances import ink_distance
from oneshot_cli.imaging.exemplar import Drawing, at_size, drawing, exemplar
from oneshot_cli.imaging.rendering import Bytes
from oneshot_cli.model import Context, GenerativeModel, SequentialGenerator
from oneshot_cli.paths import flagship

SPREAD = 0.5
"""The temperature of variations if the checkpoint's header gives none."""

CLOSENESS = 0.5
"""The closeness of variations if the checkpoint's header gives none."""

ALPHABET_SPREAD = 0.8
"""The default temperature of new characters. Lower ones make them alike, higher ones break strokes;
see checkpoints/README.md."""

COPY_DISTANCE = 0.8
"""Characters with a smaller `ink_distance`, in pixels at 28 x 28, count as the same."""


class Oneshot:
    """A model that draws. `load` returns one.

    Its methods take an exemplar as a path, bytes, an open file, a Pillow picture, an array or a
    tensor, several of them in any iterable, or a folder of pictures. They return `Pictures`, float
    tensors (n, 1, H, W) on the CPU, where 1 is ink. They raise UsageError for arguments out of
    their range before they read or draw anything, and OneshotError for pictures that cannot be
    read.
    """

    def __init__(
        self, model: GenerativeModel, header: checkpoints.Header, path: Path | None = None
    ) -> None:
        self.model = model
        self.batches = Batches(model)
        self.header = header
        self.path = path
        self.rendering = Rendering(model.config)

    def __repr__(self) -> str:
        name, config = self.path or "a model in memory", self.model.config
        sizes = f"reads {config.input_size} and draws {config.size} pixels"
        return f"<Oneshot {name}: {self.header.model}, {sizes}>"

    @property
    def size(self) -> int:
        """Height and width of the pictures that the model takes and draws, in pixels."""
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
        return self.rendering.pen(size, width)

    def render(
        self, pictures: Tensor, pen: float | None = None, exemplars: Tensor | None = None
    ) -> Bytes:
        """Pictures (..., C, H, W) as uint8 levels (..., H, W), or (..., H, W, 3) in colour.

        Binary ink is drawn black on white, with sharp edges at any size. Grey and colour are not
        changed. Above the model's own size its strokes are redrawn with a round pen. `pen` is the
        pen's width as a fraction of the frame, 0 keeps the outline that the model drew. The pen
        draws a line where ink is too wide, unless one of the `exemplars` (M, 1, S, S) has a filled
        part, too. `Pictures` know their exemplars. Without any, the widest places stay filled.
        """
        if exemplars is None and isinstance(pictures, Pictures):
            exemplars = pictures.exemplars
        return self.rendering.levels(pictures, pen, exemplars)

    def read(self, exemplars: Exemplars) -> Tensor:
        """One or several pictures as the model reads them: ink (M, 1, S, S), 0 or 1."""
        each = [exemplar(picture, self.size)[None] for picture in each_exemplar(exemplars)]
        return torch.stack(each)

    def vary(
        self,
        image: Exemplars,
        n: int = 10,
        *,
        seed: int = 0,
        spread: float | None = None,
        closeness: float | None = None,
        size: int | None = None,
        keep_best: int | None = None,
    ) -> Pictures:
        """n new drawings (n, 1, H, W) of the character in `image`, one picture or several.

        At a `closeness` of 0 the latents come from the prior, given the exemplar. At 1 they come
        from the posterior of the exemplar, so that it is redrawn. Between, they interpolate. Above
        0 every variation redraws the exemplar after a random deformation, which imitates how
        people's drawings of one character differ in place, size, slant and bend. `spread` is the
        temperature of latents and deformations, `size` the height and width of the drawings in
        pixels. With `keep_best` only that many drawings are returned, those with the highest
        `evidence` first.
        """
        check(n=n, seed=seed, spread=spread, closeness=closeness, size=size, keep_best=keep_best)
        self._conditional()
        exemplars = self.read(image)
        drawn = self.vary_batch(
            [exemplars],
            n,
            seed=seed,
            spread=spread,
            closeness=closeness,
            size=size,
            keep_best=keep_best,
        )
        return Pictures.of(drawn[0], self.rendering, exemplars)

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
        first: int = 0,
    ) -> Tensor:
        """`vary` for E sets of exemplars (M, 1, S, S) as `read` returns them: (E, n, 1, H, W).

        The variations have the numbers from `first`.
        """
        check(n=n, seed=seed, spread=spread, closeness=closeness, size=size, keep_best=keep_best)
        shape = self._conditional().noise_shape
        inputs = VariationInputs.of(exemplars, n, seed, shape, first)
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

    def concerns(self, image: Exemplars) -> list[Concern]:
        """Reasons why `vary` may do badly with these exemplars of one character."""
        each = each_exemplar(image)
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
        images: Exemplars,
        n: int = 20,
        *,
        seed: int = 0,
        spread: float | None = None,
        size: int | None = None,
    ) -> Pictures:
        """n new characters (n, 1, H, W) in the style of characters of one alphabet."""
        return self.new_characters(images, n, seed=seed, spread=spread, size=size).pictures

    def new_characters(
        self,
        images: Exemplars,
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
        check(n=n, seed=seed, spread=spread, size=size)
        self._conditional()
        exemplars = self.read(images)
        wanted = ALPHABET_SPREAD if spread is None else spread
        noise = self._noise("alphabet", seed, exemplars, range(effort * n))
        context = contexts_of([exemplars], 1, self.device, alphabet=True)
        inks = self.batches.sample(context, noise, wanted, self.size) > 0.5
        chosen = select_distinct(
            inks[:, 0], exemplars[:, 0] > 0.5, n, COPY_DISTANCE * self.size / 28
        )
        drawn = self.batches.sample(context, noise[chosen], wanted, size or self.size)
        return NewCharacters(
            Pictures.of(drawn, self.rendering, exemplars),
            ink_distance(inks[chosen, 0], exemplars[:, 0] > 0.5),
            noise[chosen],
        )

    def sample(
        self,
        n: int = 64,
        *,
        seed: int = 0,
        spread: float | None = None,
        size: int | None = None,
        first: int = 0,
    ) -> Pictures:
        """n characters (n, 1, H, W) without a context. At a spread of 1 they are exact samples.

        They have the numbers from `first`.
        """
        check(n=n, seed=seed, spread=spread, size=size)
        noise = self._noise("sample", seed, None, range(first, first + n))
        context = Context.empty(1, self.size, self.device)
        temperature = 1.0 if spread is None else spread
        drawn = self.batches.sample(context, noise, temperature, size or self.size)
        return Pictures.of(drawn, self.rendering, self._nothing)

    def draw(
        self,
        image: Exemplars | None = None,
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
        check(n=n, seed=seed, spread=spread, closeness=closeness, size=size)
        if n == 0:
            raise UsageError("n is 0, but a film needs at least one drawing")
        if image is None:
            if reconstruct:
                raise UsageError("reconstruct needs a picture")
            exemplars = self._nothing
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
            model = self._conditional()
            exemplars = self.read(image)
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
            rendering=self.rendering,
            reconstructs=reconstruct,
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

    @property
    def _nothing(self) -> Tensor:
        """No exemplars (0, 1, S, S)."""
        return torch.zeros(0, 1, self.size, self.size)

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
    path = flagship() if checkpoint is None else checkpoints.checkpoint_file(checkpoint)
    model, header = checkpoints.load(path, resolve_device(device))
    return Oneshot(model, header, path)
