"""A long short-term memory, one step at a time (Hochreiter & Schmidhuber 1997)."""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor

from oneshot_cli.model.linear import Linear


class LSTM(Linear):
    """h_t, c_t = LSTM(h_{t-1}, c_{t-1}, inputs): all gates are one linear map of [inputs, h].

    As torch.nn.LSTMCell, but under autocast the cell stays in float32. At first it remembers.
    """

    def __init__(self, inputs: int, hidden: int) -> None:
        super().__init__(inputs + hidden, 4 * hidden)
        with torch.no_grad():
            self.bias[hidden : 2 * hidden].fill_(1.0)

    def step(self, h: Tensor, cell: Tensor, *inputs: Tensor) -> tuple[Tensor, Tensor]:
        """One step: (B, hidden), (B, hidden) and inputs (B, ...) -> (B, hidden), (B, hidden)."""
        gates = self(torch.cat([*(i.to(h.dtype) for i in inputs), h], -1)).float()
        entry, keep, candidate, exit_ = gates.chunk(4, -1)
        cell = torch.sigmoid(keep) * cell + torch.sigmoid(entry) * torch.tanh(candidate)
        return torch.sigmoid(exit_) * torch.tanh(cell), cell


class KeptCell(NamedTuple):
    """What the way back needs: sigmoids (B, 4 * hidden), c_{t-1} and c_t."""

    gates: Tensor
    before: Tensor
    after: Tensor


def cell_forward(gates: Tensor, cell: Tensor, room: Tensor) -> tuple[Tensor, Tensor, KeptCell]:
    """h_t and c_t of `LSTM.step`, given its linear map (B, 4 * hidden), which is overwritten.

    What is kept of it is put in `room`, as large.
    """
    hidden = cell.shape[1]
    # 2 sigmoid(2 a) - 1 is tanh(a), which takes the CPU four times as long.
    gates[:, 2 * hidden : 3 * hidden].mul_(2)
    entry, keep, half, exit_ = torch.sigmoid(gates, out=room).chunk(4, 1)
    candidate = (2 * half).sub_(1)
    after = torch.addcmul(keep * cell, entry, candidate)
    return exit_ * _tanh(after), after, KeptCell(room, cell, after)


def _tanh(cell: Tensor) -> Tensor:
    """By the sigmoid, which takes the CPU a quarter of the time."""
    return torch.sigmoid(2 * cell).mul_(2).sub_(1)


def cell_backward(kept: KeptCell, h: Tensor, cell: Tensor, room: Tensor) -> Tensor:
    """The gradient for c_{t-1}, given those for h_t and c_t.

    That for the map goes to `room`, which may be where the kept gates are.
    """
    aten = torch.ops.aten
    entry, keep, half, exit_ = kept.gates.chunk(4, 1)
    exposed = _tanh(kept.after)
    cell = cell + aten.tanh_backward(h * exit_, exposed)
    gates = torch.empty_like(kept.gates)
    to_entry, to_keep, to_candidate, to_exit = gates.chunk(4, 1)
    torch.mul(cell, (2 * half).sub_(1), out=to_entry)
    torch.mul(cell, kept.before, out=to_keep)
    torch.mul(cell, entry, out=to_candidate).mul_(4)  # twice 2, of 2 sigmoid(2 a) - 1
    torch.mul(h, exposed, out=to_exit)
    cell = cell * keep
    aten.sigmoid_backward.grad_input(gates, kept.gates, grad_input=room)
    return cell
