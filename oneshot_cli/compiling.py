"""torch.compile as an option."""

from __future__ import annotations

import warnings

import torch

from oneshot_cli.errors import OneshotError
from oneshot_cli.model import GenerativeModel


def compile_model(model: GenerativeModel, device: torch.device) -> None:
    """Compile `model.compiled_methods`, where the model spends most time.

    On CUDA the kernels are replayed as CUDA graphs. Raises OneshotError if torch.compile does not
    work on this machine. It is tried on a small function first, so that a run does not fail in its
    first iteration.
    """
    try:
        torch.compile(torch.sin)(torch.zeros(2, device=device))
    except Exception as error:
        reason = (str(error).strip() or type(error).__name__).splitlines()[0]
        raise OneshotError(
            f"--compile: torch.compile does not work here ({reason})\n"
            "it needs a C++ compiler, and Triton on CUDA; training works without --compile"
        ) from error
    # The cached functions return constants, which may become constants of the graph.
    warnings.filterwarnings("ignore", message="Dynamo detected a call to a `functools.lru_cache`")
    mode = "reduce-overhead" if device.type == "cuda" else "default"
    for name in model.compiled_methods:
        setattr(model, name, torch.compile(getattr(model, name), mode=mode))
