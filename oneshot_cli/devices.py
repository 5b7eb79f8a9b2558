"""Devices of torch, and the memory of the process."""

from __future__ import annotations

import sys

import torch
from torch import Tensor

from oneshot_cli.errors import OneshotError


def resolve_device(name: str = "auto") -> torch.device:
    """The device called `name`. "auto" is CUDA if there is a GPU, else Apple's MPS, else the CPU.

    Raises OneshotError if this machine, or this build of torch, does not have the device.
    """
    available = {
        "cuda": torch.cuda.is_available(),
        "mps": torch.backends.mps.is_available(),
        "cpu": True,
    }
    if name == "auto":
        return torch.device(next(kind for kind, usable in available.items() if usable))
    try:
        device = torch.device(name)
    except RuntimeError:
        raise OneshotError(f"{name!r} is not a device; choose auto, cpu, cuda or mps") from None
    if not available.get(device.type, False):
        raise OneshotError(
            f"torch finds no {name} device on this machine; use --device cpu or auto"
        )
    return device


def to_device(tensor: Tensor, device: torch.device | str) -> Tensor:
    """`tensor` on `device`. Copies to a GPU are asynchronous: they do not wait for its queue."""
    if torch.device(device).type != "cuda" or tensor.is_cuda:
        return tensor.to(device)
    return tensor.pin_memory().to(device, non_blocking=True)


def peak_memory() -> int | None:
    """The largest resident memory of this process so far in MB, or None on systems without it."""
    try:
        import resource
    except ImportError:  # Windows
        return None
    used = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return round(used / (1e6 if sys.platform == "darwin" else 1e3))
