"""p(x | canvas): how an image is scored under the last canvas, in nats."""

from __future__ import annotations

import torch.nn.functional as F
from torch import Tensor


def bernoulli_log_likelihood(logits: Tensor, x: Tensor) -> Tensor:
    """log Bernoulli(x; sigmoid(logits)), summed over channels and pixels: (..., C, H, W) -> (...).

    x log s(l) + (1 - x) log(1 - s(l)) = x l - softplus(l), which is safe at any logit.
    """
    return (x * logits - F.softplus(logits)).sum((-3, -2, -1))
