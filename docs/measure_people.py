"""How people's drawings of one character differ in place, size, slant and bend.

    python docs/measure_people.py [--pairs 600] [--data-dir FOLDER]

Pairs of drawings of one training character of the `weak` split, by two people, are registered. A
registration is a linear map about the centre of the ink, and a shift. It is fitted by least squares
to the distances from the ink of each drawing to the ink of the other (distance transforms, both
ways), with a robust loss and a weak prior that shrinks each parameter towards 0. Standard
deviations over pairs are half of the range between the percentiles 16 and 84, so that failed
registrations matter little.

A registration leaves a residual distance between the inks. The bend is chosen so that drawings
deformed by `oneshot_cli.drawing.deformation`, with the measured linear maps and shifts, have the
same residual as people's drawings. That attributes the whole residual to smooth bends, so the bend
is an upper limit.

The results are in `oneshot_cli.drawing.deformation.PEOPLE`.
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
"""Ink pixels of a drawing that are used in a registration."""

PAD = 40
"""Pixels around a drawing for which distances are computed."""

PRIOR = np.array([0.5, 0.5, 0.5, 0.5, 0.5, 0.5])
"""Standard deviations of the normal prior of the six parameters of a registration."""

ERROR = 0.02
"""The standard deviation of a distance, in half-widths of the frame. It weights the prior."""

LOSS = 0.03
"""The scale beyond which the robust loss of a distance is less than quadratic."""

BENDS = (0.0, 0.03, 0.06, 0.09, 0.12)
"""Bends at which the residual of deformed drawings is measured."""


def points(ink: Array, generator: np.random.Generator) -> Array:
    """Up to POINTS ink pixels (N, 2), x and y in [-1, 1]."""
    rows, columns = np.nonzero(ink)
    found = 2 * np.stack([columns + 0.5, rows + 0.5], 1) / SIZE - 1
    return found[generator.permutation(len(found))[:POINTS]]


def distances(ink: Array) -> Array:
    """The distance from each pixel to the nearest ink, in half-widths, padded by PAD."""
    paper = np.pad(~ink, PAD, constant_values=True)
    return distance_transform_edt(paper) * 2 / SIZE


def sample(field: Array, places: Array) -> Array:
    """A padded field (H, W) at places (N, 2), sampled bilinearly."""
    x, y = (places.T + 1) * SIZE / 2 - 0.5 + PAD
    return map_coordinates(field, [y, x], order=1, mode="nearest")


def register(a: Array, b: Array, generator: np.random.Generator) -> tuple[Array, float]:
    """Register `a` with `b`: the parameters of the map, and the root mean square residual.

    The six parameters are scale, aspect, shear, turn, and the shift of the centre of the ink.
    """
    from_a, from_b = points(a, generator), points(b, generator)
    to_a, to_b = distances(a), distances(b)
    centre, other = from_a.mean(0), from_b.mean(0)

    def residuals(numbers: Array) -> tuple[Array, Array]:
        linear = linear_maps(torch.from_numpy(numbers[None, :4]))[0].numpy()
        there = (from_a - centre) @ linear.T + other + numbers[4:]
        back = (from_b - other - numbers[4:]) @ np.linalg.inv(linear).T + centre
        return sample(to_b, there), sample(to_a, back)

    def loss(numbers: Array) -> Array:
        there, back = residuals(numbers)
        prior = ERROR * numbers / PRIOR / np.sqrt(POINTS)
        return np.concatenate([there / np.sqrt(len(there)), back / np.sqrt(len(back)), prior])

    found = least_squares(loss, np.zeros(6), loss="soft_l1", f_scale=LOSS, max_nfev=50).x
    there, back = residuals(found)
    found[4:] += other - centre
    return found, float(np.sqrt((np.square(there).mean() + np.square(back).mean()) / 2))


def robust_deviation(values: Array) -> Array:
    """Robust standard deviation over the rows: half the range between percentiles 16 and 84."""
    low, high = np.percentile(values, [15.87, 84.13], axis=0)
    return (high - low) / 2


def residual_of_deformed(
    inks: list[Array], spread: Spread, generator: np.random.Generator
) -> float:
    """The mean residual of registrations of drawings with their deformations."""
    noise = torch.from_numpy(generator.standard_normal((len(inks), Deformation.NUMBERS))).float()
    originals = torch.from_numpy(np.stack(inks)).float()
    deformed = (
        Deformation.of(originals, noise, spread).applied(depths(originals), SIZE).numpy() > 0.5
    )
    return float(
        np.mean([register(a, b, generator)[1] for a, b in zip(inks, deformed, strict=True)])
    )


def main() -> None:
    """Measure and print the results."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument(
        "--pairs", type=int, default=600, help="number of characters, with one pair each"
    )
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
    scale, aspect, shear, turn, x, y = robust_deviation(numbers)
    shift = float(np.hypot(x, y) / np.sqrt(2))
    plain = Spread(scale, aspect, shear, turn, shift=shift, bend=0.0)
    inks = [ink[i] for i, _ in pairs]
    bent = [residual_of_deformed(inks, replace(plain, bend=bend), generator) for bend in BENDS]
    measured = replace(plain, bend=float(np.interp(people, bent, BENDS)))
    correlations = np.abs(np.corrcoef(numbers.T) - np.eye(6))
    document = {
        "pairs": len(pairs),
        "spread": {name: round(float(value), 3) for name, value in asdict(measured).items()},
        "means": numbers.mean(0).round(3).tolist(),
        "greatest_correlation": round(float(correlations.max()), 2),
        "distance_left": {
            "people": round(people, 4),
            "deformed": {bend: round(d, 4) for bend, d in zip(BENDS, bent, strict=True)},
        },
    }
    print(json.dumps(document, indent=2))


if __name__ == "__main__":
    main()
