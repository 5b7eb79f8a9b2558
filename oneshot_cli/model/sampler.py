"""Drawing as functions of tensors alone, for exporters.

The sequential generator is three of them. `Encode` is called once, `Step` once for each step with
the state that the step before it returned, and `Decode` once with the states of all steps.
"""

from __future__ import annotations

from torch import Tensor, nn

from oneshot_cli.model.attention import JointReader
from oneshot_cli.model.context import Context, EncodedContext
from oneshot_cli.model.interface import GenerativeModel
from oneshot_cli.model.posterior import EncodedTarget
from oneshot_cli.model.sequential import SequentialGenerator


class Sampler(nn.Module):
    """Noise (B, ...) to the mean of x (B, C, size, size), for a model without a context."""

    def __init__(self, model: GenerativeModel, size: int) -> None:
        super().__init__()
        self.model, self.size = model, size

    def forward(self, noise: Tensor) -> Tensor:
        context = Context.empty(noise.shape[0], self.model.config.size)
        return self.model.sample(context, noise, size=self.size)


class Encode(nn.Module):
    """What is the same at every step, for a conditional model and B drawings.

    From the exemplars (B, M, C, S, S), `alphabet` (B,) and the target (B, C, S, S), as
    `SequentialGenerator.sample` takes them. Returns the exemplars and the target as they are read,
    (B, M, C, R, R) and (B, C, R, R), their encodings (B, M, units) and (B, units) or (B, 1), and
    the null member (B, units).
    """

    def __init__(self, model: SequentialGenerator) -> None:
        super().__init__()
        self.model = model

    def forward(
        self, exemplars: Tensor, mask: Tensor, alphabet: Tensor, target: Tensor
    ) -> tuple[Tensor, Tensor, Tensor, Tensor, Tensor]:
        reader = self.model.context
        assert reader is not None
        context = reader.encode(Context(exemplars, mask, alphabet))
        if reader.size == exemplars.shape[-1]:  # read as they are; an output may be no input
            images = exemplars.clone()
        else:
            images = context.images.unflatten(0, exemplars.shape[:2])
        x = self.model.posterior.encode(target)
        return images, context.features, context.null, x.images, x.features


class Step(nn.Module):
    """One step of B drawings: state and cell (B, hidden), noise (B, latent), for `Decode`.

    With what `Encode` returned, the mask (B, M) and the closeness (B,), for a conditional model.
    Returns the next state and cell, and the state once more.
    """

    def __init__(self, model: SequentialGenerator) -> None:
        super().__init__()
        self.model = model

    def forward(
        self,
        h: Tensor,
        cell: Tensor,
        noise: Tensor,
        mask: Tensor | None = None,
        closeness: Tensor | None = None,
        images: Tensor | None = None,
        features: Tensor | None = None,
        null: Tensor | None = None,
        target_images: Tensor | None = None,
        target_features: Tensor | None = None,
    ) -> tuple[Tensor, Tensor, Tensor]:
        model, batch = self.model, h.shape[0]
        context = x = near = None
        views = []
        if mask is not None and closeness is not None:
            assert model.context is not None
            assert images is not None
            assert features is not None
            assert null is not None
            assert target_images is not None
            assert target_features is not None
            context = EncodedContext(images.flatten(0, 1), features, mask, null)
            x = EncodedTarget(target_images, target_features)
            views = [(model.context.reader, context.images), (model.posterior.reader, x.images)]
            near = closeness[:, None]
        reader = JointReader(batch, views)
        h, cell, _, _ = model._step(h, cell, noise, reader, context, x, near)
        return h, cell, h.clone()


class Decode(nn.Module):
    """The states of all steps (B, T, hidden) to the mean of x (B, C, size, size)."""

    def __init__(self, model: SequentialGenerator, size: int) -> None:
        super().__init__()
        self.model, self.size = model, size

    def forward(self, states: Tensor) -> Tensor:
        return self.model.observation.mean(self.model.decode(states, self.size).float())
