"""Which device the arithmetic runs on."""

from __future__ import annotations

import sys

import torch
from torch import Tensor

from oneshot_cli.errors import OneshotError


def resolve_device(name: str = "auto") -> torch.device:
    """The device called `name`; "auto" is CUDA, else Apple's MPS, else the CPU.

    Raises OneshotError for a device that this machine, or this build of torch, does not have.
    """
    there = {
        "cuda": torch.cuda.is_available(),
        "mps": torch.backends.mps.is_available(),
        "cpu": True,
    }
    if name == "auto":
        return torch.device(next(kind for kind, is_there in there.items() if is_there))
    try:
        device = torch.device(name)
    except RuntimeError:
        raise OneshotError(f"{name!r} is no device; there are auto, cpu, cuda and mps") from None
    if not there.get(device.type, False):
        raise OneshotError(f"this machine has no {name} device for torch; use --device cpu or auto")
    return device


def to_device(tensor: Tensor, device: torch.device | str) -> Tensor:
    """`tensor` on `device`; a GPU is not waited for, whatever it is busy with."""
    if torch.device(device).type != "cuda" or tensor.is_cuda:
        return tensor.to(device)
    return tensor.pin_memory().to(device, non_blocking=True)


def peak_memory() -> int | None:
    """The most memory that this process has held so far, in MB; None where the system does not
    count it."""
    try:
        import resource
    except ImportError:  # Windows
        return None
    used = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return round(used / (1e6 if sys.platform == "darwin" else 1e3))
