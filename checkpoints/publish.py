"""Turns a finished run into a checkpoint that ships: `python checkpoints/publish.py RUN NAME`.

The weights become float16; then the bounds of what will really ship are measured on the held-out
drawings, by the house protocol, and written into the header together with the sampling temperature.
"""

from __future__ import annotations

import argparse
import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch

from oneshot_cli import checkpoint, data
from oneshot_cli.evaluation.bounds import evaluate
from oneshot_cli.training.folder import RunFolder

HERE = Path(__file__).parent


def measured(path: Path, elbo_drawings: int, iwae_drawings: int, particles: int) -> dict[str, Any]:
    """Held-out bounds of the checkpoint at `path`, nats per image, with standard errors."""
    model, header = checkpoint.load(path)
    drawings = data.load(
        header.data["dataset"], split=header.data["split"], part="test", size=header.data["size"]
    )

    def spread_over(count: int) -> torch.Tensor:
        return torch.linspace(0, len(drawings) - 1, min(count, len(drawings))).long()

    index = spread_over(elbo_drawings)
    report = evaluate(model, drawings, index=index)
    (elbo, error), (kl, _) = report.mean("elbo"), report.mean("kl")
    figures = {
        "elbo": {"nats": -elbo, "standard_error": error, "kl": kl, "drawings": len(index)},
        "protocol": "held-out characters, one context image, mean negative bound in nats per image",
    }
    index = spread_over(iwae_drawings)
    if len(index):
        bound, error = evaluate(model, drawings, index=index, particles=particles).mean("iwae")
        figures["iwae"] = {
            "nats": -bound,
            "standard_error": error,
            "particles": particles,
            "drawings": len(index),
        }
    return figures


def main() -> None:
    """Publish a run."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("run", type=Path, help="the run's folder")
    parser.add_argument("name", help="the checkpoint's name, without its ending")
    parser.add_argument("--spread", type=float, help="sampling temperature at people's diversity")
    parser.add_argument("--machine", default="", help="the kind of machine it was trained on")
    parser.add_argument("--elbo-drawings", type=int, default=3000)
    parser.add_argument("--iwae-drawings", type=int, default=300)
    parser.add_argument("--particles", type=int, default=1000)
    options = parser.parse_args()
    model, header = checkpoint.load(RunFolder(options.run).last)
    path = HERE / f"{options.name}.safetensors"
    header = replace(header, training={**header.training, "machine": options.machine})
    if options.spread is not None:
        header = replace(header, sampling={"spread": options.spread})
    checkpoint.save(path, model, header, dtype=torch.float16)
    figures = measured(path, options.elbo_drawings, options.iwae_drawings, options.particles)
    checkpoint.save(path, model, replace(header, figures=figures), dtype=torch.float16)
    print(json.dumps(figures, indent=2))
    print(f"{path}: {path.stat().st_size / 1e6:.2f} MB")


if __name__ == "__main__":
    main()
