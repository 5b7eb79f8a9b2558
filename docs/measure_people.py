"""How people's drawings of one character differ in place, size, slant and bend.

    python docs/measure_people.py [--pairs 600] [--data-dir FOLDER]

Two drawings by different people of each of some training characters of the `weak` split are
registered: a linear map about the centre of ink and a shift take one onto the other. They are
fitted by least squares to the distances from the ink of each to the ink of the other (distance
transforms, both ways), with a robust loss and a weak pull of each number towards 0. Standard
deviations over pairs are half of the range between the percentiles 16 and 84, which failed
registrations do not widen.

Such a map leaves a distance from ink to ink. The bend is the one for which drawings that were
deformed by `oneshot_cli.drawing.deformation` (with the measured linear maps and shifts) leave as
much as people's do: as if all that is left were smooth, so it is an upper limit.

`oneshot_cli.drawing.deformation.PEOPLE` holds what this prints.
"""

from __future__ import annotations

import argparse
import json
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from scipy.ndimage import distance_transform_edt, map_coordinates
from scipy.optimize import least_squares

from oneshot_cli import data
from oneshot_cli.drawing.deformation import Deformation, Spread, depths, linear_maps

Array = NDArray[Any]

SIZE = 105
POINTS = 250
"""Ink pixels of a drawing that take part in a registration."""

PAD = 40
"""Pixels around a drawing in which distances are still known."""

PULL = np.array([0.5, 0.5, 0.5, 0.5, 0.5, 0.5])
"""Standard deviations of normal numbers that pull towards 0 as a registration is pulled."""

ERROR = 0.02
"""The error of a distance, in half-widths of the frame: how strong the pull is beside it."""

LOSS = 0.03
"""Distances beyond this count less than their square."""

BENDS = (0.0, 0.03, 0.06, 0.09, 0.12)
"""Where the distance that deformed drawings leave is measured."""


def points(ink: Array, generator: np.random.Generator) -> Array:
    """Up to POINTS ink pixels (N, 2), x and y in [-1, 1]."""
    rows, columns = np.nonzero(ink)
    found = 2 * np.stack([columns + 0.5, rows + 0.5], 1) / SIZE - 1
    return found[generator.permutation(len(found))[:POINTS]]


def distances(ink: Array) -> Array:
    """The distance from each pixel to the nearest ink, in half-widths, padded by PAD."""
    paper = np.pad(~ink, PAD, constant_values=True)
    return distance_transform_edt(paper) * 2 / SIZE


def at(field: Array, places: Array) -> Array:
    """A padded field (H, W) at places (N, 2), bilinearly."""
    x, y = (places.T + 1) * SIZE / 2 - 0.5 + PAD
    return map_coordinates(field, [y, x], order=1, mode="nearest")


def register(a: Array, b: Array, generator: np.random.Generator) -> tuple[Array, float]:
    """The map from `a` to `b` as six numbers (scale, aspect, shear, turn, and the shift of the
    centre of ink), and the root mean square distance that it leaves."""
    from_a, from_b = points(a, generator), points(b, generator)
    to_a, to_b = distances(a), distances(b)
    centre, other = from_a.mean(0), from_b.mean(0)

    def residuals(numbers: Array) -> tuple[Array, Array]:
        linear = linear_maps(torch.from_numpy(numbers[None, :4]))[0].numpy()
        there = (from_a - centre) @ linear.T + other + numbers[4:]
        back = (from_b - other - numbers[4:]) @ np.linalg.inv(linear).T + centre
        return at(to_b, there), at(to_a, back)

    def loss(numbers: Array) -> Array:
        there, back = residuals(numbers)
        pull = ERROR * numbers / PULL / np.sqrt(POINTS)
        return np.concatenate([there / np.sqrt(len(there)), back / np.sqrt(len(back)), pull])

    found = least_squares(loss, np.zeros(6), loss="soft_l1", f_scale=LOSS, max_nfev=50).x
    there, back = residuals(found)
    found[4:] += other - centre
    return found, float(np.sqrt((np.square(there).mean() + np.square(back).mean()) / 2))


def robust(values: Array) -> Array:
    """Half the range between the percentiles 16 and 84 over the rows: a standard deviation."""
    low, high = np.percentile(values, [15.87, 84.13], axis=0)
    return (high - low) / 2


def left(inks: list[Array], spread: Spread, generator: np.random.Generator) -> float:
    """The mean distance that registration leaves between drawings and their deformations."""
    noise = torch.from_numpy(generator.standard_normal((len(inks), Deformation.NUMBERS))).float()
    originals = torch.from_numpy(np.stack(inks)).float()
    deformed = (
        Deformation.of(originals, noise, spread).applied(depths(originals), SIZE).numpy() > 0.5
    )
    return float(
        np.mean([register(a, b, generator)[1] for a, b in zip(inks, deformed, strict=True)])
    )


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--pairs", type=int, default=600, help="characters, a pair of each")
    parser.add_argument("--data-dir", type=Path, default=None)
    options = parser.parse_args()
    drawings = data.load(
        "omniglot", data_dir=options.data_dir, split="weak", part="train", size=SIZE
    )
    ink, character = drawings.images.numpy() > 0, drawings.character.numpy()
    generator = np.random.default_rng(0)
    chosen = generator.permutation(len(drawings.characters))[: options.pairs]
    pairs = [generator.choice(np.flatnonzero(character == c), 2, replace=False) for c in chosen]
    found = [register(ink[i], ink[j], generator) for i, j in pairs]
    numbers, people = np.array([each for each, _ in found]), float(np.mean([d for _, d in found]))
    scale, aspect, shear, turn, x, y = robust(numbers)
    shift = float(np.hypot(x, y) / np.sqrt(2))
    plain = Spread(scale, aspect, shear, turn, shift=shift, bend=0.0)
    inks = [ink[i] for i, _ in pairs]
    bent = [left(inks, replace(plain, bend=bend), generator) for bend in BENDS]
    measured = replace(plain, bend=float(np.interp(people, bent, BENDS)))
    apart = np.abs(np.corrcoef(numbers.T) - np.eye(6))
    document = {
        "pairs": len(pairs),
        "spread": {name: round(float(value), 3) for name, value in asdict(measured).items()},
        "means": numbers.mean(0).round(3).tolist(),
        "greatest_correlation": round(float(apart.max()), 2),
        "distance_left": {
            "people": round(people, 4),
            "deformed": {bend: round(d, 4) for bend, d in zip(BENDS, bent, strict=True)},
        },
    }
    print(json.dumps(document, indent=2))


if __name__ == "__main__":
    main()
