"""What longer training would gain, by a power law through a learning curve."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

Numbers = npt.NDArray[np.float64]

LONGER = 10
"""How many times as long the training is whose result is extrapolated."""
LEAST = 0.25
"""The least share of the run with a constant learning rate whose curve is extrapolated."""


def extrapolated_gain(points: Sequence[dict[str, float]]) -> list[float]:
    """What LONGER times as many iterations would gain, in nats, by three fits.

    The part of the curve in which the learning rate is the greatest is fitted by a + b t^-c, from
    three starts: a tenth, a quarter and half of it. The gain is that of the fit from the end of
    this part to LONGER times its iterations: what it would gain in a run LONGER times as long.
    Empty if the part is shorter than LEAST of the run, has few points, or if the bound does not
    fall in it: a run that starts from a trained model may lose at first.
    """
    top = max(point["learning_rate"] for point in points)
    flat = [point for point in points if point["learning_rate"] > 0.999 * top]
    if flat[-1]["iteration"] < LEAST * points[-1]["iteration"]:
        return []
    gains = []
    for start in (0.1, 0.25, 0.5):
        part = [point for point in flat if point["iteration"] >= start * flat[-1]["iteration"]]
        if len(part) < 10:
            continue
        t = np.array([point["iteration"] for point in part], dtype=float)
        _, b, c = power_law(t, np.array([point["nats"] for point in part]))
        if b == 0:
            return []
        gains.append(b * (t[-1] ** -c - (LONGER * t[-1]) ** -c))
    return gains


def power_law(t: Numbers, nats: Numbers) -> tuple[float, float, float]:
    """a, b and c of the least-squares fit nats = a + b t^-c, with c in (0, 2] and b at least 0."""
    best = (float(np.square(nats - nats.mean()).sum()), float(nats.mean()), 0.0, 1.0)
    for c in np.linspace(0.02, 2.0, 100):
        basis = np.stack([np.ones_like(t), (t / t[0]) ** -c], 1)
        (a, b), *_ = np.linalg.lstsq(basis, nats, rcond=None)
        misfit = float(np.square(basis @ (a, b) - nats).sum())
        if b >= 0 and misfit < best[0]:
            best = (misfit, float(a), float(b * t[0] ** c), float(c))
    return best[1:]
