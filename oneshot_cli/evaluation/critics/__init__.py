"""The two critics that judge one-shot generation, and the small weight files that they ship as.

`protonet` is a prototypical network (Snell et al. 2017): it says whether a variation is still the
same character. `simclr` is a self-supervised encoder (Chen et al. 2020): it says how much the
variations of one character differ. Both are trained on the training characters of the `weak`
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

from oneshot_cli.data.resampling import box_ink
from oneshot_cli.errors import OneshotError
from oneshot_cli.files import atomic_write_bytes

WIDTHS = {"protonet": (64, 64, 64, 64), "simclr": (64, 64, 128, 256)}
SIZE = 28
FORMAT = "oneshot-critic-1"
_CHUNK = 256


class Critic(nn.Module):
    """Four convolution blocks from a 28 x 28 ink image to a feature vector (B, widths[-1]).

    A block is convolution 3 x 3, batch normalization, ReLU, 2 x 2 max-pooling, as in the
    prototypical network's Omniglot encoder; 28 pixels shrink to 14, 7, 3 and 1. `scale` (D,)
    divides the features: ones for `protonet`; for `simclr` each feature's standard deviation over
    the training drawings, so that a spread of 1 is the spread of all of them.
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
        """Features (B, D) of images (B, 1, 28, 28), ink 1."""
        return self.blocks(images).flatten(1) / self.scale


@torch.inference_mode()
def features(critic: Critic, images: Tensor) -> Tensor:
    """Features (..., D) of ink pictures (..., 1, H, W) in [0, 1], on the critic's device.

    Larger or smaller pictures are box-resampled to 28 x 28, and ink is taken where a pixel
    exceeds 0.5: critics see generated pictures as they saw the drawings they were trained on.
    Work is cut into chunks of one fixed size, so memory stays bounded and the caller's batching
    cannot change a digit.
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
    """Pictures (B, 1, H, W) as the critics see them: box-resampled to 28 x 28, ink above 0.5."""
    return (box_ink(images[:, 0].float(), SIZE) > 0.5).float()[:, None]


def channels_last(critic: Critic) -> Critic:
    """The critic with its weights laid out as the CPU's convolutions are twice as fast with."""
    return critic.to(memory_format=torch.channels_last)  # type: ignore[call-overload]


def critic_path(name: str) -> Path:
    """Where the shipped weights of critic `name` lie."""
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
    except (SafetensorError, OSError) as error:
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
    """What the weight file says of its training: data, iterations, seed, figures."""
    path = critic_path(name) if path is None else Path(path)
    with safe_open(str(path), framework="pt") as file:
        return json.loads((file.metadata() or {}).get("settings", "{}"))
