"""Deformations: what they leave alone, what they are made of, and that ink stays in the frame."""

from __future__ import annotations

import math
from dataclasses import replace

import pytest
import torch
from torch import Tensor

from oneshot_cli.drawing.deformation import (
    PEOPLE,
    Deformation,
    Spread,
    depths,
    displacements,
    linear_maps,
)

NONE = Spread(scale=0, aspect=0, shear=0, turn=0, shift=0, bend=0)


def numbers(count: int, seed: int = 0) -> Tensor:
    generator = torch.Generator().manual_seed(seed)
    return torch.randn(count, Deformation.NUMBERS, generator=generator)


def drawing(size: int = 52) -> Tensor:
    """An L, (1, size, size)."""
    ink = torch.zeros(1, size, size)
    ink[0, 12:36, 16:19] = 1
    ink[0, 33:36, 16:32] = 1
    return ink


def test_without_noise_a_drawing_stays_as_it_is_to_the_pixel() -> None:
    generator = torch.Generator().manual_seed(0)
    inks = (torch.rand(5, 28, 28, generator=generator) < 0.3).float()
    inside = inks.clone()
    inside[:, 0] = inside[:, -1] = inside[:, :, 0] = inside[:, :, -1] = 0
    still = Deformation.of(inside, torch.zeros(5, Deformation.NUMBERS), PEOPLE)
    assert torch.equal(still.applied(depths(inside), 28), inside)


def test_linear_maps_against_closed_forms() -> None:
    zero, some = torch.zeros(1), torch.full((1,), 0.3)
    turn = linear_maps(torch.stack([zero, zero, zero, some], 1))[0]
    cos, sin = some.cos().item(), some.sin().item()
    torch.testing.assert_close(turn, torch.tensor([[cos, -sin], [sin, cos]]))
    scale = linear_maps(torch.stack([some, zero, zero, zero], 1))[0]
    torch.testing.assert_close(scale, some.exp() * torch.eye(2))
    aspect = linear_maps(torch.stack([zero, some, zero, zero], 1))[0]
    torch.testing.assert_close(aspect, torch.diag(torch.cat([some.exp(), (-some).exp()])))
    shear = linear_maps(torch.stack([zero, zero, some, zero], 1))[0]
    cosh, sinh = some.cosh().item(), some.sinh().item()
    torch.testing.assert_close(shear, torch.tensor([[cosh, sinh], [sinh, cosh]]))
    drawn = torch.randn(20, 4, generator=torch.Generator().manual_seed(0))
    there, back = linear_maps(drawn), linear_maps(-drawn)
    identity = torch.eye(2).expand(20, 2, 2)
    torch.testing.assert_close(there @ back, identity, atol=1e-4, rtol=1e-4)


def test_a_shift_moves_the_ink_by_as_much() -> None:
    noise = torch.zeros(1, Deformation.NUMBERS)
    noise[0, 4:6] = torch.tensor([1.0, -2.0])
    spread = replace(NONE, shift=2 * 3 / 52)  # three pixels
    moved = Deformation.of(drawing(), noise, spread).applied(depths(drawing()), 52)
    assert torch.equal(moved, drawing().roll((-6, 3), (1, 2)))


def test_a_magnified_stroke_keeps_its_width() -> None:
    """Its length grows and shrinks; Omniglot's strokes are 3 pixels wide at 52."""
    bar = torch.zeros(1, 52, 52)
    bar[0, 16:36, 24:27] = 1
    for log_scale in (-0.4, -0.2, 0.0, 0.2, 0.4):
        noise = torch.zeros(1, Deformation.NUMBERS)
        noise[0, 0] = log_scale
        made = Deformation.of(bar, noise, replace(NONE, scale=1.0)).applied(depths(bar), 52)[0]
        across, along = made.any(0).sum().item(), made.any(1).sum().item()
        magnified = math.exp(-log_scale)
        assert across == pytest.approx(3 * min(1, magnified), abs=1.01), "within a pixel"
        assert along == pytest.approx(17 * magnified + 3 * min(1, magnified), abs=2)


def test_depths_are_distances_to_the_outline() -> None:
    bar = torch.zeros(1, 10, 10)
    bar[0, 4:7] = 1
    expected = [-3.5, -2.5, -1.5, -0.5, 0.5, 1.5, 0.5, -0.5, -1.5, -2.5]
    assert depths(bar)[0, :, 5].tolist() == expected
    assert depths(bar[:0]).shape == (0, 10, 10)


def test_displacements_are_sums_of_cosines() -> None:
    places = torch.tensor([[-1.0, -1.0], [0.3, -0.2]])
    modes = torch.zeros(1, 12)
    modes[0, 1], modes[0, 9] = 0.5, 2.0  # x by (2, 0), y by (2, 1)
    found = displacements(modes, places)[0]
    assert found[0].tolist() == pytest.approx([0.5, 2.0])
    x, y = (torch.pi * (places[1] + 1) / 2).tolist()
    expected = [0.5 * math.cos(2 * x), 2 * math.cos(2 * x) * math.cos(y)]
    assert found[1].tolist() == pytest.approx(expected, abs=1e-6)


def test_ink_stays_in_the_frame_and_is_centred_where_it_cannot() -> None:
    far = replace(NONE, shift=5.0)
    moved = Deformation.of(drawing().expand(50, -1, -1), numbers(50), far)
    shown = moved.applied(depths(drawing().expand(50, -1, -1)), 52)
    assert ((shown.sum((1, 2)) - drawing().sum()).abs() <= 12).all(), "but for half pixels"
    assert shown[:, 0].sum() == shown[:, -1].sum() == shown[..., 0].sum() == 0
    # Bends are inverted to first order, which is not exact for all.
    inks = drawing().expand(200, -1, -1)
    made = Deformation.of(inks, numbers(200), PEOPLE).applied(depths(inks), 52)
    edges = made[:, 0].sum(1) + made[:, -1].sum(1) + made[..., 0].sum(1) + made[..., -1].sum(1)
    assert (edges > 3).sum() <= 3, "strokes are hardly ever cut off"
    huge = replace(NONE, scale=2.0)
    noise = torch.zeros(1, Deformation.NUMBERS)
    noise[0, 0] = -0.5
    large = Deformation.of(drawing(), noise, huge).applied(depths(drawing()), 52)
    assert large.any()
    blank = torch.zeros(2, 28, 28)
    assert not Deformation.of(blank, numbers(2), PEOPLE).applied(depths(blank), 28).any()


def test_a_deformation_does_not_depend_on_those_beside_it() -> None:
    inks = drawing().expand(40, -1, -1)
    together = Deformation.of(inks, numbers(40), PEOPLE).applied(depths(inks), 52)
    alone = Deformation.of(inks[17:18], numbers(40)[17:18], PEOPLE).applied(depths(inks[17:18]), 52)
    assert torch.equal(together[17:18], alone)
    assert len({picture.numpy().tobytes() for picture in together}) == 40
    assert Deformation.of(inks[:0], numbers(0), PEOPLE).applied(depths(inks[:0]), 52).shape == (
        0,
        52,
        52,
    )
