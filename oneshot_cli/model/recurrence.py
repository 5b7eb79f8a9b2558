"""The hidden states of a training step, with their gradient written out.

Autograd keeps a node for every small operation of every step and visits them one by one; on a CPU
that takes as long as the matrix products do. Here all T steps are one function of the graph. What
goes into a layer at each step is kept as rows of one block, and what comes back for its output as
rows of another: the gradient of a weight is one product over all steps, summed in float32.

It is `SequentialGenerator.unroll` with a target, line by line, and tested to be: states, z and the
gradients of all weights. The gradient cannot be differentiated again.
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import cached_property
from typing import Any, NamedTuple, cast

import torch
import torch.nn.functional as F
from torch import Tensor
from torch.autograd.function import once_differentiable

from oneshot_cli.model.attention import Gaze, SpatialTransformer
from oneshot_cli.model.context import (
    ContextReader,
    EncodedContext,
    attend,
    attend_backward,
    penalty,
)
from oneshot_cli.model.gaussian import mean_and_log_std, within_range
from oneshot_cli.model.gradients import limited, unrecorded
from oneshot_cli.model.linear import multiplier, multiply
from oneshot_cli.model.lstm import LSTM, KeptCell, cell_backward, cell_forward
from oneshot_cli.model.posterior import EncodedTarget, Posterior


class Setting(NamedTuple):
    """What the steps work with and no gradient goes to.

    `penalty` (B, 1 + M) is that of the context's set; None: the model takes no context. States are
    kept every `every` steps, and what lies between is computed again. Gradients of states are
    limited to `limit`, products are in `dtype`.
    """

    gaze: Gaze
    penalty: Tensor | None
    every: int
    limit: float | None
    dtype: torch.dtype


class Given(NamedTuple):
    """What gradients go to, but for the noise (B, T, latent).

    The first state and cell (B, hidden); of the target (B, units) what is added to the posterior's
    step, and of the context (B * M, units) to each glimpse, with the null member (B, units); the
    layers' weights and biases, where `heads` is the query and the windows' numbers in one.
    """

    noise: Tensor
    h: Tensor
    cell: Tensor
    seen: Tensor
    features: Tensor | None
    null: Tensor | None
    heads: Tensor
    heads_bias: Tensor
    step: Tensor
    step_bias: Tensor
    output: Tensor
    output_bias: Tensor
    transition: Tensor
    transition_bias: Tensor
    glimpse: Tensor | None
    glimpse_bias: Tensor | None


def recurrence(
    noise: Tensor,
    start: Tensor,
    gaze: Gaze,
    context: tuple[ContextReader, EncodedContext] | None,
    target: tuple[Posterior, EncodedTarget],
    transition: LSTM,
    *,
    every: int = 0,
    limit: float | None = None,
) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """The states (B, T, hidden), and z, mean and log_std of the posterior, each (B, T, latent).

    For noise (B, T, latent), from the first state and cell, `start` (2, B, hidden). `gaze` views
    the context, if there is one, and the target, through spatial transformers. `limit` is that of
    `limit_gradient`; `every`, if not 0, how often states are kept for the way back.
    """
    posterior, seen = target
    kind, autocast = noise.device.type, torch.is_autocast_enabled(noise.device.type)
    reader, encoded = context or (None, None)
    setting = Setting(
        gaze=gaze,
        penalty=penalty(encoded.mask) if encoded else None,
        every=every or noise.shape[1],
        limit=limit,
        dtype=torch.get_autocast_dtype(kind) if autocast else noise.dtype,
    )
    heads = [cast(SpatialTransformer, each.aim).linear for each in gaze.readers]
    heads = [reader.query, *heads] if reader else heads
    given = Given(
        noise=noise,
        h=start[0],
        cell=start[1],
        seen=seen.features.float(),
        features=encoded.features.flatten(0, 1).float() if encoded else None,
        null=encoded.null if encoded else None,
        heads=torch.cat([layer.weight for layer in heads]),
        heads_bias=torch.cat([layer.bias for layer in heads]),
        step=posterior.embed_step.weight,
        step_bias=posterior.embed_step.bias,
        output=posterior.output.weight,
        output_bias=posterior.output.bias,
        transition=transition.weight,
        transition_bias=transition.bias,
        glimpse=reader.embed_glimpse.weight if reader else None,
        glimpse_bias=reader.embed_glimpse.bias if reader else None,
    )
    return cast(tuple[Tensor, Tensor, Tensor, Tensor], _Recurrence.apply(setting, *given))


class _Recurrence(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, setting: Setting, *given: Tensor | None) -> tuple[Tensor, ...]:
        ctx.save_for_backward(*given)
        ctx.steps = _Steps(setting, Given(*given))  # type: ignore[arg-type]
        with torch.autocast(ctx.steps.noise[0].device.type, enabled=False), unrecorded():
            return cast(tuple[Tensor, ...], ctx.steps.forward())

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor | None, ...]:
        _ = ctx.saved_tensors  # an error where a weight was changed meanwhile
        with unrecorded():
            return None, *ctx.steps.backward(*(each.transpose(0, 1) for each in gradients))


class _Layer:
    """A layer of all steps: its inputs, and what comes back for its outputs, T of (rows, width).

    `gave` is room for what is made of the outputs and needed on the way back. Where products are in
    float32, as all that is kept, what comes back takes its place: most of a step's small operations
    wait for memory, and so there is less of it.
    """

    def __init__(
        self, weight: Tensor, bias: Tensor, steps: int, rows: int, dtype: torch.dtype
    ) -> None:
        self.weight, self.bias = weight.to(dtype), bias.to(dtype)
        self.inputs = weight.new_empty(steps, rows, weight.shape[1], dtype=dtype)
        self.came = self.inputs.unbind()
        self.transposed = self.weight.t()
        self._ahead = multiplier(self.weight, self.bias, rows)

    @cached_property
    def gave(self) -> tuple[Tensor, ...]:
        same = self.inputs.dtype == torch.float32
        return self.back if same else self._outputs(torch.float32).unbind()

    @cached_property
    def gradients(self) -> Tensor:
        """For the outputs of all steps."""
        return self._outputs(self.inputs.dtype)

    @cached_property
    def back(self) -> tuple[Tensor, ...]:
        return self.gradients.unbind()

    def _outputs(self, dtype: torch.dtype) -> Tensor:
        return self.inputs.new_empty(*self.inputs.shape[:2], len(self.weight), dtype=dtype)

    def forward(self, t: int) -> Tensor:
        return self._ahead(self.came[t])

    def backward(self, t: int) -> Tensor:
        """The gradient for what came at step t, given that for what it gave."""
        return multiply(self.back[t], self.transposed).float()

    def of_weights(self) -> tuple[Tensor, Tensor]:
        """The gradients for weight and bias."""
        inputs, gradients = self.inputs.flatten(0, 1), self.gradients.flatten(0, 1)
        return multiply(gradients.t(), inputs.t()).float(), gradients.sum(0).float()


class _Slopes(NamedTuple):
    """What is linear on the way back, of a step: made for all steps in one call.

    How what was read changes as its points move, how the windows change with their numbers; how
    log_std's network changes what it says through z, where it is not at a limit; and the gradients
    for the posterior's mean and for log_std that do not come through the states.
    """

    glimpses: Tensor
    windows: Tensor
    log_std: Tensor
    to_mean: Tensor
    to_log_std: Tensor


class _Kept(NamedTuple):
    """What the way back needs of a step besides what its layers keep.

    Numbers and maps of the windows (V, B, ...), and the maps once more for each image; how the
    context was attended to; the network's word on z, and the noise times its deviation; the cell.
    """

    numbers: Tensor
    windows: Tensor
    where: Tensor
    attended: tuple[Tensor, Tensor, Tensor] | None
    output: Tensor
    scaled: Tensor
    cell: KeptCell


class _Steps:
    """All steps of a batch, there and back."""

    def __init__(self, setting: Setting, given: Given) -> None:
        self.setting, self.given, self.gaze = setting, given, setting.gaze
        self.reader = cast(SpatialTransformer, self.gaze.readers[0].aim)
        self.noise = given.noise.unbind(1)
        self.count, self.batch, self.latent = len(self.noise), *self.noise[0].shape
        self.units = 0 if given.null is None else given.null.shape[1]
        self.heads = self._layer(given.heads, given.heads_bias)
        self.step = self._layer(given.step, given.step_bias)
        self.output = self._layer(given.output, given.output_bias)
        self.transition = self._layer(given.transition, given.transition_bias)
        self.glimpse: _Layer | None = None
        if given.glimpse is not None and given.glimpse_bias is not None and self.members:
            self.glimpse = self._layer(given.glimpse, given.glimpse_bias, self.members)
        self.starts: list[tuple[Tensor, Tensor]] = []
        self.kept: dict[int, _Kept] = {}

    @property
    def members(self) -> int:
        """M, the images of a context."""
        return 0 if self.setting.penalty is None else self.setting.penalty.shape[1] - 1

    def _layer(self, weight: Tensor, bias: Tensor, members: int = 1) -> _Layer:
        return _Layer(weight, bias, self.count, self.batch * members, self.setting.dtype)

    def forward(self) -> tuple[Tensor, ...]:
        """States, z, mean and log_std, each (B, T, ...)."""
        h, cell = self.given.h, self.given.cell
        results = []
        for t in range(self.count):
            if t % self.setting.every == 0:
                self.starts.append((h, cell))
            h, cell, z, mean, log_std = self._forward(t, h, cell)
            results.append((h, z, mean, log_std))
            if self.setting.every < self.count:
                self.kept.clear()
        return tuple(torch.stack(each, 1) for each in zip(*results, strict=True))

    def _forward(
        self, t: int, h: Tensor, cell: Tensor
    ) -> tuple[Tensor, Tensor, Tensor, Tensor, Tensor]:
        """The next h and cell, z, and mean and log_std of its posterior."""
        self.heads.came[t].copy_(h)
        heads = self.heads.forward(t).float()
        query, numbers = heads[:, : self.units], heads[:, self.units :]
        numbers = numbers.unflatten(1, (len(self.gaze.readers), -1)).transpose(0, 1)
        windows = self.reader.window(numbers)
        where = self.gaze.of_images(windows)
        glimpses = self.gaze.of_views(self.reader.read(self.gaze.images, where).flatten(1))
        v, attended = self._attend(t, query, glimpses[0])
        torch.cat([glimpses[-1], h, v], 1, out=self.step.came[t])
        seen = torch.add(self.step.forward(t), self.given.seen, out=self.step.gave[t])
        self.output.came[t].copy_(F.silu(seen))
        output = self.output.forward(t).float()
        mean, log_std = mean_and_log_std(output)
        scaled = log_std.exp() * self.noise[t]
        z = mean + scaled
        torch.cat([z, v, h], 1, out=self.transition.came[t])
        gates = self.transition.forward(t).float()
        h, cell, kept = cell_forward(gates, cell, self.transition.gave[t])
        self.kept[t] = _Kept(numbers, windows, where, attended, output, scaled, kept)
        return h, cell, z, mean, log_std

    def _attend(
        self, t: int, query: Tensor, glimpses: Tensor
    ) -> tuple[Tensor, tuple[Tensor, Tensor, Tensor] | None]:
        """v_t (B, units), and what `_Kept` has of it."""
        missing, features, null = self.setting.penalty, self.given.features, self.given.null
        if missing is None or features is None or null is None:
            return glimpses.new_empty(self.batch, 0), None
        if self.glimpse is None:
            return null, None
        self.glimpse.came[t].copy_(glimpses)
        read = torch.add(self.glimpse.forward(t), features, out=self.glimpse.gave[t])
        values = torch.cat([null[:, None], F.silu(read).unflatten(0, (self.batch, -1))], 1)
        v, weights = attend(values, query, missing)
        return v, (values, query, weights)

    def backward(
        self, states: Tensor, z: Tensor, mean: Tensor, log_std: Tensor
    ) -> tuple[Tensor | None, ...]:
        """The gradients for all of `Given`, given those for all results, (T, B, ...)."""
        h, cell = torch.zeros_like(self.given.h), torch.zeros_like(self.given.cell)
        null = None if self.given.null is None else torch.zeros_like(self.given.null)
        for number, (before, memory) in reversed(list(enumerate(self.starts))):
            first = number * self.setting.every
            steps = range(first, min(first + self.setting.every, self.count))
            if first not in self.kept:
                for t in steps:
                    before, memory, *_ = self._forward(t, before, memory)
            part = slice(steps.start, steps.stop)
            slopes = self._slopes(steps, z[part], mean[part], log_std[part])
            for t, each in reversed(list(zip(steps, slopes, strict=True))):
                h = h + states[t]
                if self.setting.limit is not None:
                    h = limited(h, self.setting.limit)
                h, cell, to_null = self._backward(t, each, h, cell)
                if null is not None:
                    null += to_null
            self.kept.clear()
        layers = (self.heads, self.step, self.output, self.transition, self.glimpse)
        weights = [layer.of_weights() if layer else (None, None) for layer in layers]
        seen = self.step.gradients.float().sum(0) if self.given.seen.shape[1] > 1 else None
        features = self.glimpse.gradients.float().sum(0) if self.glimpse else None
        return None, h, cell, seen, features, null, *(each for pair in weights for each in pair)

    def _slopes(self, steps: range, z: Tensor, mean: Tensor, log_std: Tensor) -> Iterator[_Slopes]:
        """Those of each of these steps, given the gradients for its results."""
        kept = [self.kept[t] for t in steps]
        where = torch.stack([each.where for each in kept], 1)
        glimpses = self.reader.slopes(self.gaze.images, where)
        numbers = torch.stack([each.numbers for each in kept])
        windows = torch.stack([each.windows for each in kept])
        windows = self.reader.window_slopes(numbers, windows)
        unlimited = within_range(torch.stack([each.output for each in kept]))
        scaled = torch.stack([each.scaled for each in kept])
        of_log_std = scaled * unlimited
        to_log_std = torch.addcmul(log_std * unlimited, z, of_log_std)
        return map(_Slopes, glimpses, windows, of_log_std, z + mean, to_log_std)

    def _backward(
        self, t: int, slopes: _Slopes, h: Tensor, cell: Tensor
    ) -> tuple[Tensor, Tensor, Tensor]:
        """The gradients for the h and cell before step t, and for the null member."""
        kept, latent, units = self.kept[t], self.latent, self.units
        cell = cell_backward(kept.cell, h, cell, self.transition.back[t])
        to_z, v, h = self.transition.backward(t).split([latent, units, h.shape[1]], 1)
        back = self.output.back[t]
        torch.add(to_z, slopes.to_mean, out=back[:, :latent])
        torch.addcmul(slopes.to_log_std, to_z, slopes.log_std, out=back[:, latent:])
        silu = torch.ops.aten.silu_backward.grad_input
        silu(self.output.backward(t), self.step.gave[t], grad_input=self.step.back[t])
        glimpse, to_h, to_v = self.step.backward(t).split(
            [self.reader.side**2 * self.gaze.images.shape[1], h.shape[1], units], 1
        )
        h, v = h + to_h, v + to_v
        glimpses, back = [glimpse], self.heads.back[t]
        if kept.attended is None:
            back[:, :units] = 0
        else:
            values, query = attend_backward(*kept.attended, v)
            v, back[:, :units] = values[:, 0], query
            assert self.glimpse is not None
            read, to_read = self.glimpse.gave[t], self.glimpse.back[t]
            silu(values[:, 1:].flatten(0, 1), read, grad_input=to_read)
            glimpses.insert(0, self.glimpse.backward(t))
        rows = self.reader.read_backward(slopes.glimpses, torch.cat(glimpses))
        windows = self.gaze.summed(rows)[:, :, None]
        numbers = (slopes.windows * windows).sum((-2, -1))
        back[:, units:] = numbers.transpose(0, 1).flatten(1)
        return h + self.heads.backward(t), cell, v
