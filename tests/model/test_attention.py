"""Windows, their inverses, reading and writing."""

import math
from typing import Any

import pytest
import torch
from tiny import images, noise

from oneshot_cli.affine import transform
from oneshot_cli.model.attention import (
    JointReader,
    Reader,
    Writer,
    inverse,
    windows,
)
from oneshot_cli.model.attention.spatial_transformer import LEAST_AREA
from oneshot_cli.model.engine import sampling
from oneshot_cli.model.engine.sampling import sum_of_transforms
from oneshot_cli.model.registry import ATTENTIONS


def raw(count: int, seed: int = 0, scale: float = 2.0) -> torch.Tensor:
    return scale * torch.randn(count, 6, generator=torch.Generator().manual_seed(seed))


def square(maps: torch.Tensor) -> torch.Tensor:
    """(N, 2, 3) as (N, 3, 3)."""
    last = torch.tensor([0.0, 0.0, 1.0]).expand(len(maps), 1, 3)
    return torch.cat([maps, last.to(maps.dtype)], 1)


def test_a_window_at_rest_is_centred_and_covers_its_scale() -> None:
    window = windows(torch.zeros(1, 6), 0.9)
    torch.testing.assert_close(window, torch.tensor([[[0.9, 0, 0], [0, 0.9, 0]]]))


def test_windows_stay_within_their_bounds() -> None:
    window = windows(raw(1000, scale=50.0), 0.6)
    assert window[:, :, 2].abs().max() <= 1
    area = torch.linalg.det(window[:, :, :2])
    assert area.min() >= (0.6 * math.exp(-1.2)) ** 2 - 1e-5
    assert area.max() <= (0.6 * math.exp(1.2)) ** 2 + 1e-4


def test_windows_are_rotation_shear_scale_in_this_order() -> None:
    numbers = raw(5).double()
    angle, shear = 0.5 * torch.tanh(numbers[:, 4]), 0.5 * torch.tanh(numbers[:, 5])
    for i in range(5):
        c, s = math.cos(angle[i]), math.sin(angle[i])
        rotation = torch.tensor([[c, -s], [s, c]])
        shearing = torch.tensor([[1.0, float(shear[i])], [0.0, 1.0]])
        scaling = torch.diag(0.6 * torch.exp(1.2 * torch.tanh(numbers[i, 2:4]))).float()
        window = windows(numbers[i : i + 1], 0.6)[0]
        torch.testing.assert_close(window[:, :2], rotation @ shearing @ scaling)


def test_inverse_undoes_a_window() -> None:
    window = windows(raw(200), 0.6)
    product = square(inverse(window)) @ square(window)
    torch.testing.assert_close(product, torch.eye(3).expand(200, 3, 3), atol=2e-5, rtol=0)
    torch.testing.assert_close(
        square(inverse(window)), torch.linalg.inv(square(window)), atol=2e-4, rtol=1e-4
    )


def maps_with(determinants: torch.Tensor) -> torch.Tensor:
    """Random (N, 2, 3) maps in float64 whose 2 x 2 parts have these determinants (N,)."""
    generator = torch.Generator().manual_seed(0)
    maps = torch.randn(len(determinants), 2, 3, generator=generator, dtype=torch.float64)
    determinant = torch.linalg.det(maps[:, :, :2])
    maps[:, :, 0] *= (determinants / determinant)[:, None]
    return maps


def test_inverse_is_the_inverse_whatever_the_sign_of_the_determinant() -> None:
    sizes = torch.logspace(math.log10(1.01 * LEAST_AREA), 1, 50, dtype=torch.float64)
    maps = maps_with(torch.cat([sizes, -sizes]))
    torch.testing.assert_close(square(inverse(maps)), torch.linalg.inv(square(maps)))


@pytest.mark.parametrize("sign", [1, -1])
def test_a_small_determinant_grows_and_keeps_its_sign(sign: int) -> None:
    """The inverse is then too small by the same factor, and still of the same orientation."""
    sizes = sign * torch.logspace(-12, -4.001, 50, dtype=torch.float64)
    maps = maps_with(sizes)
    expected = torch.linalg.inv(square(maps))[:, :2] * (sizes / (sign * LEAST_AREA))[:, None, None]
    torch.testing.assert_close(inverse(maps), expected, rtol=1e-6, atol=1e-6)
    assert (torch.linalg.det(inverse(maps)[:, :, :2]).sign() == sign).all()


def test_a_determinant_of_zero_is_taken_for_a_positive_one() -> None:
    flat = torch.tensor([[[0.5, 1.0, 0.0], [0.25, 0.5, 0.0]]], dtype=torch.float64)
    expected = torch.tensor([[[0.5, -1.0, 0.0], [-0.25, 0.5, 0.0]]]).double() / LEAST_AREA
    torch.testing.assert_close(inverse(flat), expected)


