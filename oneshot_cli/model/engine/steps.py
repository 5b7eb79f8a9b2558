"""Forward and backward pass of all steps of the recurrence, written out.

One step, with eps_t the noise, x the target, x' the context's images, and the linear layers
H (heads), G (glimpse), E (step), O (output) and L (transition):

    [q, p] = H h_{t-1}                   query of the context, parameters of the windows
    w = window(p),   g = read(x, w),   g' = read(x', w')
    e = silu(r),   r = G g' + s_x'       each image of the context, s_x' computed once
    v = attend([null, e], q)
    u = silu(s),   s = E [g, h_{t-1}, v] + s_x
    [mean, log_std] = O u,   z_t = mean + exp(log_std) eps_t
    h_t, c_t = cell(L [z_t, v, h_{t-1}], c_{t-1})

Backward, from dh and dc, the gradients of h_t and c_t, and those of the results z_t, mean and
log_std (written dz*, dm*, dl*):

    dL, dc_{t-1} = cell_backward(dh, dc)
    [dz, dv, dh_{t-1}] = L' dL,   dz <- dz + dz*
    dO = [dz + dm*, dz exp(log_std) eps_t + dl*]     where log_std was clamped its half is 0
    dE = silu'(s) (O' dO)
    [dg, dh_{t-1}, dv] <- E' dE                      added to dh_{t-1} and dv
    de, dq = attend_backward(dv),   dG = silu'(r) de,   dg' = G' dG
    dw = read_backward(dg),   dp = window_backward(dw)
    dh_{t-1} <- dh_{t-1} + H' [dq, dp]

dL, dO, dE, dG and dH = [dq, dp] are the gradients of the layers' outputs. The gradient of a weight
is one product over all steps, see `StepLayer`.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor

from oneshot_cli.model.attention import JointReader
from oneshot_cli.model.context import attend
from oneshot_cli.model.engine.cell import SavedCell, cell_backward, cell_forward
from oneshot_cli.model.engine.gradients import limited
from oneshot_cli.model.engine.sampling import sample_jacobian
from oneshot_cli.model.engine.set_attention import attend_backward
from oneshot_cli.model.engine.step_layer import StepLayer
from oneshot_cli.model.engine.windows import jacobian_of, read_backward
from oneshot_cli.model.gaussian import mean_and_log_std, unclamped


class Settings(NamedTuple):
    """What the steps use and no gradient is computed for.

    `mask` (B, 1 + M) is the additive attention mask of the context's set; None where the model has
    no context. States are saved every `every` steps, and the steps between are computed again in
    the backward pass. Gradients of states are limited to `limit`. Products are in `dtype`.
    """

    reader: JointReader
    mask: Tensor | None
    every: int
    limit: float | None
    dtype: torch.dtype


class Inputs(NamedTuple):
    """Inputs of the recurrence that receive gradients, except the noise (B, T, latent).

    The first state and cell (B, hidden); `target_features` (B, units), added in the posterior's
    first layer; `context_features` (B * M, units), added to each embedded glimpse, and the null
    member (B, units); weights and biases of the layers. `heads` are the query and the parameters of
    all windows in one layer.
    """

    noise: Tensor
    h: Tensor
    cell: Tensor
    target_features: Tensor
    context_features: Tensor | None
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


class _Saved(NamedTuple):
    """What the backward pass needs of a step besides the inputs of its layers.

    Parameters and windows (V, B, ...), and the windows repeated for each image; values, query and
    weights of the attention over the context; the posterior's output; exp(log_std) eps; the cell.
    """

    parameters: Tensor
    windows: Tensor
    image_windows: Tensor
    attended: tuple[Tensor, Tensor, Tensor] | None
    output: Tensor
    scaled_noise: Tensor
    cell: SavedCell


class _Linearized(NamedTuple):
    """Factors of a step's backward pass that depend on no gradient of a state.

    They are computed for all steps in one call. `glimpses` is dg / dpoint, `windows` dw / dp;
    `log_std` is exp(log_std) eps, 0 where log_std was clamped; `grad_mean` and `grad_log_std` are
    the parts of dO that do not come through the states.
    """

    glimpses: Tensor
    windows: Tensor
    log_std: Tensor
    grad_mean: Tensor
    grad_log_std: Tensor


class Steps:
    """All steps for one batch."""

    def __init__(self, settings: Settings, inputs: Inputs) -> None:
        self.settings, self.inputs, self.reader = settings, inputs, settings.reader
        self.attention = self.reader.readers[0].attention
        self.window_jacobian = jacobian_of(self.attention)
        self.noise = inputs.noise.unbind(1)
        self.count, self.batch, self.latent = len(self.noise), *self.noise[0].shape
        self.units = 0 if inputs.null is None else inputs.null.shape[1]
        self.heads = self._layer(inputs.heads, inputs.heads_bias)
        self.step = self._layer(inputs.step, inputs.step_bias)
        self.output = self._layer(inputs.output, inputs.output_bias)
        self.transition = self._layer(inputs.transition, inputs.transition_bias)
        self.glimpse: StepLayer | None = None
        if inputs.glimpse is not None and inputs.glimpse_bias is not None and self.members:
            self.glimpse = self._layer(inputs.glimpse, inputs.glimpse_bias, self.members)
        self.starts: list[tuple[Tensor, Tensor]] = []
        self.saved: dict[int, _Saved] = {}

    @property
    def members(self) -> int:
        """M, the images of a context."""
        return 0 if self.settings.mask is None else self.settings.mask.shape[1] - 1

    def _layer(self, weight: Tensor, bias: Tensor, members: int = 1) -> StepLayer:
        return StepLayer(weight, bias, self.count, self.batch * members, self.settings.dtype)

    def forward(self) -> tuple[Tensor, ...]:
        """States, z, mean and log_std, each (B, T, ...)."""
        h, cell = self.inputs.h, self.inputs.cell
        results = []
        for t in range(self.count):
            if t % self.settings.every == 0:
                self.starts.append((h, cell))
            h, cell, z, mean, log_std = self._forward(t, h, cell)
            results.append((h, z, mean, log_std))
            if self.settings.every < self.count:
                self.saved.clear()
        return tuple(torch.stack(each, 1) for each in zip(*results, strict=True))

    def _forward(
        self, t: int, h: Tensor, cell: Tensor
    ) -> tuple[Tensor, Tensor, Tensor, Tensor, Tensor]:
        """The next h and cell, z, and the mean and log_std of its posterior."""
        self.heads.inputs_at[t].copy_(h)
        heads = self.heads.forward(t).float()
        query, parameters = heads[:, : self.units], heads[:, self.units :]
        parameters = parameters.unflatten(1, (len(self.reader.readers), -1)).transpose(0, 1)
        windows = self.attention.window(parameters)
        image_windows = self.reader.repeat_for_images(windows)
        glimpses = self.reader.split_by_view(
            self.attention.read(self.reader.images, image_windows).flatten(1)
        )
        v, attended = self._attend(t, query, glimpses[0])
        torch.cat([glimpses[-1], h, v], 1, out=self.step.inputs_at[t])
        s = torch.add(self.step.forward(t), self.inputs.target_features, out=self.step.saved_at[t])
        self.output.inputs_at[t].copy_(F.silu(s))
        output = self.output.forward(t).float()
        mean, log_std = mean_and_log_std(output)
        scaled_noise = log_std.exp() * self.noise[t]
        z = mean + scaled_noise
        torch.cat([z, v, h], 1, out=self.transition.inputs_at[t])
        gates = self.transition.forward(t).float()
        h, cell, saved = cell_forward(gates, cell, self.transition.saved_at[t])
        self.saved[t] = _Saved(
            parameters, windows, image_windows, attended, output, scaled_noise, saved
        )
        return h, cell, z, mean, log_std

    def _attend(
        self, t: int, query: Tensor, glimpses: Tensor
    ) -> tuple[Tensor, tuple[Tensor, Tensor, Tensor] | None]:
        """v_t (B, units), and `_Saved.attended`."""
        mask, features, null = self.settings.mask, self.inputs.context_features, self.inputs.null
        if mask is None or features is None or null is None:
            return glimpses.new_empty(self.batch, 0), None
        if self.glimpse is None:
            return null, None
        self.glimpse.inputs_at[t].copy_(glimpses)
        r = torch.add(self.glimpse.forward(t), features, out=self.glimpse.saved_at[t])
        values = torch.cat([null[:, None], F.silu(r).unflatten(0, (self.batch, -1))], 1)
        v, weights = attend(values, query, mask)
        return v, (values, query, weights)

    def backward(
        self, states: Tensor, z: Tensor, mean: Tensor, log_std: Tensor
    ) -> tuple[Tensor | None, ...]:
        """The gradients of all `Inputs`, from those of all results, (T, B, ...)."""
        h, cell = torch.zeros_like(self.inputs.h), torch.zeros_like(self.inputs.cell)
        null = None if self.inputs.null is None else torch.zeros_like(self.inputs.null)
        for number, (first_h, first_cell) in reversed(list(enumerate(self.starts))):
            first = number * self.settings.every
            steps = range(first, min(first + self.settings.every, self.count))
            if first not in self.saved:
                for t in steps:
                    first_h, first_cell, *_ = self._forward(t, first_h, first_cell)
            part = slice(steps.start, steps.stop)
            linearized = self._linearize(steps, z[part], mean[part], log_std[part])
            for t, each in reversed(list(zip(steps, linearized, strict=True))):
                h = h + states[t]
                if self.settings.limit is not None:
                    h = limited(h, self.settings.limit)
                h, cell, grad_null = self._backward(t, each, h, cell)
                if null is not None:
                    null += grad_null
            self.saved.clear()
        layers = (self.heads, self.step, self.output, self.transition, self.glimpse)
        weights = [layer.weight_gradients() if layer else (None, None) for layer in layers]
        encoded = self.inputs.target_features.requires_grad
        target = self.step.grad_outputs.float().sum(0) if encoded else None
        context = self.glimpse.grad_outputs.float().sum(0) if self.glimpse else None
        return None, h, cell, target, context, null, *(each for pair in weights for each in pair)

    def _linearize(
        self, steps: range, z: Tensor, mean: Tensor, log_std: Tensor
    ) -> Iterator[_Linearized]:
        """That of each of these steps, from the gradients of its results."""
        saved = [self.saved[t] for t in steps]
        image_windows = torch.stack([each.image_windows for each in saved], 1)
        glimpses = sample_jacobian(self.reader.images, image_windows, self.attention.side)
        parameters = torch.stack([each.parameters for each in saved])
        windows = torch.stack([each.windows for each in saved])
        windows = self.window_jacobian(parameters, windows)
        free = unclamped(torch.stack([each.output for each in saved]))
        scaled_noise = torch.stack([each.scaled_noise for each in saved])
        of_log_std = scaled_noise * free
        grad_log_std = torch.addcmul(log_std * free, z, of_log_std)
        return map(_Linearized, glimpses, windows, of_log_std, z + mean, grad_log_std)

    def _backward(
        self, t: int, linear: _Linearized, h: Tensor, cell: Tensor
    ) -> tuple[Tensor, Tensor, Tensor]:
        """The gradients of the h and cell before step t, and of the null member."""
        saved, latent, units = self.saved[t], self.latent, self.units
        cell = cell_backward(saved.cell, h, cell, self.transition.grad_at[t])
        grad_z, v, h = self.transition.backward(t).split([latent, units, h.shape[1]], 1)
        grad = self.output.grad_at[t]
        torch.add(grad_z, linear.grad_mean, out=grad[:, :latent])
        torch.addcmul(linear.grad_log_std, grad_z, linear.log_std, out=grad[:, latent:])
        silu_backward = torch.ops.aten.silu_backward.grad_input
        silu_backward(
            self.output.backward(t), self.step.saved_at[t], grad_input=self.step.grad_at[t]
        )
        glimpse, to_h, to_v = self.step.backward(t).split(
            [self.attention.side**2 * self.reader.images.shape[1], h.shape[1], units], 1
        )
        h, v = h + to_h, v + to_v
        glimpses, grad = [glimpse], self.heads.grad_at[t]
        if saved.attended is None:
            grad[:, :units] = 0
        else:
            values, query = attend_backward(*saved.attended, v)
            v, grad[:, :units] = values[:, 0], query
            assert self.glimpse is not None
            r, grad_r = self.glimpse.saved_at[t], self.glimpse.grad_at[t]
            silu_backward(values[:, 1:].flatten(0, 1), r, grad_input=grad_r)
            glimpses.insert(0, self.glimpse.backward(t))
        image_windows = read_backward(linear.glimpses, torch.cat(glimpses))
        windows = self.reader.sum_over_images(image_windows)[:, :, None]
        parameters = (linear.windows * windows).sum((-2, -1))
        grad[:, units:] = parameters.transpose(0, 1).flatten(1)
        return h + self.heads.backward(t), cell, v
