"""Validation drawings: a part of the training part that a run does not train on, to choose by."""

from __future__ import annotations

from dataclasses import replace

import torch
from torch import Tensor

from oneshot_cli.data.drawings import Drawings
from oneshot_cli.data.splits import OFFICIAL


def split_off_validation(
    drawings: Drawings, share: float, split: str | None
) -> tuple[Drawings, Drawings]:
    """The training part without its validation drawings, and those.

    Where a split is of characters, they are the first characters of each alphabet by name, about
    `share` of them; where it is the data set's own, of drawings, the last drawings of each
    character. At least one if there are three, at most a third, none for a share of 0.
    """
    if split == OFFICIAL:
        counts = torch.bincount(drawings.character, minlength=len(drawings.characters))
        first = counts.cumsum(0) - counts
        kept = counts - torch.tensor([_few(count, share) for count in counts.tolist()])
        place = torch.arange(len(drawings)) - first[drawings.character]
        chosen = place >= kept[drawings.character]
        return _where(drawings, ~chosen), _where(drawings, chosen)
    held = torch.zeros(len(drawings.characters), dtype=torch.bool)
    for alphabet in drawings.alphabet.unique().tolist():
        members = (drawings.alphabet == alphabet).nonzero().flatten().tolist()
        members.sort(key=lambda character: drawings.characters[character])
        held[members[: _few(len(members), share)]] = True
    return drawings.subset(~held), drawings.subset(held)


def _few(count: int, share: float) -> int:
    """How many of `count` characters or drawings are for validation."""
    return min(max(1, round(share * count)), count // 3) if share else 0


def _where(drawings: Drawings, keep: Tensor) -> Drawings:
    """The drawings where `keep` (N,) is true; characters left empty stay."""
    return replace(drawings, images=drawings.images[keep], character=drawings.character[keep])
