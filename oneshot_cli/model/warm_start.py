"""Start from the weights of another model, with other optional parts than this model."""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor, nn

from oneshot_cli.model.config import Config
from oneshot_cli.model.output import StackedConv2d

ADDITIONS = (
    "prior.",
    "output.",
    "context.image_encoder.",
    "context.embed_image.",
    "posterior.image_encoder.",
    "posterior.embed_image.",
)
"""Parts that do not change a model before they are trained: the other model may lack them."""
REMOVALS = ("context.image_encoder.", "context.embed_image.")
"""Parts that this model may lack: the other model's are then left out."""
SILENCED = ("context.embed_image.", "posterior.embed_image.")
"""The additions whose weights are set to zero when they are added."""
ADDED_FIELDS = {
    "prior": "standard",
    "output": "linear",
    "image_encoder_units": 0,
}
"""The fields of a configuration that add parts, and their values without the part."""
OPTIONAL_FIELDS = (*ADDED_FIELDS, "output_channels", "image_encoder_channels", "encode_context")
"""All fields of a configuration that say which of these parts there are."""
REPEATED_FIELDS = ("steps",)
"""The fields that say how often the same weights are used, where a configuration has them."""


def warm_start(model: nn.Module, weights: Mapping[str, Tensor]) -> None:
    """Set the weights of `model` to `weights`, which may lack ADDITIONS or have REMOVALS.

    A network that exists for each size starts from that of the other model's only size. Raises
    RuntimeError where names or shapes do not fit.
    """
    own = model.state_dict()
    added = {
        name: torch.zeros_like(own[name]) if name.startswith(SILENCED) else own[name]
        for name in own
        if name.startswith(ADDITIONS) and name not in weights
    }
    stacks = [name for name, part in model.named_modules() if isinstance(part, StackedConv2d)]
    found = {
        name: weight.expand(own[name].shape)
        if name.rpartition(".")[0] in stacks and len(weight) == 1
        else weight
        for name, weight in weights.items()
        if name in own or not name.startswith(REMOVALS)
    }
    model.load_state_dict(added | found)


def differences(theirs: Config, own: Config) -> list[str]:
    """The fields of a configuration for which weights may not fit, such as "hidden 64, not 400".

    Those of `theirs` come first. Fields that `warm_start` allows to differ are left out, and `ink`,
    which is of the data.
    """
    allowed = {"ink", *OPTIONAL_FIELDS, *REPEATED_FIELDS}
    if theirs.kind != own.kind:
        return [f"kind {theirs.kind}, not {own.kind}"]
    before, now = theirs.to_dict(), own.to_dict()
    return [
        f"{name} {before[name]}, not {now[name]}"
        for name in now
        if name not in allowed and before[name] != now[name]
    ]
