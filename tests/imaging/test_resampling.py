"""Resampling against Pillow's BOX filter and against pooling written out."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from PIL import Image
from torch import Tensor

from oneshot_cli.errors import OneshotError
from oneshot_cli.imaging.resampling import box_grey, box_ink, max_ink, resampled


@pytest.fixture(scope="module")
def strokes() -> Tensor:
    """Blobs with edges everywhere, 105 x 105."""
    noise = torch.rand(12, 1, 40, 40, generator=torch.Generator().manual_seed(0))
    smooth = torch.nn.functional.interpolate(noise, 105, mode="bilinear")[:, 0]
    return (smooth > 0.6).to(torch.uint8)


def pillow_box(images: Tensor, size: int) -> Tensor:
    resized = [
        np.asarray(Image.fromarray(image).resize((size, size), Image.Resampling.BOX))
        for image in images.numpy()
    ]
    return torch.from_numpy(np.stack(resized))


@pytest.mark.parametrize("size", [1, 7, 20, 26, 28, 50, 52, 64, 100, 104, 105, 128, 210])
def test_box_is_pillows_bit_for_bit(strokes: Tensor, size: int) -> None:
    expected = pillow_box(strokes * 255, size)
    assert torch.equal(box_ink(strokes, size), (expected >= 128).to(torch.uint8))
    assert torch.equal(box_grey(strokes * 255, size), expected)


def test_a_half_counts_as_ink() -> None:
    checkers = torch.tensor([[[1, 0], [0, 1]]], dtype=torch.uint8).repeat(1, 4, 4)
    assert box_ink(checkers, 4).min() == 1


def test_max_pooling_keeps_any_ink_of_the_crop(strokes: Tensor) -> None:
    expected = strokes[:, :104, :104].reshape(-1, 26, 4, 26, 4).amax((2, 4))
    assert torch.equal(max_ink(strokes, 26), expected)


def test_what_cannot_be_resampled_is_refused(strokes: Tensor) -> None:
    with pytest.raises(OneshotError, match="divides 104"):
        resampled(strokes, 28, "max")
    with pytest.raises(OneshotError, match="no resampling"):
        resampled(strokes, 28, "bicubic")
    with pytest.raises(OneshotError, match="at least one pixel"):
        resampled(strokes, 0)
