"""Several readers, each of its own images, in one call a step."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from oneshot_cli.model.attention.heads import Reader
from oneshot_cli.model.engine.capability import reads_jointly


class JointReader:
    """Reads the images of several readers: the context's and the target's.

    `views` are pairs of a reader and its images (B * M, C, S, S), M for each of `batch` states.
    Where `joint` is true one call computes the windows of all views and reads through them. It is
    false for readers that differ in more than their weights; they are called one after the other.
    """

    def __init__(self, batch: int, views: Sequence[tuple[Reader, Tensor]]) -> None:
        self.batch = batch
        self.readers = [reader for reader, _ in views]
        self.members = [images.shape[0] // batch for _, images in views]
        self.views = [images for _, images in views]
        shapes = {images.shape[1:] for images in self.views}
        self.joint = len(shapes) == 1 and all(alike(self.readers[0], r) for r in self.readers)
        self.images = torch.cat(self.views) if self.joint else torch.empty(0)

    def __call__(self, h: Tensor) -> tuple[list[Tensor], list[Tensor]]:
        """Of each view the glimpses (B * M, width) and the window (B, ...), for states (B, ...)."""
        if not self.joint:
            return self._read_one_by_one(h)
        first = self.readers[0]
        parameters = torch.stack([reader.attention.window_parameters(h) for reader in self.readers])
        windows = first.attention.window(parameters)
        glimpses = first(self.images, self.repeat_for_images(windows))
        return self.split_by_view(glimpses), list(windows.unbind())

    def _read_one_by_one(self, h: Tensor) -> tuple[list[Tensor], list[Tensor]]:
        windows = [reader.attention(h) for reader in self.readers]
        views = zip(self.readers, self.views, windows, self.members, strict=True)
        glimpses = [
            reader(images, repeated(window, members)) for reader, images, window, members in views
        ]
        return glimpses, windows

    def repeat_for_images(self, views: Tensor) -> Tensor:
        """Values of each view (V, B, ...), repeated for each of its images: (all images, ...)."""
        if all(times == 1 for times in self.members):
            return views.flatten(0, 1)
        each = zip(views, self.members, strict=True)
        return torch.cat([repeated(view, times) for view, times in each])

    def split_by_view(self, rows: Tensor) -> list[Tensor]:
        """Values of all images, split into those of each view: (B * M, ...)."""
        return list(rows.split([times * self.batch for times in self.members]))

    def sum_over_images(self, rows: Tensor) -> Tensor:
        """Values of all images, summed over the images of each state: (V, B, ...)."""
        if all(times == 1 for times in self.members):
            return rows.unflatten(0, (len(self.members), self.batch))
        views = zip(self.split_by_view(rows), self.members, strict=True)
        return torch.stack([view.unflatten(0, (self.batch, times)).sum(1) for view, times in views])


def repeated(values: Tensor, times: int) -> Tensor:
    """Each of the values (B, ...) `times` times, one after the other: (B * times, ...)."""
    return values[:, None].expand(-1, times, *values.shape[1:]).flatten(0, 1)


def alike(one: Reader, other: Reader) -> bool:
    """Whether both readers read in the same way: they have the same classes and settings."""
    pairs = ((one, other), (one.attention, other.attention))
    return all(
        type(a) is type(b) and reads_jointly.holds(b) and _same_settings(a, b) for a, b in pairs
    )


def _same_settings(one: nn.Module, other: nn.Module) -> bool:
    """Whether the public attributes of two modules, which are not weights, are equal."""
    mine, theirs = (
        {name: value for name, value in vars(part).items() if not name.startswith("_")}
        for part in (one, other)
    )
    return mine.keys() == theirs.keys() and all(
        mine[name] is theirs[name]
        or (not isinstance(mine[name], Tensor) and mine[name] == theirs[name])
        for name in mine
    )
