"""Which type a run's matrix products are in: the machine's choice, and what is said about it."""

from __future__ import annotations

import torch

from oneshot_cli.devices import CLEARLY, bf16_gain, bf16_pays
from oneshot_cli.reporting import Reporter


def usual(device: torch.device, reporter: Reporter) -> bool:
    """Whether a new run is in bfloat16 if nobody says: where that is faster on `device`."""
    pays = bf16_pays(device)
    if pays:
        reporter.note("training in bfloat16, which is faster here (--fp32 does without)")
    else:
        reporter.detail("training in float32: bfloat16 is not faster here")
    return pays


def warn_if_slow(device: torch.device, reporter: Reporter, advice: str) -> None:
    """Before a run in bfloat16 that was asked for: say if the processor is slower in it."""
    if reporter.quiet or device.type != "cpu":
        return
    times_slower = 1 / bf16_gain()
    if times_slower > CLEARLY:
        number = f"{times_slower:.0f}" if times_slower >= 10 else f"{times_slower:.1f}"
        reporter.note(
            f"warning: matrix products in bfloat16 are {number} times slower than in float32 on "
            f"this processor; {advice}"
        )
