"""Forward and backward pass of the LSTM's cell, see `LSTM.step`.

Forward, from the gates' linear map [a_i, a_f, a_g, a_o]:

    i, f, o = sigmoid(a_i), sigmoid(a_f), sigmoid(a_o),   g = tanh(a_g) = 2 sigmoid(2 a_g) - 1
    c_t = f c_{t-1} + i g,   h_t = o tanh(c_t)

Backward, from the gradients dh of h_t and dc of c_t:

    dc   <- dc + dh o (1 - tanh(c_t)^2)
    da_i  = dc g i (1 - i),         da_f = dc c_{t-1} f (1 - f)
    da_g  = dc i 4 s (1 - s),       s = sigmoid(2 a_g)
    da_o  = dh tanh(c_t) o (1 - o),   dc_{t-1} = dc f
"""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor


class SavedCell(NamedTuple):
    """Saved for the backward pass: the four sigmoids (B, 4 * hidden), c_{t-1} and c_t."""

    gates: Tensor
    before: Tensor
    after: Tensor


def cell_forward(gates: Tensor, cell: Tensor, buffer: Tensor) -> tuple[Tensor, Tensor, SavedCell]:
    """h_t and c_t, from the gates' linear map (B, 4 * hidden), which is overwritten.

    The sigmoids are saved in `buffer` (B, 4 * hidden).
    """
    hidden = cell.shape[1]
    # 2 sigmoid(2 a) - 1 is tanh(a), which takes the CPU four times as long.
    gates[:, 2 * hidden : 3 * hidden].mul_(2)
    i, f, s, o = torch.sigmoid(gates, out=buffer).chunk(4, 1)
    g = (2 * s).sub_(1)
    after = torch.addcmul(f * cell, i, g)
    return o * _tanh(after), after, SavedCell(buffer, cell, after)


def cell_backward(saved: SavedCell, grad_h: Tensor, grad_cell: Tensor, buffer: Tensor) -> Tensor:
    """The gradient of c_{t-1}, from those of h_t and c_t.

    The gradient of the gates' linear map is written to `buffer` (B, 4 * hidden), which may be the
    one that holds the saved sigmoids.
    """
    aten = torch.ops.aten
    i, f, s, o = saved.gates.chunk(4, 1)
    tanh_c = _tanh(saved.after)
    grad_cell = grad_cell + aten.tanh_backward(grad_h * o, tanh_c)
    grad_gates = torch.empty_like(saved.gates)
    grad_i, grad_f, grad_s, grad_o = grad_gates.chunk(4, 1)
    torch.mul(grad_cell, (2 * s).sub_(1), out=grad_i)
    torch.mul(grad_cell, saved.before, out=grad_f)
    torch.mul(grad_cell, i, out=grad_s).mul_(4)  # 2 twice, from 2 sigmoid(2 a) - 1
    torch.mul(grad_h, tanh_c, out=grad_o)
    grad_before = grad_cell * f
    aten.sigmoid_backward.grad_input(grad_gates, saved.gates, grad_input=buffer)
    return grad_before


def _tanh(cell: Tensor) -> Tensor:
    """tanh by the sigmoid, which takes the CPU a quarter of the time."""
    return torch.sigmoid(2 * cell).mul_(2).sub_(1)
