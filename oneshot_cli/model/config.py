"""Configurations of models as plain data: what is needed to build a model again."""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import asdict, dataclass
from typing import Any, ClassVar, TypeVar

from oneshot_cli.model.registry import ATTENTIONS, CANVASES, OBSERVATIONS, OUTPUTS, PRIORS
from oneshot_cli.ranges import COUNT, Range, check_fields, number

OR_NONE = Range(least=0, most=COUNT.most)
SIZE = Range(least=1, most=512)
"""Heights and widths of images. The weights need not depend on it, but the memory does."""
STEPS = Range(least=1, most=10_000)
"""Numbers of steps, likewise."""
SCALE = Range(above=0, most=10)
"""Half-widths of windows before training."""
Self = TypeVar("Self", bound="Config")


@dataclass(frozen=True)
class Config(ABC):
    """What all models have in common: the images and their observation model."""

    kind: ClassVar[str]

    size: int = number(28, SIZE)
    """Height and width of images, in pixels; drawings can have any size."""
    channels: int = number(1, Range(least=1, most=4))
    """1, or 3 in colour."""
    observation: str = "bernoulli"
    """p(x | canvas): binary images, or discretized logistics for those of 256 levels."""
    ink: float = number(0.087, Range(above=0, below=1))
    """Mean of the data, which is the mean of an empty canvas."""

    def __post_init__(self) -> None:
        check_fields(self)
        OBSERVATIONS.check(self.observation)

    @property
    def binary(self) -> bool:
        """Whether images are binary; otherwise they have 256 levels."""
        return OBSERVATIONS[self.observation].binary

    @property
    @abstractmethod
    def steps(self) -> int:
        """T, the number of groups of latents, and so of terms of the KL."""

    @property
    def conditional(self) -> bool:
        """Whether drawings depend on a context."""
        return False

    @property
    def encodes_context(self) -> bool:
        """Whether there is an image encoder of the context."""
        return False

    @property
    def input_size(self) -> int:
        """Height and width, in pixels, at which images are read."""
        return self.size

    def reads(self, size: int) -> bool:
        """Whether images of that height and width can be read and have a bound."""
        return size == self.size

    def to_dict(self) -> dict[str, Any]:
        return asdict(self)

    @classmethod
    def from_dict(cls: type[Self], fields: dict[str, Any]) -> Self:
        """Build from a header's fields. Raises TypeError or ValueError when they do not fit."""
        return cls(**fields)


@dataclass(frozen=True)
class SequentialConfig(Config):
    """The sequential generator of Rezende et al. 2016, sections 3 and 4.

    The flagship has these defaults, with a learned prior, the residual output network and an image
    encoder of 256 units for the target. The paper has 4 latents a step, 400 units, 12 x 12 windows,
    4 canvas channels and 20 to 80 steps.
    """

    kind: ClassVar[str] = "sequential"

    steps: int = number(20, STEPS)
    """T, the number of latent groups and of writes."""
    latent: int = 16
    """Latents a step."""
    hidden: int = 400
    """LSTM units."""
    attention: str = "spatial-transformer"
    """How images are read and the canvas is written."""
    conditional: bool = True
    """Whether there is a context. Without one there is no v_t."""
    read_size: int = number(0, OR_NONE)
    """Images of this size or larger are resampled to it and read; 0: images of `size` only."""
    glimpse: int = 12
    """Side of a glimpse of an image, in pixels."""
    patch: int = 12
    """Side of a patch written to the canvas, in pixels."""
    canvas: str = "additive"
    """f_c: a sum of writes, or a convolutional gated recurrent unit over them."""
    canvas_channels: int = 4
    """Channels of the hidden canvas."""
    output: str = "linear"
    """f_o: a 1 x 1 convolution of the canvas, or a small residual network after it."""
    output_channels: int = 32
    """Hidden channels of the residual network."""
    prior: str = "standard"
    """p(z_t | h_{t-1}): N(0, I), or a Gaussian that is a linear function of the state."""
    context_units: int = 256
    """Width of v_t, the part of a step that is read of the context."""
    posterior_units: int = 512
    """Hidden width of the posterior network."""
    image_encoder_units: int = number(0, OR_NONE)
    """Width of a convolutional encoding of each image, an input of every step; 0: none."""
    image_encoder_channels: int = 32
    """Channels of the image encoder's first convolution; the later ones have twice as many."""
    encode_context: bool = True
    """Whether the context's images are encoded, too; else only the target, for the posterior."""
    read_scale: float = number(0.9, SCALE)
    """Half-width of a reading window before training; the image's is 1."""
    write_scale: float = number(0.6, SCALE)
    """Half-width of a writing window before training; the canvas's is 1."""

    def __post_init__(self) -> None:
        super().__post_init__()
        ATTENTIONS.check(self.attention)
        CANVASES.check(self.canvas)
        OUTPUTS.check(self.output)
        PRIORS.check(self.prior)
        if self.read_size > self.size:
            raise ValueError(f"read_size is {self.read_size}, above the size, {self.size}")
        if self.read_size and not ATTENTIONS[self.attention].any_size:
            raise ValueError(
                f"{self.attention} attention reads and writes at one size: no read_size"
            )

    @property
    def input_size(self) -> int:
        return self.read_size or self.size

    def reads(self, size: int) -> bool:
        return size >= self.read_size if self.read_size else size == self.size

    @property
    def encodes_context(self) -> bool:
        return self.conditional and self.encode_context and self.image_encoder_units > 0

    @property
    def context_width(self) -> int:
        """Width of v_t; 0 without a context."""
        return self.context_units if self.conditional else 0


