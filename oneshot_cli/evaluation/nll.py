"""Negative log-likelihoods of a checkpoint on a data set: the rows of `oneshot eval-nll`."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from oneshot_cli.data.catalogue import get_dataset
from oneshot_cli.data.drawings import Drawings
from oneshot_cli.distributed import ALONE, World
from oneshot_cli.errors import OneshotError
from oneshot_cli.evaluation.bounds import BoundReport, evaluate
from oneshot_cli.evaluation.per_image import Figure, PerImage, WholeSet
from oneshot_cli.evaluation.published import Table, tables
from oneshot_cli.evaluation.refinement import COST_OF_A_STEP, refine
from oneshot_cli.evaluation.standard_errors import clusters
from oneshot_cli.model import GenerativeModel
from oneshot_cli.model.config import Config
from oneshot_cli.model.likelihood import bits_per_dimension

ACTIVE = 0.1
"""A step is active if its KL is at least this, in nats."""


@dataclass(frozen=True)
class Nll:
    """One model on one part of a data set with one size of context; lower is better.

    `elbo` is the negative ELBO, `reconstruction` + `kl`; `iwae` is the negative bound of Burda et
    al. (2015) for each number of particles K > 1. `kl_per_step` (T) is averaged over images, in
    nats. `latents` (T) is the number of latents of each step, `active` (T) that of the active ones
    (`Activity`), None for fewer than two images or particles and for refined posteriors. `pixels`
    is the number of values of an image. Standard errors are clustered by `unit`. `refined` is the
    number of steps by which the posterior of each image was refined. `per_image` are the bounds of
    each image.
    """

    checkpoint: str
    part: str
    context: int
    images: int
    pixels: int
    elbo: Figure
    reconstruction: Figure
    kl: Figure
    iwae: dict[int, Figure]
    kl_per_step: tuple[float, ...]
    latents: tuple[int, ...]
    active: tuple[int, ...] | None
    unit: str
    refined: int
    per_image: PerImage = field(compare=False, repr=False)

    @property
    def whole(self) -> WholeSet | None:
        """Estimates for all images, if a part was measured and the ELBO of all."""
        return self.per_image.whole_set()

    @property
    def best(self) -> Figure:
        """The tightest bound that was measured, for all images if there is an estimate."""
        source = self.whole or self
        return source.iwae[max(source.iwae)] if source.iwae else source.elbo

    @property
    def bits_per_pixel(self) -> float:
        """The tightest bound, in bits per value of the image."""
        return bits_per_dimension(self.best.value, self.pixels)

    @property
    def active_steps(self) -> int:
        """The number of steps with a KL of at least `ACTIVE` nats."""
        return sum(kl >= ACTIVE for kl in self.kl_per_step)

    def as_dict(self) -> dict[str, Any]:
        """For JSON."""
        return {
            "checkpoint": self.checkpoint,
            "part": self.part,
            "context_images": self.context,
            "refinement_steps": self.refined,
            "images": self.images,
            "errors_clustered_by": self.unit,
            "clusters": self.per_image.clusters,
            "elbo": self.elbo.as_dict(),
            "reconstruction": self.reconstruction.as_dict(),
            "kl": self.kl.as_dict(),
            "iwae": {str(k): figure.as_dict() for k, figure in self.iwae.items()},
            "whole_set": None if self.whole is None else self.whole.as_dict(),
            "nats_per_pixel": round(self.best.value / self.pixels, 5),
            "bits_per_pixel": round(self.bits_per_pixel, 5),
            "kl_per_step": [round(kl, 4) for kl in self.kl_per_step],
            "active_steps": self.active_steps,
            "latents": sum(self.latents),
            "active_latents": None if self.active is None else sum(self.active),
            "active_latents_per_step": None if self.active is None else list(self.active),
        }


@dataclass(frozen=True)
class Gap:
    """The differences in nats between test and training images, of the ELBO and of the IWAE bounds.

    A positive value means that test images are worse.
    """

    checkpoint: str
    context: int
    refined: int
    elbo: Figure
    iwae: dict[int, Figure]

    def as_dict(self) -> dict[str, Any]:
        """For JSON."""
        return {
            "checkpoint": self.checkpoint,
            "context_images": self.context,
            "refinement_steps": self.refined,
            "elbo": self.elbo.as_dict(),
            "iwae": {str(k): figure.as_dict() for k, figure in self.iwae.items()},
        }


def gaps(rows: Sequence[Nll]) -> list[Gap]:
    """The gap of each checkpoint and context size that was measured on both parts."""

    def what(row: Nll) -> tuple[str, int, int]:
        return (row.checkpoint, row.context, row.refined)

    trained = {what(row): row for row in rows if row.part == "train"}
    found = []
    for test in (row for row in rows if row.part == "test"):
        train = trained.get(what(test))
        if train is not None:
            iwae = {k: test.iwae[k] - train.iwae[k] for k in test.iwae}
            found.append(Gap(*what(test), test.elbo - train.elbo, iwae))
    return found


@dataclass(frozen=True)
class Difference:
    """The bounds of `checkpoint` minus those of `other`, on the same images: paired differences.

    Or of one checkpoint with refined posteriors minus those without: `refined` and `other_refined`
    are the steps of refinement. A negative value means that the former is better. The standard
    errors are those of the differences of each image, which vary less than the bounds do. `whole`
    are estimates for all images, if both have them.
    """

    checkpoint: str
    other: str
    part: str
    context: int
    refined: int
    other_refined: int
    images: int
    elbo: Figure
    iwae: dict[int, Figure]
    whole: WholeSet | None

    @classmethod
    def of(cls, row: Nll, other: Nll) -> Difference:
        """`row` minus `other`. Raises ValueError if they are not of the same images."""
        each = row.per_image - other.per_image
        return cls(
            checkpoint=row.checkpoint,
            other=other.checkpoint,
            part=row.part,
            context=row.context,
            refined=row.refined,
            other_refined=other.refined,
            images=row.images,
            elbo=each.mean(each.elbo),
            iwae={k: each.mean(bound) for k, bound in each.iwae.items()},
            whole=each.whole_set(),
        )

    def as_dict(self) -> dict[str, Any]:
        """For JSON."""
        return {
            "checkpoint": self.checkpoint,
            "minus": self.other,
            "part": self.part,
            "context_images": self.context,
            "refinement_steps": self.refined,
            "minus_refinement_steps": self.other_refined,
            "images": self.images,
            "elbo": self.elbo.as_dict(),
            "iwae": {str(k): figure.as_dict() for k, figure in self.iwae.items()},
            "whole_set": None if self.whole is None else self.whole.as_dict(),
        }


def differences(rows: Sequence[Nll]) -> list[Difference]:
    """The pairs of rows that compare: of checkpoints, and of refined posteriors with the network's.

    Each checkpoint minus the first, for each part and context that both were measured on, and each
    refined row minus the same without. Rows that are not of the same images have no difference.
    """
    compared = []
    for row in rows:
        first, network = (rows[0].checkpoint, row.refined), (row.checkpoint, 0)
        compared += [(row, *other) for other in (first, network)]
    known = {(r.part, r.context, r.checkpoint, r.refined): r for r in rows}
    pairs = [
        (row, known.get((row.part, row.context, checkpoint, refined)))
        for row, checkpoint, refined in compared
        if (checkpoint, refined) != (row.checkpoint, row.refined)
    ]
    return [
        Difference.of(row, other)
        for row, other in pairs
        if other is not None and row.per_image.pairs_with(other.per_image)
    ]


def short_names(rows: Sequence[Nll]) -> dict[str, str]:
    """A short name of each checkpoint: its file's, with as many folders as make it unique."""
    parts = {row.checkpoint: Path(row.checkpoint).with_suffix("").parts for row in rows}
    depth, most = 1, max(map(len, parts.values()), default=1)
    while depth < most and len({path[-depth:] for path in parts.values()}) < len(parts):
        depth += 1
    return {name: Path(*path[-depth:]).as_posix() for name, path in parts.items()}