def test_free_windows_are_what_the_network_says() -> None:
    torch.manual_seed(0)
    aim: Any = ATTENTIONS["free-transformer"](8, 28, 12, 0.9)
    h = torch.randn(5, 8)
    entries = (h @ aim.linear.weight.T + aim.linear.bias).view(5, 2, 3)
    start = torch.tensor([[0.9, 0, 0], [0, 0.9, 0]])
    torch.testing.assert_close(aim(h), entries + start)


def test_a_window_without_an_inverse_writes_something_finite() -> None:
    aim = ATTENTIONS["free-transformer"](8, 28, 4, 0.6)
    flat = torch.tensor([[[0.5, 1.0, 0.0], [0.25, 0.5, 0.0]]]).requires_grad_()
    written = aim.write(torch.ones(1, 1, 4, 4), flat, 9)
    written.sum().backward()
    assert written.isfinite().all()
    assert flat.grad is not None
    assert flat.grad.isfinite().all()


def test_identity_reads_the_image_itself() -> None:
    image = torch.rand(3, 2, 12, 12)
    identity = torch.tensor([[1.0, 0, 0], [0, 1, 0]]).expand(3, 2, 3)
    torch.testing.assert_close(transform(image, identity, 12), image)


def test_sampling_is_bilinear_and_zero_outside() -> None:
    image = torch.zeros(1, 1, 4, 4)
    image[0, 0, 1, 2] = 1.0
    # A shift right by one pixel (2 / 4 of the half width) and by half a pixel.
    for shift, expected in ((0.5, {1: 1.0}), (0.25, {1: 0.5, 2: 0.5})):
        maps = torch.tensor([[[1.0, 0, shift], [0, 1, 0]]])
        row = transform(image, maps, 4)[0, 0, 1]
        assert row.tolist() == pytest.approx([expected.get(i, 0.0) for i in range(4)])
    away = torch.tensor([[[1.0, 0, 3.0], [0, 1, 0]]])
    assert transform(torch.ones(1, 1, 4, 4), away, 4).abs().max() == 0


def test_what_is_written_can_be_read_back_through_the_same_window() -> None:
    """Writing maps by the inverse: reading the canvas through the window gives the patch."""
    torch.manual_seed(0)
    writer = Writer(hidden=8, patch=6, channels=1, scale=0.6)
    reader = Reader(hidden=8, glimpse=6, scale=0.6)
    smooth = torch.linspace(-1, 1, 6)
    patch = (smooth[:, None] + 2 * smooth[None, :]).expand(20, 1, 6, 6)
    window = 0.4 * windows(raw(20, scale=0.5), 1.0)  # inside the canvas
    canvas = writer(patch, window, 256)
    glimpse = reader(canvas, window).view(20, 1, 6, 6)
    error = (glimpse - patch)[..., 1:-1, 1:-1].abs().max()
    assert error < 0.05


