"""Whether bfloat16 is faster than float32 on a device."""

from __future__ import annotations

import math
import time
from typing import Any

import torch

from oneshot_cli.model.engine.linear import multiply

MIN_SPEEDUP = 1.2
"""A warning is given if a type is more than this many times slower. Less may be noise."""

REPEATS, TIME_LIMIT = 20, 0.03
"""The products are timed REPEATS times, or until TIME_LIMIT seconds have passed."""


def bf16_is_faster(device: torch.device) -> bool:
    """Whether matrix products in bfloat16 are assumed to be faster than in float32 on `device`.

    They are if the hardware has fast instructions for bfloat16, on CUDA and on the CPU; not on MPS.
    Nothing is timed, so that the same command computes the same, whatever else the machine does.
    """
    if device.type == "cuda":
        with torch.cuda.device(device):
            try:
                return torch.cuda.is_bf16_supported(including_emulation=False)
            except TypeError:  # older PyTorch lacks the argument
                return torch.cuda.is_bf16_supported()
    return device.type == "cpu" and _cpu_has_bf16()


def _cpu_has_bf16() -> bool:
    """Whether the processor multiplies in bfloat16 faster than in float32, as torch reports it.

    AMX does, and so do AMD's AVX-512 instructions for bfloat16. Intel's AVX-512 ones do not: a Xeon
    that had them without AMX took 1.8 times as long as in float32. Other architectures say so with
    any capability that ends in bf16. False where torch is older than its report of capabilities.
    """
    report: dict[str, Any] = getattr(torch.cpu, "get_capabilities", dict)()
    if report.get("architecture") != "x86_64":
        return any(has for name, has in report.items() if name.endswith("bf16"))
    amd = any(brand in report.get("cpu_name", "") for brand in ("AMD", "EPYC", "Ryzen"))
    return bool(report.get("amx_bf16") or (amd and report.get("avx512_bf16")))


def bf16_speedup() -> float:
    """How many times as fast as in float32 the CPU multiplies matrices in bfloat16, measured now.

    The products are those of one layer's forward and backward pass, on all of torch's threads. The
    fastest of several repeats counts, so that other processes matter little. It takes a tenth of a
    second, even where bfloat16 is emulated. A whole training step gains less.
    """
    return _seconds(torch.float32) / _seconds(torch.bfloat16)


def _seconds(dtype: torch.dtype) -> float:
    """Seconds of a layer (672 to 400) on 64 rows: y = x w', dx = dy w and dw = dy' x."""
    x, y, weight = (torch.ones(shape, dtype=dtype) for shape in ((64, 672), (64, 400), (400, 672)))
    best, end = math.inf, time.perf_counter() + TIME_LIMIT
    for _ in range(REPEATS):
        started = time.perf_counter()
        multiply(x, weight)
        multiply(y, weight.t())
        multiply(y.t(), x.t())
        ended = time.perf_counter()
        best = min(best, ended - started)
        if ended > end:
            break
    return best
