"""Standard errors of means over drawings that are not independent.

Drawings of one held-out character resemble each other: if one of them is likely under the model, so
are the others. Their mean is a mean over few characters, with a standard error several times that
for independent drawings. The same holds for drawings of one held-out alphabet.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor

from oneshot_cli.data.drawings import Drawings
from oneshot_cli.data.splits import STRONG, VALIDATION, WEAK


def unit(split: str | None) -> str:
    """The unit that `split` holds out: "alphabet", "character", or "image" for data without such
    a split, such as MNIST. Standard errors are clustered by it."""
    if split in STRONG:
        return "alphabet"
    return "character" if split in (WEAK, VALIDATION) else "image"


def clusters(drawings: Drawings, index: Tensor, by: str) -> Tensor:
    """The cluster (N,) of each of the drawings `index` (N,): its character, alphabet or image.

    `by` is a unit as `unit` returns it.
    """
    if by == "image":
        return torch.arange(len(index))
    character = drawings.character[index]
    return character if by == "character" else drawings.alphabet[character]


def standard_error(values: Tensor, cluster: Tensor) -> float:
    """The standard error of the mean of `values` (N,), where values of one `cluster` (N,) may be
    dependent.

    With one value in each cluster it is the usual standard error of a mean. NaN for fewer than two
    clusters.
    """
    values = values.double()
    return error_of_sum((values - values.mean()) / max(len(values), 1), cluster)


def error_of_sum(terms: Tensor, cluster: Tensor) -> float:
    """The standard error of an estimate that deviates from its expectation by the sum of `terms`
    (N,), where terms of one `cluster` (N,) may be dependent.

    It is the square root of G / (G - 1) sum_g (sum of the terms in g)^2 for G clusters (Liang &
    Zeger 1986, with the usual correction for few clusters). NaN for fewer than two clusters.
    """
    members = torch.unique(cluster, return_inverse=True)[1]
    count = int(members.max()) + 1 if len(members) else 0
    if count < 2:
        return math.nan
    sums = torch.zeros(count, dtype=torch.float64).index_add_(0, members, terms.double())
    return math.sqrt(count / (count - 1) * sums.square().sum().item())
