"""The picture that a training run leaves behind: what the model draws at this moment."""

from __future__ import annotations

import torch
from PIL import Image
from torch import Tensor

from oneshot_cli.imaging.grid import Group, paper
from oneshot_cli.imaging.rendering import inked
from oneshot_cli.model import Context, GenerativeModel


@torch.inference_mode()
def progress_sheet(
    model: GenerativeModel, exemplars: Tensor, *, rows: int = 8, temperature: float = 0.7
) -> Image.Image:
    """Variations of each of `exemplars` (B, 1, S, S) below it, then a column without any exemplar.

    The noise is the same at every call, so that the sheets of a run can be compared.
    """
    size = model.config.size
    device = next(model.parameters()).device
    columns = [*exemplars.split(1), None]
    groups = []
    for number, exemplar in enumerate(columns):
        noise = torch.randn(
            rows, *model.noise_shape, generator=torch.Generator().manual_seed(number)
        )
        if exemplar is None:
            context = Context.empty(rows, size)
        else:
            context = Context.of(exemplar[:, None].expand(rows, 1, 1, size, size))
        drawn = model.sample(context.to(device), noise.to(device), temperature=temperature)
        shown = None if exemplar is None else inked(exemplar.cpu(), size)[0]
        groups.append(Group("", list(inked(drawn.cpu(), size)), shown))
    return paper(groups)
