"""Makes a checkpoint to ship from a finished run: `python checkpoints/publish.py RUN NAME`.

RUN may also be a checkpoint that ships, which is then measured again.

The weights are converted to float16. The converted model is measured by the functions behind
`oneshot eval-nll` and `oneshot score`, and the results are written to the header. The default
closeness and spread of a conditional model of the `weak` split are chosen on characters that are
not used for the reported results (`checkpoints/sampling.py`).
"""

from __future__ import annotations

import argparse
import json
from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import torch
from sampling import sampling

import oneshot_cli
from oneshot_cli import checkpoint, data
from oneshot_cli.data.spec import DataSpec
from oneshot_cli.evaluation.generalization import scores_dict
from oneshot_cli.evaluation.nll import fitting, measure
from oneshot_cli.evaluation.oneshot_scores import Critics, people, references, score
from oneshot_cli.evaluation.spread_curve import score_curve
from oneshot_cli.evaluation.standard_errors import unit
from oneshot_cli.training.folder import RunFolder

HERE = Path(__file__).parent
VARIATIONS = 20


def bounds(path: Path, drawings: int, particles: int) -> dict[str, Any]:
    """The ELBO of all test images at each size, and their IWAE bound, whose gap to the ELBO is
    measured on `drawings` images.

    The IWAE bound is measured at the size that the model reads. Bounds are in nats per image, with
    one context image if the model is conditional.
    """
    model, header = checkpoint.load(path)
    spec = DataSpec.from_dict(header.data)
    figures: dict[str, Any] = {}
    for size in spec.all_sizes:
        found = spec.load("test", size)
        context = int(model.config.conditional)
        held_out = fitting(found, spec.dataset, context, model.config)
        elbo = measure(
            model,
            held_out,
            checkpoint=path.name,
            part="test",
            context=context,
            particles=[1],
            unit=unit(spec.split),
        )
        figures[f"{size} x {size}"] = rows = {
            "errors_clustered_by": elbo.unit,
            "elbo": elbo.elbo.as_dict() | {"images": elbo.images},
            "reconstruction": elbo.reconstruction.as_dict(),
            "kl": elbo.kl.as_dict(),
        }
        if drawings and size == model.config.input_size:
            many = measure(
                model,
                held_out,
                checkpoint=path.name,
                part="test",
                context=context,
                particles=[particles],
                limit=drawings,
                whole_set=True,
                unit=unit(spec.split),
            )
            about = {"particles": particles, "images": elbo.images, "gap_measured_on": many.images}
            rows["iwae"] = many.best.as_dict() | about
    return figures


def variation_scores(path: Path) -> dict[str, Any]:
    """Scores on the `weak` test characters: with the defaults of `vary`, and from the prior."""
    model, critics = oneshot_cli.load(path), Critics.load()
    drawings = data.load("omniglot", split="weak", part="test", size=28)
    shown = data.load("omniglot", split="weak", part="test", size=model.size)
    exemplars, _ = people(drawings, seed=0)
    read = [exemplar[None] for exemplar in people(shown, seed=0)[0]]
    theirs = references(drawings, critics)["people"]

    def draw(spread: float, closeness: float) -> torch.Tensor:
        return model.vary_batch(
            read, VARIATIONS, spread=spread, closeness=closeness, size=model.size
        )

    def at_people(closeness: float) -> dict[str, Any]:
        curve = score_curve(lambda s: draw(s, closeness), exemplars, theirs, critics)
        return {
            "recognizability": curve.headline.as_dict(),
            "overlap": curve.overlap.as_dict(),
            "spread": round(curve.spread, 3),
        }

    defaults = score(exemplars, draw(model.spread, model.closeness), critics)
    return {
        "variations": VARIATIONS,
        "seeds": 1,
        "pairs_of_critics": 1,
        "default": scores_dict(defaults),
        "at_peoples_diversity": at_people(model.closeness),
        "prior_at_peoples_diversity": at_people(0.0),
    }


def main() -> None:
    """Convert, measure and write."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("run", type=Path, help="the run's folder, or a checkpoint")
    parser.add_argument("name", help="the checkpoint's name, without its ending")
    parser.add_argument("--machine", default="", help="kind of machine that it was trained on")
    parser.add_argument("--iwae-drawings", type=int, default=300)
    parser.add_argument("--particles", type=int, default=1000)
    options = parser.parse_args()
    source = options.run if options.run.is_file() else RunFolder(options.run).last
    model, header = checkpoint.load(source)
    path = HERE / f"{options.name}.safetensors"
    training = {**header.training, "machine": options.machine or header.training.get("machine", "")}
    header = replace(header, training=training, figures={})
    with TemporaryDirectory() as folder:  # an interruption leaves the shipped file as it is
        measured = Path(folder) / path.name
        checkpoint.save(measured, model, header, dtype=torch.float16)
        figures = bounds(measured, options.iwae_drawings, options.particles)
        if header.data["split"] == "weak" and header.config.conditional:
            settings, _ = sampling(oneshot_cli.load(measured))
            header = replace(header, sampling=settings)
            checkpoint.save(measured, model, header, dtype=torch.float16)
            figures["score"] = variation_scores(measured)
    checkpoint.save(path, model, replace(header, figures=figures), dtype=torch.float16)
    print(json.dumps({"sampling": header.sampling, **figures}, indent=2))
    print(f"{path}: {path.stat().st_size / 1e6:.2f} MB")


if __name__ == "__main__":
    main()
