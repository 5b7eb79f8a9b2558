"""Whether bfloat16 is faster than float32 on a device."""

from __future__ import annotations

import math
import time

import torch

from oneshot_cli.model.engine.linear import multiply

CLEARLY = 1.2
"""How many times as fast a type has to be to be called faster. Less may be noise."""

TURNS, ENOUGH = 20, 0.03
"""How often products are timed, unless that takes more seconds than ENOUGH."""


def bf16_pays(device: torch.device) -> bool:
    """Whether matrix products in bfloat16 are clearly faster than in float32 on `device`.

    On the CPU that is measured, see `bf16_gain`. On CUDA it is taken for granted where the hardware
    has bfloat16, and on MPS for not so; neither is measured.
    """
    if device.type == "cuda":
        with torch.cuda.device(device):
            try:
                return torch.cuda.is_bf16_supported(including_emulation=False)
            except TypeError:  # of PyTorch before it had the argument
                return torch.cuda.is_bf16_supported()
    return device.type == "cpu" and bf16_gain() > CLEARLY


def bf16_gain() -> float:
    """How many times as fast the CPU multiplies matrices in bfloat16 as in float32, at this moment.

    The products of a layer, forward and backward, with as many threads as torch has; the best of
    several turns, so that other work beside it matters little. It takes a tenth of a second, also
    where bfloat16 is emulated. A whole training step differs less between the types.
    """
    return _seconds(torch.float32) / _seconds(torch.bfloat16)


def _seconds(dtype: torch.dtype) -> float:
    """What 64 rows, 672 to 400, take in the type: y = x w', dx = dy w and dw = dy' x."""
    x, y, weight = (torch.ones(shape, dtype=dtype) for shape in ((64, 672), (64, 400), (400, 672)))
    best, end = math.inf, time.perf_counter() + ENOUGH
    for _ in range(TURNS):
        started = time.perf_counter()
        multiply(x, weight)
        multiply(y, weight.t())
        multiply(y.t(), x.t())
        ended = time.perf_counter()
        best = min(best, ended - started)
        if ended > end:
            break
    return best
