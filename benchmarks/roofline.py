"""A lower bound on the time of a training step: that of its matrix products and convolutions.

A list of the products that no rewriting can avoid, forward and backward, in their real shapes and
type: a recurrent product is done T times on a batch, one that does not depend on its own result
once on T batches. The convolutions of the image encoders and of the gated canvas count as products.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor

from oneshot_cli.model import SequentialConfig
from oneshot_cli.model.engine.linear import multiply
from oneshot_cli.model.image_encoder import ImageEncoder


@dataclass(frozen=True)
class Product:
    """`times` products of (rows, inputs) with (inputs, outputs)."""

    rows: int
    inputs: int
    outputs: int
    times: int


def products(config: SequentialConfig, batch: int, members: int = 1) -> list[Product]:
    """The dense layers of a training step with `members` context images an example."""
    steps, hidden, units = config.steps, config.hidden, config.context_units
    glimpse = config.glimpse**2
    seen = glimpse + hidden + units
    written = config.patch**2 * (1 if config.canvas == "additive" else config.canvas_channels)
    found = [
        Product(batch, config.latent + units + hidden, 4 * hidden, steps),
        Product(batch, seen, config.posterior_units, steps),
        Product(batch, config.posterior_units, 2 * config.latent, steps),
        Product(batch * members, glimpse, units, steps),
        Product(batch, hidden, units, steps),
        Product(batch * steps, hidden, written, 1),
    ]
    if config.image_encoder_units:
        found += [
            Product(batch * members, config.image_encoder_units, units, 1),
            Product(batch, config.image_encoder_units, config.posterior_units, 1),
        ]
    return found


Multiply = Callable[[Tensor, Tensor], Tensor]


def floor(
    config: SequentialConfig,
    batch: int,
    dtype: torch.dtype,
    device: torch.device,
    by: Multiply = multiply,
) -> Callable[[], None]:
    """A function that does all products of one training step. `by` multiplies matrices."""
    dense = [_dense(product, dtype, device, by) for product in products(config, batch)]
    image_encoders = 2 if config.image_encoder_units else 0
    convolutions = [_image_encoder(config, batch, dtype, device) for _ in range(image_encoders)]
    if config.canvas == "gated":
        convolutions.append(_canvas(config, batch, dtype, device))

    def run() -> None:
        for work in (*dense, *convolutions):
            work()

    return run


def _dense(
    product: Product, dtype: torch.dtype, device: torch.device, by: Multiply = multiply
) -> Callable[[], None]:
    """Forward and backward products of a layer: y = x w, dx = dy w', and one dw = x' dy."""
    rows, steps = product.rows, product.times
    x = torch.randn(steps * rows, product.inputs, dtype=dtype, device=device)
    y = torch.randn(steps * rows, product.outputs, dtype=dtype, device=device)
    w = torch.randn(product.outputs, product.inputs, dtype=dtype, device=device)
    parts = list(zip(x.split(rows), y.split(rows), strict=True))

    def run() -> None:
        for inputs, outputs in parts:
            by(inputs, w)
            by(outputs, w.t())
        by(y.t(), x.t())

    return run


def _image_encoder(
    config: SequentialConfig, batch: int, dtype: torch.dtype, device: torch.device
) -> Callable[[], None]:
    """The layers of an image encoder, forward and backward."""
    encoder = ImageEncoder(config).to(device, dtype)
    image = torch.rand(batch, config.channels, config.size, config.size, device=device, dtype=dtype)
    work: list[Callable[[], None]] = []
    features = image.to(memory_format=torch.channels_last)
    for layer in encoder.convolutions:
        if isinstance(layer, torch.nn.Conv2d):
            features = features.detach().requires_grad_(bool(work))
            work.append(_convolution(features, layer.weight, layer.stride))
            features = layer(features)
    dense = Product(batch, encoder.dense.in_features, encoder.dense.out_features, 1)
    work.append(_dense(dense, dtype, device))

    def run() -> None:
        for layer in work:
            layer()

    return run


def _canvas(
    config: SequentialConfig, batch: int, dtype: torch.dtype, device: torch.device
) -> Callable[[], None]:
    """The convolutions of the gated canvas at every step."""
    channels, size = config.canvas_channels, config.size
    image = torch.randn(batch, channels, size, size, dtype=dtype, device=device)
    image = image.to(memory_format=torch.channels_last).requires_grad_()
    weights = [
        torch.randn(n * channels, channels, 3, 3, dtype=dtype, device=device).requires_grad_()
        for n in (2, 1)
    ]
    work = [_convolution(image, weight, (1, 1)) for weight in weights]

    def run() -> None:
        for _ in range(config.steps):
            for convolve in work:
                convolve()

    return run


def _convolution(image: Tensor, weight: Tensor, stride: tuple[int, ...]) -> Callable[[], None]:
    """A 3 x 3 convolution, forward and backward."""
    outputs = torch.randn_like(F.conv2d(image, weight, stride=stride, padding=1))
    wanted = [weight, image] if image.requires_grad else [weight]

    def run() -> None:
        convolved = F.conv2d(image, weight, stride=stride, padding=1)
        torch.autograd.grad(convolved, wanted, outputs)

    return run
