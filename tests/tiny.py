"""Tiny models and data that the tests share."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from PIL import Image

from oneshot_cli.data.drawings import Drawings
from oneshot_cli.model import Context, GenerativeModel, SequentialConfig, SequentialGenerator, Trace
from oneshot_cli.presets import PRESETS

TINY = SequentialConfig(
    size=8,
    steps=3,
    latent=2,
    hidden=12,
    glimpse=4,
    patch=4,
    context_units=10,
    posterior_units=14,
    image_encoder_units=6,
    image_encoder_channels=4,
)


def tiny_model(seed: int = 0, **changes: Any) -> SequentialGenerator:
    """A model whose random weights are large enough that everything matters."""
    torch.manual_seed(seed)
    model = SequentialGenerator(replace(TINY, **changes))
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            if parameter.dim() > 1 and "canvas" not in name:
                parameter.mul_(2.0)
            if name.startswith(("prior.", "output.")):  # zero at first, in part
                parameter.normal_(std=0.3)
    return model


def images(*shape: int, seed: int = 0, size: int = TINY.size) -> torch.Tensor:
    """Random binary images (*shape, 1, size, size)."""
    generator = torch.Generator().manual_seed(seed)
    return (torch.rand(*shape, 1, size, size, generator=generator) < 0.3).float()


def noise(*shape: int, seed: int = 0) -> torch.Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed))


def context(batch: int, members: int, seed: int = 1) -> Context:
    return Context.of(images(batch, members, seed=seed))


def tiny_drawings(characters: int = 6, each: int = 5, size: int = TINY.size) -> Drawings:
    """`characters` random characters of two alphabets: noisy copies of one random picture each."""
    originals = images(characters, seed=5, size=size)[:, None]
    flips = images(characters, each, seed=6, size=size) * images(
        characters, each, seed=7, size=size
    )
    pictures = (originals + flips).clamp(max=1).to(torch.uint8)
    return Drawings(
        images=pictures.flatten(0, 1)[:, 0],
        character=torch.arange(characters).repeat_interleave(each),
        alphabet=torch.arange(characters) * 2 // characters,
        characters=tuple(f"A{i * 2 // characters}/character{i:02d}" for i in range(characters)),
        alphabets=("A0", "A1"),
    )


SMALL = {
    "sequential": {
        "hidden": "8",
        "posterior_units": "8",
        "context_units": "8",
        "glimpse": "4",
        "patch": "4",
        "steps": "2",
        "image_encoder_channels": "2",
    },
    "draw": {"hidden": "8", "latent": "3", "steps": "2"},
    "vae": {},
    "nade": {"hidden": "8"},
}
SMALL_VAE = {
    "vae": {"hidden": "8"},
    "vae-nf": {"hidden": "8"},
    "iwae-2l-50": {"hidden": "8,6", "latent": "4,3"},
}


def small(name: str) -> dict[str, str]:
    """Fields, as they are typed, that make the preset of that name tiny."""
    return SMALL[PRESETS[name].kind] | SMALL_VAE.get(name, {})


def write_crosses(folder: Path) -> None:
    """Five characters of three drawings each, of Omniglot's size, for `--dataset folder`."""
    for character in range(5):
        for number in range(3):
            ink = np.full((105, 105), 255, np.uint8)
            ink[30 + 5 * number : 36 + 5 * number, 20:85] = 0
            ink[20:85, 15 + 15 * character : 21 + 15 * character] = 0
            path = folder / f"crosses/{character}/{number}.png"
            path.parent.mkdir(parents=True, exist_ok=True)
            Image.fromarray(ink).save(path)


class OnlyBound(GenerativeModel):
    """A model whose bound is known in advance, and that draws nothing."""

    def sample(self, *_: object, **options: object) -> torch.Tensor:
        raise AssertionError("asked for pictures, where the bound alone is measured")

    def trace(self, *_: object, **options: object) -> Trace:
        raise AssertionError("asked for pictures, where the bound alone is measured")
