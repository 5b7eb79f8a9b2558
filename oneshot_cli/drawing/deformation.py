"""Small smooth maps of the plane that imitate how people's drawings of one character differ.

A pixel at p' of the deformed drawing shows the exemplar at

    p = c + L (p' - c - d) + sum_k a_k f_k(p')

where c is the centre of the ink, L a linear map near the identity, d a shift, and f_k the six
lowest cosine modes of the frame that are neither a shift nor nearly linear. All parameters are
normal, with standard deviations measured between people's drawings of one character.
"""

from __future__ import annotations

from dataclasses import astuple, dataclass
from math import pi
from typing import ClassVar

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from oneshot_cli.affine import pixels, sample

MODES = ((1, 1), (2, 0), (0, 2), (2, 1), (1, 2), (2, 2))
"""(j, k) of the modes cos(pi j (x + 1) / 2) cos(pi k (y + 1) / 2)."""

PEN = 0.03
"""Half a stroke's width, as a fraction of the frame. Omniglot's strokes are 3.2 of 52 pixels."""

OUTSIDE = 8.0
"""Points outside the exemplar's frame count as this many pixels away from the nearest ink."""

CHUNK = 16
"""Drawings deformed in one chunk. Its samples fit in the processor's cache."""

MARGIN = 0.08
"""Smallest distance between ink and the edge of the frame, in half-widths of the frame."""


@dataclass(frozen=True)
class Spread:
    """Standard deviations of the parameters of a deformation.

    L is the matrix exponential of [[scale + aspect, shear - turn], [shear + turn, scale - aspect]].
    `scale` and `aspect` are logarithms, `turn` is an angle in radians. `shift`, and `bend`, the
    displacement at the peak of a mode, are in half-widths of the frame.
    """

    scale: float
    aspect: float
    shear: float
    turn: float
    shift: float
    bend: float

    def deviations(self) -> Tensor:
        """The standard deviation of each parameter, (Deformation.NUMBERS,)."""
        *linear, shift, bend = astuple(self)
        return torch.tensor([*linear, shift, shift, *(2 * len(MODES) * [bend])])


PEOPLE = Spread(scale=0.155, aspect=0.104, shear=0.095, turn=0.128, shift=0.147, bend=0.06)
"""Measured between two people's drawings of one Omniglot character: `docs/measure_people.py`."""


@dataclass(frozen=True)
class Deformation:
    """Maps of B drawings: centres (B, 2), L (B, 2, 2), shifts (B, 2), mode amplitudes (B, 12)."""

    centre: Tensor
    linear: Tensor
    shift: Tensor
    modes: Tensor

    NUMBERS: ClassVar[int] = 6 + 2 * len(MODES)
    """How many standard normal numbers determine one map."""

    @classmethod
    def of(cls, inks: Tensor, noise: Tensor, spread: Spread) -> Deformation:
        """Maps of drawings (B, S, S), ink 0 or 1, from standard normal noise (B, NUMBERS).

        Shifts that would move ink out of the frame are made smaller.
        """
        numbers = noise * spread.deviations().to(noise)
        linear, modes = linear_maps(numbers[:, :4]), numbers[:, 6:]
        weight = inks.sum((1, 2)).clamp(min=1)
        place = pixels(inks.shape[-1], inks.dtype, inks.device)
        across, down = (inks.sum(1) * place).sum(1), (inks.sum(2) * place).sum(1)
        centre = torch.stack([across, down], 1) / weight[:, None]
        shift = _within_frame(inks, centre, linear.inverse(), modes, numbers[:, 4:6])
        return cls(centre, linear, shift, modes)

    def applied(self, depth: Tensor, size: int) -> Tensor:
        """Deform drawings given by their `depths` (B, S, S): float ink (B, size, size), 0 or 1.

        People draw a large character with the same pen as a small one. So the strokes of a drawing
        that is magnified s times keep their width 2 r: ink is where the depth exceeds
        r (1 - 1 / s). The strokes of a drawing that shrinks get thinner, or small loops would fill.
        """
        place = pixels(size, depth.dtype, depth.device)
        radius, shrunk = PEN * depth.shape[-1], torch.linalg.det(self.linear).sqrt()
        threshold = radius * (1 - shrunk).clamp(min=0)
        depth = depth.clamp(min=-OUTSIDE) + OUTSIDE
        grid = torch.stack(torch.meshgrid(place, place, indexing="xy"), -1).flatten(0, 1)
        side = len(place)
        made = []
        for rows in torch.arange(len(depth)).split(CHUNK):
            moved = grid - (self.centre + self.shift)[rows, None]
            where = moved @ self.linear[rows].mT + self.centre[rows, None]
            where = (where + displacements(self.modes[rows], grid)).unflatten(1, (side, side))
            found = sample(depth[rows][:, None], where)[:, 0] - OUTSIDE
            made.append((found > threshold[rows, None, None]).float())
        return torch.cat(made) if made else depth.new_zeros(0, size, size)