@pytest.mark.parametrize("attention", list(ATTENTIONS))
@pytest.mark.parametrize("members", [0, 1, 3])
def test_several_readers_read_at_once_what_each_reads_alone(attention: str, members: int) -> None:
    torch.manual_seed(0)
    readers = [Reader(8, 4, 0.9, size=10, attention=attention) for _ in range(2)]
    h, one, other = noise(5, 8), images(5 * members, size=10), images(5, size=10)
    glimpses, seen = JointReader(5, list(zip(readers, (one, other), strict=True)))(h)
    for reader, own, glimpse, window in zip(readers, (one, other), glimpses, seen, strict=True):
        torch.testing.assert_close(window, reader.attention(h))
        repeated = window.repeat_interleave(len(own) // 5, 0)
        torch.testing.assert_close(glimpse, reader(own, repeated))


def test_gradients_of_windows_match_finite_differences() -> None:
    image = torch.rand(1, 1, 7, 7, dtype=torch.float64, generator=torch.Generator().manual_seed(1))
    weight = torch.rand(1, 1, 5, 5, dtype=torch.float64, generator=torch.Generator().manual_seed(2))

    def value(numbers: torch.Tensor) -> torch.Tensor:
        grid = torch.nn.functional.affine_grid(_window64(numbers), [1, 1, 5, 5], False)
        sampled = torch.nn.functional.grid_sample(image, grid, align_corners=False)
        return (sampled * weight).sum()

    numbers = torch.randn(1, 6, dtype=torch.float64, generator=torch.Generator().manual_seed(3))
    assert torch.autograd.gradcheck(value, (numbers.requires_grad_(),), eps=1e-7, atol=1e-4)
    window32 = windows(numbers.float(), 0.9)
    torch.testing.assert_close(_window64(numbers).float(), window32, atol=1e-5, rtol=1e-5)


def _window64(numbers: torch.Tensor) -> torch.Tensor:
    """A plain float64 window, written as in the docstring of `attention`."""
    centre = torch.tanh(numbers[:, :2])
    extent = 0.9 * torch.exp(1.2 * torch.tanh(numbers[:, 2:4]))
    angle, shear = 0.5 * torch.tanh(numbers[:, 4]), 0.5 * torch.tanh(numbers[:, 5])
    c, s, one, zero = angle.cos(), angle.sin(), torch.ones_like(angle), torch.zeros_like(angle)
    rotation = torch.stack([c, -s, s, c], -1).view(-1, 2, 2)
    shearing = torch.stack([one, shear, zero, one], -1).view(-1, 2, 2)
    matrix = rotation @ shearing @ torch.diag_embed(extent)
    return torch.cat([matrix, centre[:, :, None]], -1)


def test_mixing_patches_equals_mixing_the_canvas() -> None:
    torch.manual_seed(0)
    writer = Writer(hidden=8, patch=5, channels=4, scale=0.6)
    h, mix = torch.randn(6, 8), torch.randn(1, 4)
    window = writer.attention(h)
    full = torch.einsum("oc,bchw->bohw", mix, writer(writer.patches(h), window, 20))
    folded = writer(writer.patches(h, mix), window, 20)
    torch.testing.assert_close(folded, full, atol=1e-5, rtol=1e-4)


def test_bfloat16_autocast_leaves_the_grid_alone() -> None:
    image, window = torch.rand(2, 1, 28, 28), windows(raw(2), 0.9)
    plain = transform(image, window, 12)
    with torch.autocast("cpu", torch.bfloat16):
        under = transform(image, window, 12)
    assert under.dtype == torch.float32
    torch.testing.assert_close(under, plain)


@pytest.mark.parametrize("steps", [1, 3])
def test_only_rows_that_a_map_reaches_are_sampled(steps: int) -> None:
    """Which are all that have a sample that is not 0, wherever windows are and however narrow."""
    torch.manual_seed(0)
    narrow = windows(torch.randn(4, 200, 6), 0.2)
    beyond = narrow + torch.tensor([0.0, 0.0, 2.0])
    edge = torch.tensor([[0.1, 0.0, 0.0], [0.0, 0.1, 0.97]]).expand(4, 1, 2, 3)
    maps = inverse(torch.cat([narrow, beyond, edge], 1))
    flat = torch.tensor([[1.0, 0.0, 0.0], [1.0, 0.0, 0.0]]).expand(4, 1, 2, 3)
    maps = torch.cat([maps, flat], 1)
    images = torch.ones(4, maps.shape[1], 1, 4, 4)
    bands = sampling._bands(images, maps, 16, steps)
    assert len(bands) == -(-maps.shape[1] // steps)
    kept = 0
    for part, where, rows in zip(images.split(steps, 1), maps.split(steps, 1), bands, strict=True):
        samples = transform(part.flatten(0, 1), where.flatten(0, 1), 16)
        samples[:, :, rows] = 0
        assert samples.abs().max() < 1e-5
        kept += len(range(16)[rows])
    assert kept / len(bands) < 10 + steps
    assert bands[-1] == slice(0, 16)  # a line may be anywhere


@pytest.mark.parametrize("points", [1, 2 * 2 * 49, 2**20])
def test_a_sum_of_transforms_is_that_and_so_are_its_gradients(
    points: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whether a step at a time, two, or all five; the gradient checked by differences too."""
    monkeypatch.setattr(sampling, "AT_ONCE", points)
    torch.manual_seed(0)
    images = torch.randn(2, 5, 3, 4, 4, requires_grad=True)
    raw = torch.randn(2, 5, 6, requires_grad=True)
    weight = torch.randn(2, 3, 7, 7)
    results = []
    for function in (
        lambda maps: sum_of_transforms(images, maps, 7),
        lambda maps: (
            transform(images.flatten(0, 1), maps.flatten(0, 1), 7).unflatten(0, (2, 5)).sum(1)
        ),
    ):
        total = function(inverse(windows(raw, 0.7)))
        results.append((total, *torch.autograd.grad((total * weight).sum(), [images, raw])))
    for mine, plain in zip(*results, strict=True):
        torch.testing.assert_close(mine, plain, atol=1e-5, rtol=1e-5)

    doubles = (images[:, :3].detach().double(), inverse(windows(raw[:, :3], 0.7)).detach().double())
    torch.autograd.gradcheck(
        lambda i, m: sampling._SumOfTransforms.apply(i, m, 7),
        tuple(t.requires_grad_() for t in doubles),
        eps=1e-7,
        atol=1e-5,
    )


@pytest.mark.parametrize("size", [45, 52, 208, 301])
def test_a_drawn_picture_does_not_depend_on_where_others_beside_it_are(size: int) -> None:
    """To the bit: rows are sampled together, and the last floats of a call round differently."""
    torch.manual_seed(0)
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    images, maps = torch.rand(8, 3, 1, 12, 12), inverse(windows(torch.randn(8, 3, 6), 0.3))
    with torch.inference_mode():
        first = sum_of_transforms(images, maps, size)[0]
        for shift in (0.1, 0.37, 0.8):
            beside = maps + torch.tensor([0.0, 0.0, shift])[None, None, None] * maps[..., :1]
            beside[0] = maps[0]
            assert torch.equal(sum_of_transforms(images, beside, size)[0], first)
    torch.set_num_threads(before)
