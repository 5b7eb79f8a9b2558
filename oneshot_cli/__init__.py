"""One-shot generalization in deep generative models: show it one character, it draws new ones.

    import oneshot_cli as oneshot
    model = oneshot.load()                       # the flagship; or a path
    pictures = model.vary("glyph.png", n=10)     # (10, 1, H, W), ink in [0, 1]

Importing the package costs nothing: torch is imported when `load` is first used.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from oneshot_cli.drawing.oneshot import Oneshot as Oneshot
    from oneshot_cli.drawing.oneshot import load as load

__version__ = "0.1.0"
__all__ = ["Oneshot", "__version__", "load"]


def __getattr__(name: str) -> Any:
    if name in ("Oneshot", "load"):
        from oneshot_cli.drawing import oneshot as api

        return getattr(api, name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
