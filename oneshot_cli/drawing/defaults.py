"""Defaults of the drawing commands. Nothing here imports torch."""

DEFAULT_SIZE = 112
"""Default height and width of drawings in pixels. The model's own size is too small to look at."""

PEN_WIDTHS = (0.01, 0.2)
"""The smallest and the largest width of the pen, as fractions of the picture's width."""

FPS = 8.0
"""Steps of a film per second."""

HOLD = 2.0
"""Seconds that the last step of a film is shown."""
