"""torch.compile, as an option that nothing depends on."""

from __future__ import annotations

import warnings

import torch

from oneshot_cli.errors import OneshotError
from oneshot_cli.model import GenerativeModel


def compile_model(model: GenerativeModel, device: torch.device) -> None:
    """Compile the `compiled_methods` of `model`; on CUDA their kernels are replayed as graphs.

    Raises OneshotError where torch.compile does not work, before the first iteration.
    """
    try:
        torch.compile(torch.sin)(torch.zeros(2, device=device))
    except Exception as error:
        reason = (str(error).strip() or type(error).__name__).splitlines()[0]
        raise OneshotError(
            f"--compile: torch.compile does not work here ({reason})\n"
            "it needs a C++ compiler, on CUDA Triton; without --compile nothing does"
        ) from error
    # Cached constants become constants of the graph, as they should.
    warnings.filterwarnings("ignore", message="Dynamo detected a call to a `functools.lru_cache`")
    mode = "reduce-overhead" if device.type == "cuda" else "default"
    for name in model.compiled_methods:
        setattr(model, name, torch.compile(getattr(model, name), mode=mode))
