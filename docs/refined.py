"""The section of docs/results.md on refined posteriors, from the files of docs/results/refined."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from formatting import nats, table

HEAD = """
## Refined posteriors

One network computes the posteriors of all images, and the bounds of the tables above are with
these. Here the posterior of each image is also fitted for itself, by steps of gradient ascent of
its ELBO (`oneshot eval-nll --refine`, [evaluation.md](evaluation.md)). Both are bounds of the same
model; **gain** is the paired difference. Published figures are of posterior networks. The figures
are estimates for the whole test set, for which the gain was measured on a part of it.

"""


def refined(folder: Path) -> str:
    """A row for each file, the ELBO and the IWAE bound with the most particles; or nothing.

    Raises SystemExit for a file without them.
    """
    rows = []
    for path in sorted(folder.glob("*.json")):
        found = json.loads(path.read_text())
        try:
            network, fitted = found["results"]
            (difference,) = found["differences"]
            names = ["elbo", max(network["iwae"], key=int)]
            all_three = (network, fitted, difference)
            cells = [nats(_bound(each, name)) for name in names for each in all_three]
            steps = f"{fitted['refinement_steps']} steps, gain on {fitted['images']:,}"
        except (KeyError, TypeError, ValueError) as error:
            raise SystemExit(
                f"{path}: is not the output of `oneshot eval-nll --refine --json` for one "
                "checkpoint, part and context, with --limit and several particles"
            ) from error
        rows.append([f"`{path.stem}`", *cells, steps])
    bounds = ("network", "refined", "gain")
    columns = [f"{bound}, {what}" for bound in ("ELBO", "IWAE") for what in bounds]
    return HEAD + table(("model", *columns, "measured"), rows) if rows else ""


def _bound(row: dict[str, Any], name: str) -> dict[str, float]:
    """The estimate of a bound for all images."""
    whole = row["whole_set"]
    return dict(whole["elbo"] if name == "elbo" else whole["iwae"][name])
