"""Bounds of each image: their means, paired differences, and estimates for a whole data set.

All standard errors here come from the same formula (`standard_errors.error_of_sum`): an estimate is
a sum of one term for each image, and terms of one cluster may be dependent.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor

from oneshot_cli.evaluation.standard_errors import error_of_sum, standard_error


@dataclass(frozen=True)
class Figure:
    """A mean over images, in nats per image, and its standard error.

    `error` is clustered by character or alphabet (`evaluation.standard_errors`); `naive_error`
    assumes independent images.
    """

    value: float
    error: float
    naive_error: float

    def __sub__(self, other: Figure) -> Figure:
        """The difference of means over two independent sets of images."""
        return Figure(
            self.value - other.value,
            math.hypot(self.error, other.error),
            math.hypot(self.naive_error, other.naive_error),
        )

    def as_dict(self) -> dict[str, float | None]:
        """For JSON; a standard error that is undefined (one image or cluster) is None."""
        errors = {"standard_error": self.error, "naive_standard_error": self.naive_error}
        rounded = {name: None if math.isnan(e) else round(e, 4) for name, e in errors.items()}
        return {"nats": round(self.value, 4), **rounded}


@dataclass(frozen=True)
class WholeSet:
    """Estimates for all `images` of a data set, of which a part was measured with K particles.

    `elbo` is the mean of the negative ELBO over all images. `iwae` is that mean minus the mean gap
    between ELBO and IWAE bound over the part. The ELBO is a control variate: an image that is hard
    for it is hard for the IWAE bound, too, so the gap differs much less between images than the
    bound does. If posteriors were refined, so is `elbo`, with the gap to the refined ELBO. Standard
    errors include both sources, and their dependence.
    """

    images: int
    elbo: Figure
    iwae: dict[int, Figure]

    def as_dict(self) -> dict[str, Any]:
        """For JSON."""
        return {
            "images": self.images,
            "elbo": self.elbo.as_dict(),
            "iwae": {str(k): figure.as_dict() for k, figure in self.iwae.items()},
        }


@dataclass(frozen=True)
class PerImage:
    """The negative bounds of n of the N images of a data set, in nats.

    `index` (n,) are the measured images, `cluster` (N,) the clusters of all images. `elbo` (n,) and
    `iwae` (n,), for each number of particles, are the bounds. `all_elbos` (N,) is the negative ELBO
    of all images, with one particle, if it was measured; `control` (n,) that of the measured ones,
    if `all_elbos` are of another posterior than `elbo`. `pictures` is a digest of the images: two
    measurements compare if it is the same.
    """

    pictures: str
    index: Tensor
    cluster: Tensor
    elbo: Tensor
    iwae: Mapping[int, Tensor] = field(default_factory=dict)
    all_elbos: Tensor | None = None
    control: Tensor | None = None

    def __sub__(self, other: PerImage) -> PerImage:
        """The differences of each image, of what both measured. Raises ValueError if the images or
        their clusters are not the same."""
        if not self.pairs_with(other):
            raise ValueError("differences need bounds of the same images")
        both = self.all_elbos is not None and other.all_elbos is not None
        controlled = self.control is not None or other.control is not None
        return PerImage(
            self.pictures,
            self.index,
            self.cluster,
            self.elbo - other.elbo,
            {k: self.iwae[k] - other.iwae[k] for k in self.iwae if k in other.iwae},
            self.all_elbos - other.all_elbos if both else None,  # type: ignore[operator]
            self._controls - other._controls if controlled else None,
        )

    def pairs_with(self, other: PerImage) -> bool:
        """Whether both are bounds of the same images, in the same clusters."""
        return (
            self.pictures == other.pictures
            and torch.equal(self.index, other.index)
            and torch.equal(self.cluster, other.cluster)
        )

    @property
    def _controls(self) -> Tensor:
        return self.elbo if self.control is None else self.control

    @property
    def clusters(self) -> int:
        """The number of clusters of the measured images."""
        return len(self.cluster[self.index].unique())

    def mean(self, values: Tensor) -> Figure:
        """The mean of `values` (n,) of the measured images."""
        each = torch.arange(len(values))
        errors = (standard_error(values, by) for by in (self.cluster[self.index], each))
        return Figure(values.mean().item(), *errors)

    def whole_set(self) -> WholeSet | None:
        """The estimates for all images, None if their ELBO was not measured."""
        if self.all_elbos is None:
            return None
        elbo = self._whole(self.all_elbos, self._controls - self.elbo)
        iwae = {k: self._whole(self.all_elbos, self._controls - b) for k, b in self.iwae.items()}
        return WholeSet(len(self.all_elbos), elbo, iwae)

    def _whole(self, values: Tensor, gaps: Tensor) -> Figure:
        """The mean of `values` (N,) over all images minus that of `gaps` (n,) over the part.

        The term of an image has its value and, if it is in the part, its gap, so that the error
        includes their dependence.
        """
        terms = (values - values.mean()) / len(values)
        terms = terms.index_add(0, self.index, -(gaps - gaps.mean()) / len(gaps))
        errors = (error_of_sum(terms, by) for by in (self.cluster, torch.arange(len(terms))))
        return Figure((values.mean() - gaps.mean()).item(), *errors)
