"""Validation drawings: a share of the training part that a run does not train on."""

from __future__ import annotations

from dataclasses import replace

import torch
from torch import Tensor

from oneshot_cli.data.drawings import Drawings
from oneshot_cli.data.splits import OFFICIAL


def split_off_validation(
    drawings: Drawings, share: float, split: str | None
) -> tuple[Drawings, Drawings]:
    """Divide a training part into training and validation drawings.

    If the split is by characters, validation gets the first characters of each alphabet by name,
    about `share` of them. If it is the official split of the data set, which is by drawings, it
    gets the last drawings of each character. It is at least one if there are three, at most a
    third, and none for a share of 0.
    """
    if split == OFFICIAL:
        counts = torch.bincount(drawings.character, minlength=len(drawings.characters))
        first = counts.cumsum(0) - counts
        kept = counts - torch.tensor([_validation_count(count, share) for count in counts.tolist()])
        place = torch.arange(len(drawings)) - first[drawings.character]
        chosen = place >= kept[drawings.character]
        return _where(drawings, ~chosen), _where(drawings, chosen)
    held = torch.zeros(len(drawings.characters), dtype=torch.bool)
    for alphabet in drawings.alphabet.unique().tolist():
        members = (drawings.alphabet == alphabet).nonzero().flatten().tolist()
        members.sort(key=lambda character: drawings.characters[character])
        held[members[: _validation_count(len(members), share)]] = True
    return drawings.subset(~held), drawings.subset(held)


def _validation_count(count: int, share: float) -> int:
    """How many of `count` characters or drawings go to validation."""
    return min(max(1, round(share * count)), count // 3) if share else 0


def _where(drawings: Drawings, keep: Tensor) -> Drawings:
    """The drawings where `keep` (N,) is true. All characters keep their indices."""
    return replace(drawings, images=drawings.images[keep], character=drawings.character[keep])
