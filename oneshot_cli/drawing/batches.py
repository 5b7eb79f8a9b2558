"""A model applied to any number of drawings, in batches of one size.

How a sum of floats is rounded depends on the shape of the batch. So on the CPU all batches have the
same number of drawings, the last one filled up with repetitions: a drawing then has the same bits
whatever is drawn beside it. Another number of threads, or a GPU, may round differently.

How a function of floats is rounded depends on their place: the threads divide them, and the last
few of a thread are not computed as vectors. So the number of drawings in a batch and the number of
threads are powers of two, as most layers' widths are: then a thread has whole vectors. The
probabilities of ink, whose number is the picture's, are computed picture by picture.

Without AVX-512, MKL rounds a row of a product with ten outputs or fewer by the row's place in
memory, if the number of inputs is no multiple of four. No preset has such a layer.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

import torch
from torch import Tensor

from oneshot_cli.drawing.variations import VariationInputs, contexts_of, select_contexts
from oneshot_cli.model import Context, GenerativeModel, SequentialGenerator

PIXELS_AT_ONCE = 2**24
"""Largest number of pixels written in one batch, which bounds the memory at any size."""

TOGETHER = 16
"""Drawings in a batch on the CPU, where larger batches are no faster. A power of two."""

PARTICLES = 16
"""Importance samples per picture when pictures are ranked by their likelihood."""


class Batches:
    """Runs a model on any number of drawings. All tensors that it returns are on the CPU."""

    def __init__(self, model: GenerativeModel) -> None:
        self.model = model

    @property
    def size(self) -> int:
        """Height and width of the pictures that the model reads, in pixels."""
        return self.model.config.size

    @property
    def device(self) -> torch.device:
        """The device of the weights."""
        return next(self.model.parameters()).device

    def sample(self, context: Context, noise: Tensor, temperature: float, size: int) -> Tensor:
        """Probabilities of ink (B, C, size, size), for noise (B, ...) and contexts (E).

        Each context gets B / E drawings in a row. It is encoded once for all of them in a batch.
        """
        each, pictures = len(noise) // max(1, len(context)), [self._no_pictures(size)]
        for number, part in enumerate(noise.split(each)) if each else ():
            given = select_contexts(context, torch.tensor([number])).to(self.device)
            for rows, count in self._batches(each, size):
                with torch.inference_mode(), self._threads():
                    drawn = self.model.sample(
                        given, part[rows].to(self.device), temperature=temperature, size=size
                    )
                pictures.append(drawn[:count].cpu())
        return torch.cat(pictures)

    def vary(
        self, inputs: VariationInputs, temperature: float, closeness: float, size: int
    ) -> Tensor:
        """Probabilities of ink (E * n, 1, size, size) of all variations."""
        if closeness == 0:
            return self.sample(inputs.contexts, inputs.noise, temperature, size)
        pictures, model = [self._no_pictures(size)], self._sequential
        for rows, count in self._batches(len(inputs), size):
            context, target = inputs.deformed(rows, temperature)
            with torch.inference_mode(), self._threads():
                drawn = model.sample(
                    context.to(self.device),
                    inputs.noise[rows].to(self.device),
                    temperature=temperature,
                    size=size,
                    target=target.to(self.device),
                    closeness=closeness,
                )
            pictures.append(drawn[:count].cpu())
        return torch.cat(pictures)

    def redraw(self, inks: Sequence[Tensor]) -> Tensor:
        """Reconstructions (N, S, S) of N exemplars (1, 1, S, S) from the posterior's mean."""
        model, pictures = self._sequential, [torch.empty(0, self.size, self.size)]
        with torch.inference_mode(), self._threads():
            for rows, count in self._batches(len(inks), self.size):
                chunk = [inks[row] for row in rows.tolist()]
                context = contexts_of(chunk, 1, self.device)
                noise = torch.zeros(len(rows), *model.noise_shape, device=self.device)
                target = torch.cat(chunk).to(self.device)
                drawn = model.sample(context, noise, size=self.size, target=target, closeness=1.0)
                pictures.append(drawn[:count, 0].cpu())
        return torch.cat(pictures)

    def log_likelihood(self, images: Tensor, context: Context) -> Tensor:
        """log p(x | x') in nats of each binary image (B, 1, S, S), (B,).

        The bound of Burda et al. 2015 with 16 importance samples.
        """
        generator = torch.Generator().manual_seed(0)
        noise = torch.randn(1, PARTICLES, *self.model.noise_shape, generator=generator)
        scores = [torch.empty(0)]
        with torch.inference_mode(), self._threads():
            for rows, count in self._batches(len(images), self.size, each=PARTICLES):
                weight = self.model.bound(
                    images[rows].to(self.device),
                    select_contexts(context, rows),
                    noise.expand(len(rows), *noise.shape[1:]).to(self.device),
                ).log_weight
                scores.append((weight.logsumexp(1) - math.log(PARTICLES))[:count].cpu())
        return torch.cat(scores)

    @property
    def _sequential(self) -> SequentialGenerator:
        """The model, which has to be of the kind that takes a target. Callers have checked that."""
        assert isinstance(self.model, SequentialGenerator)
        return self.model

    def _no_pictures(self, size: int) -> Tensor:
        """What pictures are appended to: (0, C, size, size)."""
        return torch.empty(0, self.model.config.channels, size, size)

    def _batches(self, drawings: int, size: int, *, each: int = 1) -> Iterator[tuple[Tensor, int]]:
        """The numbers of the drawings in each batch, and how many of them count.

        On the CPU the last batch is filled up with its first drawing. A drawing takes the memory of
        `each` of this size.
        """
        at_once = max(1, self._at_once(size) // each)
        if self.device.type == "cpu":
            at_once = min(TOGETHER, power_of_two(at_once))
        for rows in torch.arange(drawings).split(at_once) if drawings else ():
            count = len(rows)
            if self.device.type == "cpu":
                rows = torch.cat([rows, rows[:1].expand(at_once - count)])
            yield rows, count

    @contextmanager
    def _threads(self) -> Iterator[None]:
        """On the CPU, a power of two of torch's threads; afterwards as many as before."""
        before = torch.get_num_threads()
        if self.device.type != "cpu" or before == power_of_two(before):
            yield
            return
        torch.set_num_threads(power_of_two(before))
        try:
            yield
        finally:
            torch.set_num_threads(before)

    def _at_once(self, size: int) -> int:
        """How many drawings of this size fit in one batch."""
        return max(1, PIXELS_AT_ONCE // (self.model.config.steps * size * size))


def power_of_two(number: int) -> int:
    """The largest power of two that is at most `number` (1 or more)."""
    return 1 << (number.bit_length() - 1)