def depths(inks: Tensor) -> Tensor:
    """Signed distances (B, S, S) in pixels from each pixel's centre to the outline of the ink.

    Positive inside the ink (B, S, S), negative outside.
    """
    from scipy.ndimage import distance_transform_edt

    signed = []
    for mask in inks.bool().cpu().numpy():
        inside = distance_transform_edt(np.pad(mask, 1))[1:-1, 1:-1]
        outside = distance_transform_edt(~mask)
        signed.append(np.where(mask, inside - 0.5, 0.5 - outside))
    return torch.from_numpy(np.stack(signed)).to(inks) if signed else inks


def linear_maps(numbers: Tensor) -> Tensor:
    """L (B, 2, 2) from scale, aspect, shear and turn (B, 4), see `Spread`."""
    scale, aspect, shear, turn = numbers.unbind(1)
    entries = torch.stack([scale + aspect, shear - turn, shear + turn, scale - aspect], 1)
    return torch.linalg.matrix_exp(entries.unflatten(1, (2, 2)))


def displacements(modes: Tensor, places: Tensor) -> Tensor:
    """Displacements sum_k a_k f_k (B, N, 2) at `places` (N, 2) or (B, N, 2).

    `modes` (B, 2 * 6) are the amplitudes a_k of x, then those of y.
    """
    x, y = (pi * (places + 1) / 2).unbind(-1)
    values = torch.stack([(j * x).cos() * (k * y).cos() for j, k in MODES], -1)
    return values @ modes.unflatten(1, (2, len(MODES))).mT


def _within_frame(
    inks: Tensor, centre: Tensor, forward: Tensor, modes: Tensor, shift: Tensor
) -> Tensor:
    """The shifts (B, 2) nearest to `shift` that keep all ink in the frame.

    A drawing that is too large for the frame is centred. `forward` is the inverse of L. The modes
    are inverted to first order, and ink is looked up at half the resolution; MARGIN allows for
    both.
    """
    kept = []
    for rows in torch.arange(len(inks)).split(CHUNK):
        coarse = F.max_pool2d(inks[rows][:, None], 2, ceil_mode=True)
        place = pixels(coarse.shape[-1], inks.dtype, inks.device)
        grid = torch.stack(torch.meshgrid(place, place, indexing="xy"), -1).flatten(0, 1)
        there = coarse.flatten(1)[..., None] > 0
        middle = centre[rows, None]
        moved = (grid - middle) @ forward[rows].mT + middle
        bent = displacements(modes[rows], moved + shift[rows, None])
        moved = moved - bent @ forward[rows].mT
        low = -(1 - MARGIN) - moved.masked_fill(~there, torch.inf).amin(1)
        high = 1 - MARGIN - moved.masked_fill(~there, -torch.inf).amax(1)
        inside = shift[rows].clamp(low.minimum(high), high.maximum(low))
        fitting = torch.where(low <= high, inside, (low + high) / 2)
        kept.append(torch.where(there.any(1), fitting, shift[rows]))
    return torch.cat(kept) if kept else shift
