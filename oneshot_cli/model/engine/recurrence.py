"""The hidden states of a training step as one function of autograd's graph.

Autograd keeps a node for every small operation of every step and visits them one by one; on a CPU
that takes as long as the matrix products do. Here all T steps are one function, whose gradient is
written out in `steps`.

It computes what `SequentialGenerator.unroll` does for a target, and the tests compare the two:
states, z and the gradients of all weights. The gradient cannot be differentiated again.
"""

from __future__ import annotations

from typing import Any, cast

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable

from oneshot_cli.model.attention import JointReader, Reader
from oneshot_cli.model.attention.joint import alike
from oneshot_cli.model.context import ContextReader, EncodedContext, attention_mask
from oneshot_cli.model.engine import windows as windows  # enters the attentions' gradients
from oneshot_cli.model.engine.capability import written_out
from oneshot_cli.model.engine.gradients import unrecorded
from oneshot_cli.model.engine.linear import Linear
from oneshot_cli.model.engine.steps import Inputs, Settings, Steps
from oneshot_cli.model.lstm import LSTM
from oneshot_cli.model.posterior import EncodedTarget, Posterior

written_out.declare(Linear, "forward")
written_out.declare(Reader, "forward")
written_out.declare(LSTM, "forward", "step")
written_out.declare(Posterior, "forward")
written_out.declare(ContextReader, "forward")


def without_gradient(
    context: ContextReader | None, posterior: Posterior, transition: LSTM
) -> list[str]:
    """The names of those parts of a recurrence whose gradient is not written out."""
    parts: list[object] = [transition, posterior, posterior.embed_step, posterior.output]
    readers = [posterior.reader]
    if context is not None:
        parts += [context, context.embed_glimpse, context.query]
        readers.insert(0, context.reader)
    for each in readers:
        parts += [each, each.attention, getattr(each.attention, "linear", None)]
    missing = {type(part).__name__ for part in parts if not written_out.holds(part)}
    if not all(alike(readers[0], each) for each in readers):
        missing.add("readers of different kinds")
    return sorted(missing - {"NoneType"})


def recurrence(
    noise: Tensor,
    start: Tensor,
    reader: JointReader,
    context: tuple[ContextReader, EncodedContext] | None,
    target: tuple[Posterior, EncodedTarget],
    transition: LSTM,
    *,
    every: int = 0,
    limit: float | None = None,
) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """The states (B, T, hidden), and z, mean and log_std of the posterior, each (B, T, latent).

    For noise (B, T, latent), from the first state and cell, `start` (2, B, hidden). `reader` reads
    the context, if there is one, and the target. `limit` is that of `limit_gradient`. States are
    saved every `every` steps; 0 saves all steps. It is
    right only where `without_gradient` finds nothing and `reader.joint` is true.
    """
    posterior, seen = target
    kind, autocast = noise.device.type, torch.is_autocast_enabled(noise.device.type)
    context_reader, encoded = context or (None, None)
    settings = Settings(
        reader=reader,
        mask=attention_mask(encoded.mask) if encoded else None,
        every=every or noise.shape[1],
        limit=limit,
        dtype=torch.get_autocast_dtype(kind) if autocast else noise.dtype,
    )
    heads = [cast(Linear, each.attention.linear) for each in reader.readers]
    heads = [context_reader.query, *heads] if context_reader else heads
    inputs = Inputs(
        noise=noise,
        h=start[0],
        cell=start[1],
        target_features=seen.features.float(),
        context_features=encoded.features.flatten(0, 1).float() if encoded else None,
        null=encoded.null if encoded else None,
        heads=torch.cat([layer.weight for layer in heads]),
        heads_bias=torch.cat([layer.bias for layer in heads]),
        step=posterior.embed_step.weight,
        step_bias=posterior.embed_step.bias,
        output=posterior.output.weight,
        output_bias=posterior.output.bias,
        transition=transition.weight,
        transition_bias=transition.bias,
        glimpse=context_reader.embed_glimpse.weight if context_reader else None,
        glimpse_bias=context_reader.embed_glimpse.bias if context_reader else None,
    )
    return cast(tuple[Tensor, Tensor, Tensor, Tensor], _Recurrence.apply(settings, *inputs))


class _Recurrence(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, settings: Settings, *inputs: Tensor | None) -> tuple[Tensor, ...]:
        ctx.save_for_backward(*inputs)
        ctx.steps = Steps(settings, Inputs(*inputs))  # type: ignore[arg-type]
        with torch.autocast(ctx.steps.noise[0].device.type, enabled=False), unrecorded():
            return cast(tuple[Tensor, ...], ctx.steps.forward())

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor | None, ...]:
        _ = ctx.saved_tensors  # raises an error if a weight was changed in between
        with unrecorded():
            return None, *ctx.steps.backward(*(each.transpose(0, 1) for each in gradients))
