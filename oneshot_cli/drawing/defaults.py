"""Defaults of drawing that need no model. Nothing here imports torch."""

DRAWN = 112
"""Height and width of drawings, in pixels, unless a size is given: the model's own pictures are
small for a person to look at."""

PEN_WIDTHS = (0.01, 0.2)
"""The finest and the widest pen, as parts of the frame."""
