"""A long short-term memory, one step at a time (Hochreiter & Schmidhuber 1997)."""

from __future__ import annotations

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