def row_name(names: dict[str, str], row: Nll) -> str:
    """What a row is of, with the checkpoint's name in `names`."""
    return refined_name(f"{names[row.checkpoint]} {row.part}, context {row.context}", row.refined)


def refined_name(name: str, steps: int) -> str:
    """The name of bounds, with the steps by which posteriors were refined, if they were."""
    return f"{name}, refined {steps}" if steps else name


def measure(
    model: GenerativeModel,
    drawings: Drawings,
    *,
    checkpoint: str,
    part: str,
    context: int,
    particles: Sequence[int],
    limit: int | None = None,
    whole_set: bool = False,
    refined: tuple[int, Nll] | None = None,
    seed: int = 0,
    batch: int = 250,
    advance: Callable[[int], None] | None = None,
    world: World = ALONE,
    unit: str = "image",
) -> Nll:
    """Measure `model` on `drawings`, or on `limit` of them, evenly spaced.

    `context` is the number of context images. The ELBO, its parts and the active latents are
    measured with the largest of `particles`. With `whole_set` the ELBO of all drawings is measured
    too, with one particle, for `Nll.whole`. With `refined`, a number of steps and the row without,
    the posteriors are refined first; the ELBO of all drawings is then that row's. Standard errors
    are clustered by `unit`: "image", "character" or "alphabet". The processes of a `world` divide
    the work between them. `advance` is called with images times particles that this process has
    done since its last call; a step of refinement counts as COST_OF_A_STEP particles.
    """
    everything = torch.arange(len(drawings))
    index = spread_over(len(drawings), limit)

    def times(count: int) -> Callable[[int], None]:
        return lambda images: None if advance is None else advance(images * count)

    usual: dict[str, Any] = {
        "context_images": context,
        "seed": seed,
        "batch": batch,
        "world": world,
    }
    proposals, steps, network = None, 0, None
    if refined is not None:
        steps, network = refined
        whole_set = False
        report = times(steps * COST_OF_A_STEP)
        proposals = refine(
            model,
            drawings,
            steps=steps,
            index=index,
            context_images=context,
            seed=seed,
            advance=report,
            world=world,
        )

    def bounds(of: Tensor, count: int) -> BoundReport:
        more: dict[str, Any] = {"particles": count, "advance": times(count), **usual}
        return evaluate(model, drawings, index=of, proposals=proposals, **more)

    found = {count: bounds(index, count) for count in sorted(set(particles))}
    most = found[max(found)]
    all_elbos = -bounds(everything, 1).elbo.double() if whole_set else None
    each = PerImage(
        pictures=drawings.fingerprint(),
        index=index,
        cluster=clusters(drawings, everything, unit),
        elbo=-most.elbo.double(),
        iwae={count: -report.iwae.double() for count, report in found.items() if count > 1},
        all_elbos=all_elbos if network is None else network.per_image.all_elbos,
        control=None if network is None else network.per_image.elbo,
    )
    return Nll(
        checkpoint=checkpoint,
        part=part,
        context=context,
        images=len(index),
        pixels=drawings.images[0].numel(),
        elbo=each.mean(each.elbo),
        reconstruction=each.mean(-most.log_likelihood.double()),
        kl=each.mean(most.kl_per_step.double().sum(1)),
        iwae={count: each.mean(bound) for count, bound in each.iwae.items()},
        kl_per_step=tuple(most.kl_per_step.double().mean(0).tolist()),
        latents=model.latents,
        active=None if refined else most.activity.active(model.latents),
        unit=unit,
        refined=steps,
        per_image=each,
    )


