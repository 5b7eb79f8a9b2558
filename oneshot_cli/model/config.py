"""What a model is, as plain data: what a checkpoint's header needs to build it again."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any, Literal


@dataclass(frozen=True)
class ModelConfig:
    """The sequential generator of Rezende et al. 2016, sections 3 and 4.

    The defaults are the recipe of the flagship. The paper's own settings are 4 latents a step and
    no summaries (`summary_units=0`), 400 units, 12 x 12 windows, 4 canvas channels, 20 to 80 steps.
    """

    size: int = 28
    """Height and width, in pixels, of the images that are read; drawing works at any size."""
    steps: int = 20
    """T, the number of latent groups and of writes."""
    latent: int = 16
    """Latents a step."""
    hidden: int = 400
    """LSTM units."""
    glimpse: int = 12
    """Side of the window read from an image."""
    patch: int = 12
    """Side of the patch written to the canvas."""
    canvas: Literal["additive", "gated"] = "additive"
    """f_c: a sum of writes, or a convolutional gated recurrent unit over them."""
    canvas_channels: int = 4
    """Channels of the hidden canvas."""
    context_units: int = 256
    """Width of v_t, what is read of the context at a step."""
    posterior_units: int = 512
    """Hidden width of the posterior network."""
    summary_units: int = 256
    """Width of the convolutional summary of an image, computed once; 0 leaves it out."""
    summary_channels: int = 32
    """Channels of the summary's first convolution; the later ones have twice as many."""
    read_scale: float = 0.9
    """Half-width of a reading window at the start, where the image is 1."""
    write_scale: float = 0.6
    """Half-width of a writing window at the start, where the canvas is 1."""
    ink: float = 0.087
    """Mean ink of the data: where the canvas starts."""

    def __post_init__(self) -> None:
        for name in ("size", "steps", "latent", "hidden", "glimpse", "patch", "canvas_channels"):
            if getattr(self, name) < 1:
                raise ValueError(f"{name} must be at least 1, not {getattr(self, name)}")
        if self.canvas not in ("additive", "gated"):
            raise ValueError(f"canvas must be additive or gated, not {self.canvas!r}")
        if not 0 < self.ink < 1:
            raise ValueError(f"ink must lie between 0 and 1, not {self.ink}")

    def to_dict(self) -> dict[str, Any]:
        return asdict(self)

    @classmethod
    def from_dict(cls, fields: dict[str, Any]) -> ModelConfig:
        """Build from a header's fields. Raises TypeError or ValueError when they do not fit."""
        return cls(**fields)
