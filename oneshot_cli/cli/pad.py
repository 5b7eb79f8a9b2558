"""`oneshot pad`: a page on which one draws, and sees variations at once."""

from __future__ import annotations

from typing import Annotated

import typer

from oneshot_cli.cli.options import (
    CheckpointOption,
    Device,
    DeviceOption,
    QuietOption,
    SeedOption,
    VerboseOption,
)
from oneshot_cli.cli.screen import Screen
from oneshot_cli.errors import OneshotError

EXTRA = ("starlette", "uvicorn")
"""The libraries of the extra "pad"."""


def pad(
    port: Annotated[
        int,
        typer.Option("--port", min=0, max=65535, help="The page's port; 0 is any free one."),
    ] = 0,
    browser: Annotated[
        bool, typer.Option("--browser/--no-browser", help="Open the page in the browser.")
    ] = True,
    seed: SeedOption = 0,
    checkpoint: CheckpointOption = None,
    device: DeviceOption = Device.auto,
    quiet: QuietOption = False,
    verbose: VerboseOption = False,
) -> None:
    """Draw with mouse, pen or finger on a page of your browser, and see ten variations at once.

    The page plays the film of each, draws new letters in the style of several, and saves PNG, SVG
    and GIF. It is served on the loopback address, to this machine alone, and asks for nothing from
    any other. The address is printed; Ctrl-C ends it. Needs the extra 'pad'.
    """
    try:
        from oneshot_cli.pad.serve import Pad, model_for_pad
    except ModuleNotFoundError as error:
        if error.name not in EXTRA:
            raise
        raise OneshotError(
            f"the pad needs {error.name}, which is an extra\npip install 'oneshot-cli[pad]'"
        ) from None

    screen = Screen(quiet=quiet, verbose=verbose)
    served = Pad(port)
    model = model_for_pad(checkpoint, device.value)

    def ready() -> None:
        screen.result(served.address)
        screen.note("Ctrl-C ends it")
        if browser:
            served.open()

    served.serve(model, ready, seed)
