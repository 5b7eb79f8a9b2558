"""Beginning with the weights of another model that lacks what has been added since."""

from __future__ import annotations

from collections.abc import Mapping

from torch import Tensor, nn

from oneshot_cli.model.output import StackedConv2d

ADDITIONS = ("prior.", "output.")
"""Parts of a model that leave it unchanged at first: another model may lack them."""
ADDED_FIELDS = ("prior", "output", "output_channels")
"""The fields of a configuration that add them."""


def warm_start(model: nn.Module, weights: Mapping[str, Tensor]) -> None:
    """Set the weights of `model` to `weights`, which may lack ADDITIONS.

    A network for each size begins as that of the only size that there was. Raises RuntimeError
    where names or shapes do not fit.
    """
    own = model.state_dict()
    added = {name: own[name] for name in own if name.startswith(ADDITIONS) and name not in weights}
    stacks = [name for name, part in model.named_modules() if isinstance(part, StackedConv2d)]
    found = {
        name: weight.expand(own[name].shape)
        if name.rpartition(".")[0] in stacks and len(weight) == 1
        else weight
        for name, weight in weights.items()
    }
    model.load_state_dict(added | found)
