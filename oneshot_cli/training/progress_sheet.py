"""The sheet of samples that a training run saves periodically."""

from __future__ import annotations

import torch
from PIL import Image
from torch import Tensor

from oneshot_cli.imaging.grid import Group, paper, sheet
from oneshot_cli.imaging.rendering import Bytes, inked
from oneshot_cli.model import Context, GenerativeModel


@torch.inference_mode()
def progress_sheet(
    model: GenerativeModel, exemplars: Tensor, *, rows: int = 8, temperature: float = 0.7
) -> Image.Image:
    """Variations of `exemplars` (B, C, S, S), a column for each, and a column of samples.

    Columns have `rows` drawings. An unconditional model gives `rows` x `rows` samples at
    temperature 1. The noise is the same in every call, so that sheets of a run can be compared.
    """
    device = next(model.parameters()).device

    def draw(exemplar: Tensor | None, number: int, count: int, temperature: float) -> list[Bytes]:
        noise = torch.randn(
            count, *model.noise_shape, generator=torch.Generator().manual_seed(number)
        )
        context = Context.empty(count, model.config.size)
        if exemplar is not None:
            context = Context.of(exemplar[:, None].expand(count, -1, -1, -1, -1))
        drawn = model.sample(context.to(device), noise.to(device), temperature=temperature)
        return list(inked(drawn.cpu(), model.config.input_size))

    if not model.config.conditional:
        return sheet([Group("", draw(None, 0, rows * rows, 1.0))], rows)
    groups = []
    for number, exemplar in enumerate([*exemplars.split(1), None]):
        shown = None if exemplar is None else inked(exemplar.cpu(), model.config.input_size)[0]
        groups.append(Group("", draw(exemplar, number, rows, temperature), shown))
    return paper(groups)
