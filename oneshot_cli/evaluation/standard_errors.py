"""Standard errors of means over drawings that resemble each other.

Drawings of one held-out character are not independent: what makes one of them likely makes the
others likely. The standard error of their mean is that of a mean over characters, several times the
one that takes all drawings for independent. Whole alphabets that were held out are alike again.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor

from oneshot_cli.data.drawings import Drawings
from oneshot_cli.data.splits import STRONG, VALIDATION, WEAK


def unit(split: str | None) -> str:
    """What a split holds out, and so what its test drawings are a sample of.

    "alphabet" or "character"; "image" where the drawings themselves are the sample, as in MNIST.
    """
    if split in STRONG:
        return "alphabet"
    return "character" if split in (WEAK, VALIDATION) else "image"


def clusters(drawings: Drawings, index: Tensor, by: str) -> Tensor:
    """The number of the character, alphabet or image that each of the drawings belongs to, (N,)."""
    if by == "image":
        return torch.arange(len(index))
    character = drawings.character[index]
    return character if by == "character" else drawings.alphabet[character]


def standard_error(values: Tensor, cluster: Tensor) -> float:
    """Of the mean of `values` (N,), where those of one `cluster` (N,) may depend on each other.

    The square root of G / (G - 1) sum_g (sum of the residuals in g)^2 / N^2 for G clusters (Liang &
    Zeger 1986, with the usual correction for few clusters). With clusters of one it is the standard
    error of a mean. NaN for a single cluster.
    """
    members = torch.unique(cluster, return_inverse=True)[1]
    count = int(members.max()) + 1 if len(members) else 0
    if count < 2:
        return math.nan
    residuals = values.double() - values.double().mean()
    sums = torch.zeros(count, dtype=torch.float64).index_add_(0, members, residuals)
    return math.sqrt(count / (count - 1) * sums.square().sum().item()) / len(values)
