"""The light on a picture, and the channel in which its ink is seen best."""

from __future__ import annotations

import numpy as np
from PIL import Image
from scipy.ndimage import gaussian_filter, grey_closing, percentile_filter

from oneshot_cli.imaging.reading import Grey, Levels, luminance

WINDOW = 13 / 64
"""Strokes are narrower than this share of the picture's longer side."""

SMALL = 200
"""Channels are compared on pictures of this longer side, in pixels."""

BETTER = 1.6
"""A colour channel is read instead of the brightness if its contrast is so many times as high."""

AROUND = 9
"""The side of a neighbourhood in SMALL pixels that shares the bias of noise."""

MOST_BIAS = 0.15
"""The most that noise adds to the strength of strokes."""

NOISE = 0.02
"""Added to the noise of a channel, so that clean pictures are not judged by it."""


def best_channel(levels: Levels) -> Grey:
    """The brightness (H, W) of a picture, or the colour channel in which strokes are plainer.

    A channel's contrast is measured after its light is corrected, and relative to its noise: red
    ink on blue paper may have the same brightness, and the slant of light on a photo is no ink.
    """
    grey = luminance(levels)
    if levels.shape[-1] == 1:
        return grey
    bands = [grey, *(np.ascontiguousarray(levels[..., i]) for i in range(3))]
    contrast = [_contrast(band) for band in bands]
    best = int(np.argmax(contrast))
    return bands[best if contrast[best] > BETTER * contrast[0] else 0]


def _contrast(band: Grey) -> float:
    """How far strokes stand out from the light around them, over the noise."""
    found = []
    for strokes in (_strokes(band), _strokes(1 - band)):
        level = float(np.median(strokes))
        noise = float(np.median(np.abs(strokes - level)))
        found.append((float(np.percentile(strokes, 99.5)) - level) / (noise + NOISE))
    return max(found)


def _strokes(dark: Grey) -> Grey:
    """How much darker than the paper around it each pixel is, of `dark` (H, W) reduced to SMALL."""
    height, width = dark.shape
    scale = min(1.0, SMALL / max(height, width))
    size = (max(1, round(width * scale)), max(1, round(height * scale)))
    small = np.asarray(Image.fromarray(dark).resize(size, Image.Resampling.BOX))
    return local_paper(small) - small


def without_bias(strokes: Grey) -> Grey:
    """The strength of strokes (H, W) without what noise adds to it on dark paper and on slopes.

    The paper's brightness is a maximum, so noise makes it too high, and more so where the light
    changes. What most pixels around share is subtracted, up to MOST_BIAS.
    """
    height, width = strokes.shape
    scale = min(1.0, SMALL / max(height, width))
    size = (max(1, round(width * scale)), max(1, round(height * scale)))
    small = np.asarray(Image.fromarray(strokes).resize(size, Image.Resampling.BOX))
    shared = percentile_filter(small, 30, size=AROUND, mode="nearest")
    shared = np.clip(shared - np.median(small), 0, MOST_BIAS)
    bias = np.asarray(Image.fromarray(shared).resize((width, height), Image.Resampling.BILINEAR))
    return np.maximum(strokes - bias, 0)


def local_paper(dark: Grey) -> Grey:
    """The brightness (H, W) of the paper around each pixel of `dark`, whose strokes are dark.

    A grey closing with a square that is wider than strokes are. It follows the edge of a shadow or
    of a sheet exactly, so that neither is taken for a stroke.
    """
    smooth = gaussian_filter(dark, 1.0 if max(dark.shape) > SMALL else 0.0, mode="nearest")
    return np.maximum(closed(smooth, round(WINDOW * max(dark.shape))), 0.02)


def closed(grey: Grey, side: int) -> Grey:
    """The grey closing of `grey` (H, W) with a square: what is dark and narrower is filled.

    What is dark at the border goes on outside, so that it is not narrow.
    """
    side += 1 - side % 2
    padded = np.pad(grey, side, mode="edge")
    return np.ascontiguousarray(
        grey_closing(padded, size=(side, side))[side:-side, side:-side], np.float32
    )
