"""A long short-term memory, one step at a time (Hochreiter & Schmidhuber 1997)."""

from __future__ import annotations

import torch
from torch import Tensor

from oneshot_cli.model.engine.linear import Linear


class LSTM(Linear):
    """h_t, c_t = LSTM(h_{t-1}, c_{t-1}, x_t), with all gates in one linear map:

        [a_i, a_f, a_g, a_o] = W [x_t, h_{t-1}] + b
        c_t = sigmoid(a_f) c_{t-1} + sigmoid(a_i) tanh(a_g),   h_t = sigmoid(a_o) tanh(c_t)

    As torch.nn.LSTMCell, but under autocast the cell stays in float32. The forget gate's bias
    starts at 1.
    """

    def __init__(self, inputs: int, hidden: int) -> None:
        super().__init__(inputs + hidden, 4 * hidden)
        with torch.no_grad():
            self.bias[hidden : 2 * hidden].fill_(1.0)

    def step(self, h: Tensor, cell: Tensor, *inputs: Tensor) -> tuple[Tensor, Tensor]:
        """One step: (B, hidden), (B, hidden) and inputs (B, ...) -> (B, hidden), (B, hidden)."""
        gates = self(torch.cat([*(x.to(h.dtype) for x in inputs), h], -1)).float()
        i, f, g, o = gates.chunk(4, -1)
        cell = torch.sigmoid(f) * cell + torch.sigmoid(i) * torch.tanh(g)
        return torch.sigmoid(o) * torch.tanh(cell), cell
