"""The two critics, small networks whose features measure one-shot generation.

`protonet` is a prototypical network (Snell et al. 2017), which tells whether a variation is still
the same character. `simclr` is a self-supervised encoder (Chen et al. 2020), which tells how much
the variations of one character differ. Both are trained on the training characters of the `weak`
split alone, by `oneshot score --train-critics`.
"""

from __future__ import annotations

import json
from importlib import resources
from pathlib import Path

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save
from torch import Tensor, nn

from oneshot_cli.errors import OneshotError
from oneshot_cli.files import atomic_write_bytes
from oneshot_cli.imaging.resampling import box_ink

WIDTHS = {"protonet": (64, 64, 64, 64), "simclr": (64, 64, 128, 256)}
SIZE = 28
FORMAT = "oneshot-critic-1"
_CHUNK = 256


class Critic(nn.Module):
    """Four convolution blocks from a 28 x 28 ink image to a feature vector (B, widths[-1]).

    A block is a 3 x 3 convolution, batch normalization, ReLU and 2 x 2 max-pooling, as in the
    prototypical network's Omniglot encoder; the sides are 28, 14, 7, 3 and 1 pixels. Features are
    divided by `scale` (D,): ones for `protonet`; for `simclr` their standard deviations over the
    training drawings.
    """

    scale: Tensor

    def __init__(self, widths: tuple[int, ...]) -> None:
        super().__init__()
        self.blocks = nn.Sequential(
            *(
                nn.Sequential(
                    nn.Conv2d(narrow, wide, 3, padding=1, bias=False),
                    nn.BatchNorm2d(wide),
                    nn.ReLU(),
                    nn.MaxPool2d(2),
                )
                for narrow, wide in zip((1, *widths[:-1]), widths, strict=True)
            )
        )
        self.register_buffer("scale", torch.ones(widths[-1]))

    def forward(self, images: Tensor) -> Tensor:
        """Features (B, D) of images (B, 1, 28, 28), where ink is 1."""
        return self.blocks(images).flatten(1) / self.scale


@torch.inference_mode()
def features(critic: Critic, images: Tensor) -> Tensor:
    """Features (..., D) of ink pictures (..., 1, H, W) in [0, 1], on the critic's device.

    Pictures are resampled and binarized by `binary_ink`, like the drawings that the critics were
    trained on. They are computed in chunks of a fixed size, so that memory is bounded and the
    caller's batch size does not change the rounding. Raises ValueError for another shape.
    """
    if images.shape[-3] != 1:
        raise ValueError(f"expected pictures (..., 1, H, W), got {tuple(images.shape)}")
    flat = images.reshape(-1, *images.shape[-3:])
    device = critic.scale.device
    found = [
        critic(binary_ink(chunk.cpu()).to(device, memory_format=torch.channels_last))
        for chunk in flat.split(_CHUNK)
    ]
    width = critic.scale.shape[0]
    joined = torch.cat(found) if found else torch.empty(0, width, device=device)
    return joined.reshape(*images.shape[:-3], width)


def binary_ink(images: Tensor) -> Tensor:
    """Pictures (B, 1, H, W) in [0, 1], box-resampled to (B, 1, 28, 28) and binarized at 0.5."""
    return (box_ink(images[:, 0].float(), SIZE) > 0.5).float()[:, None]


def channels_last(critic: Critic) -> Critic:
    """The critic with its weights in channels-last layout: twice as fast on the CPU."""
    return critic.to(memory_format=torch.channels_last)  # type: ignore[call-overload]


def critic_path(name: str) -> Path:
    """The path of the shipped weights of critic `name`."""
    return Path(str(resources.files(__package__))) / f"{name}.safetensors"


def save_critic(path: str | Path, name: str, critic: Critic, settings: dict[str, object]) -> None:
    """Write the weights as float16, with `settings` as JSON in the metadata."""
    tensors = {
        key: value.detach().cpu().half().contiguous()
        for key, value in critic.state_dict().items()
        if not key.endswith("num_batches_tracked")
    }
    header = {"format": FORMAT, "critic": name, "settings": json.dumps(settings, sort_keys=True)}
    atomic_write_bytes(path, save(tensors, metadata=header))


def load_critic(
    name: str, path: str | Path | None = None, device: torch.device | str = "cpu"
) -> Critic:
    """The critic `name` ("protonet" or "simclr"), frozen, from `path` or as shipped.

    Raises OneshotError if the file is missing, damaged, or not this critic.
    """
    path = critic_path(name) if path is None else Path(path)
    advice = "train it with: oneshot score --train-critics"
    if not path.is_file():
        raise OneshotError(f"{path}: the critic is missing; {advice}")
    try:
        with safe_open(str(path), framework="pt") as file:
            header = file.metadata() or {}
            tensors = {key: file.get_tensor(key).float() for key in file.keys()}  # noqa: SIM118
    except (SafetensorError, OSError, ValueError) as error:
        raise OneshotError(
            f"{path}: not a readable safetensors file ({error}); {advice}"
        ) from error
    if header.get("format") != FORMAT or header.get("critic") != name:
        raise OneshotError(f"{path}: not the {name} critic of this toolkit; {advice}")
    critic = Critic(WIDTHS[name])
    try:
        missing = critic.load_state_dict(tensors, strict=False).missing_keys
    except RuntimeError as error:
        raise OneshotError(
            f"{path}: wrong tensor shapes for the {name} critic; {advice}"
        ) from error
    if any(not key.endswith("num_batches_tracked") for key in missing):
        raise OneshotError(f"{path}: tensors are missing; {advice}")
    return channels_last(critic.eval().requires_grad_(False).to(device))


def critic_settings(name: str, path: str | Path | None = None) -> dict[str, object]:
    """The settings of its training that the weight file records: data, iterations, seed."""
    path = critic_path(name) if path is None else Path(path)
    with safe_open(str(path), framework="pt") as file:
        return json.loads((file.metadata() or {}).get("settings", "{}"))
