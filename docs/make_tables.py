"""Writes docs/results.md from the JSON files of docs/results: `make tables`.

Each file holds one trained model: the row of the published table that it belongs to (or none), how
it was trained, and what `oneshot eval-nll --json` printed of it.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from oneshot_cli.evaluation.published import Published, tables

HERE = Path(__file__).parent

HEAD = """# Results on MNIST

Made by `make tables` from the files in [results](results). Nats per image, lower is better;
published figures as their authors give them, ours on dynamically binarized MNIST (28 x 28, the test
set drawn once with a fixed seed), so the two columns are near but not on the very same pictures. A
row without our figure has not been trained yet; every row of ours says how briefly it was trained.

| model | published | our ELBO | our IWAE | images | trained |
|---|---|---|---|---|---|
"""


def published(row: Published) -> str:
    """A published figure with its bound, its error and its source."""
    error = f" ({row.error})" if row.error is not None else ""
    return f"{'<= ' if row.bound else ''}{row.value:.2f}{error}, {row.authors}"


def lines(name: str, figure: str, run: dict[str, Any]) -> list[str]:
    """The rows of one trained model, one for each set of images that it was measured on."""
    trained = (
        f"{run['settings']}; {run['iterations']:,} iterations, {run['seconds'] / 60:.0f} minutes"
    )
    rows = []
    for result in run["results"]:
        particles, iwae = max(result["iwae"].items(), key=lambda item: int(item[0]))
        elbo = result["elbo"]
        rows.append(
            f"| {name} | {figure} | {elbo['nats']:.2f} ± {elbo['standard_error']:.2f} "
            f"| {iwae['nats']:.2f} ± {iwae['standard_error']:.2f} (K = {particles}) "
            f"| {result['images']:,} | {trained} |"
        )
    return rows


def main() -> None:
    """Write the page."""
    runs = [json.loads(path.read_text()) for path in sorted((HERE / "results").glob("*.json"))]
    rows = []
    for row in tables()["mnist"].rows:
        mine = [run for run in runs if run["published"] == row.name]
        if not mine:
            rows.append(f"| {row.name} | {published(row)} | | | | |")
        for run in mine:
            rows += lines(f"{row.name}: `{run['name']}`", published(row), run)
    for run in runs:
        if run["published"] is None:
            rows += lines(f"`{run['name']}`", "", run)
    ways = [
        f"- `{run['name']}`, on {run['machine']}:\n  `{run['train']}`,\n"
        f"  then `{run['evaluation']}`"
        for run in runs
    ]
    page = HEAD + "\n".join(rows) + "\n\n## How ours were trained\n\n" + "\n".join(ways) + "\n"
    (HERE / "results.md").write_text(page)


if __name__ == "__main__":
    main()
