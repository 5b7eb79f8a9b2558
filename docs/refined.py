"""The section of docs/results.md on refined posteriors, from the files of docs/results/refined."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from formatting import nats, table

HEAD = """
## Refined posteriors

The bounds of the tables above have the posterior network's answer for each image. Here the
posterior of each image is also fitted for itself, by steps of gradient ascent of its ELBO (`oneshot
eval-nll --refine`, [evaluation.md](evaluation.md)). Both are bounds of the same model; **gain** is
the paired difference. Published figures are of posterior networks. All figures are estimates for
the whole test set; the gain is measured on a part of it.

"""


def refined(folder: Path) -> str:
    """A row for each file, the ELBO and the IWAE bound with the most particles; or nothing."""
    rows = []
    for path in sorted(folder.glob("*.json")):
        found = json.loads(path.read_text())
        network, fitted = found["results"]
        (difference,) = found["differences"]
        names = ["elbo", max(network["iwae"], key=int)]
        cells = [nats(_bound(row, name)) for name in names for row in (network, fitted, difference)]
        steps = f"{fitted['refinement_steps']} steps, gain on {fitted['images']:,}"
        rows.append([f"`{path.stem}`", *cells, steps])
    bounds = ("network", "refined", "gain")
    columns = [f"{bound}, {what}" for bound in ("ELBO", "IWAE") for what in bounds]
    return HEAD + table(("model", *columns, "measured"), rows) if rows else ""


def _bound(row: dict[str, Any], name: str) -> dict[str, float]:
    """A bound of all images; that of the part if there is no estimate."""
    whole = row["whole_set"] or row
    return dict(whole["elbo"] if name == "elbo" else whole["iwae"][name])