def whole_set_pays(drawings: int, limit: int | None, particles: Sequence[int]) -> bool:
    """Whether the ELBO of all `drawings` takes no longer than the bounds of `limit` of them.

    If so, it makes the IWAE bounds of the part those of the whole set at little cost.
    """
    if limit is None or limit >= drawings or max(particles) == 1:
        return False
    return drawings <= limit * sum(set(particles))


def spread_over(count: int, limit: int | None) -> Tensor:
    """The indices of `limit` of `count` images, evenly spaced, or of all of them."""
    if limit is None or limit >= count:
        return torch.arange(count)
    return torch.linspace(0, count - 1, limit).long()


def fitting(drawings: Drawings, name: str, context: int, config: Config, seed: int = 0) -> Drawings:
    """`drawings` ready for measuring a model of `config`; dynamic ones are binarized once.

    `name` is the data set's, for messages. Raises OneshotError for images of another kind or size
    than the model's, for a `context` if the model takes none, and for characters with too few
    drawings for such a context.
    """
    if drawings.channels != config.channels:
        theirs, ours = (("grey", "colour")[c > 1] for c in (drawings.channels, config.channels))
        raise OneshotError(f"{name} holds images in {theirs}, but this model is of {ours} images")
    many = drawings.levels > 2 and not drawings.dynamic
    if many == config.binary:
        theirs, ours = ("of 256 levels", "binary") if many else ("binary", "of 256 levels")
        raise OneshotError(f"{name} holds images that are {theirs}, this model's are {ours}")
    if not config.reads(drawings.size):
        raise OneshotError(f"{name} is {drawings.size} pixels wide, the model reads {config.size}")
    if context and not config.conditional:
        raise OneshotError(f"this {config.kind} has no context; measure it with --context 0")
    fewest = int(torch.bincount(drawings.character).min()) if len(drawings) else 0
    if context >= fewest:
        raise OneshotError(
            f"--context {context} needs {context + 1} drawings of each character, "
            f"but {name} has one with {fewest}"
        )
    return drawings.fixed(seed)


def published_beside(
    dataset: str, split: str | None, size: int, resample: str, binarization: str = "dynamic"
) -> list[Table]:
    """The published tables on these data, prepared like this; their protocols name differences."""
    keys = get_dataset(dataset).published_tables(split, size, resample, binarization)
    return [tables()[key] for key in keys]