@dataclass(frozen=True)
class DRAWConfig(Config):
    """DRAW (Gregor et al. 2015); the defaults are its model of MNIST with attention, table 3."""

    kind: ClassVar[str] = "draw"

    steps: int = number(64, STEPS)
    """T, the number of glimpses and of writes."""
    latent: int = 100
    """Latents a step."""
    hidden: int = 256
    """Units of each LSTM, the encoder's and the decoder's."""
    attention: str = "gaussian"
    """How the image and the error are read and the canvas is written."""
    glimpse: int = 2
    """Side of the window read."""
    patch: int = 5
    """Side of the patch written."""
    read_scale: float = number(1.0, SCALE)
    """Half-width of a reading window before training; the image's is 1."""
    write_scale: float = number(1.0, SCALE)
    """Half-width of a writing window before training; the canvas's is 1."""

    def __post_init__(self) -> None:
        super().__post_init__()
        ATTENTIONS.check(self.attention)


@dataclass(frozen=True)
class VAEConfig(Config):
    """A variational autoencoder. Its layers are numbered from the image up."""

    kind: ClassVar[str] = "vae"

    latent: tuple[int, ...] = (50,)
    """Latents of each stochastic layer."""
    hidden: tuple[int, ...] = (500,)
    """Hidden units of the networks from and to the layer below."""
    depth: int = 2
    """Hidden layers of each network."""
    flow: int = number(0, OR_NONE)
    """Planar transformations of each layer's posterior; 0: a Gaussian."""
    activation: str = "silu"
    """Of the hidden units: silu or tanh."""

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.activation not in ("silu", "tanh"):
            raise ValueError(f"activation is silu or tanh, not {self.activation!r}")
        for name in ("latent", "hidden"):
            object.__setattr__(self, name, tuple(getattr(self, name)))  # JSON has lists
            if not getattr(self, name):
                raise ValueError(f"{name} must be numbers of at least 1")
        if len(self.latent) != len(self.hidden):
            raise ValueError("latent and hidden must have a number for each stochastic layer")

    @property
    def steps(self) -> int:
        return len(self.latent)


@dataclass(frozen=True)
class NADEConfig(Config):
    """NADE (Larochelle & Murray 2011), with the number of units of its paper."""

    kind: ClassVar[str] = "nade"

    hidden: int = 500
    """Hidden units."""

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.channels != 1 or self.observation != "bernoulli":
            raise ValueError("NADE is a model of binary images with one channel")

    @property
    def steps(self) -> int:
        return self.size
