"""The examples in each command's help: what they do, and what is typed."""

from __future__ import annotations

from typing import NamedTuple


class Example(NamedTuple):
    """A command line, and what it does, in a few words."""

    command: str
    about: str


EXAMPLES: dict[str, tuple[Example, ...]] = {
    "vary": (
        Example("oneshot vary --example", "a first try, on pictures that ship"),
        Example("oneshot vary glyph.jpg", "ten variations of a character"),
        Example("oneshot vary glyph.jpg -n 30 -o more.png", "thirty, all in one picture"),
        Example("oneshot vary glyph.jpg --closeness 0.5", "freer variations"),
        Example("oneshot vary folder/ -n 5", "of every picture in a folder"),
        Example("oneshot vary page.png --each", "of every character on a page"),
    ),
    "alphabet": (
        Example("oneshot alphabet letters/", "twenty letters of its style"),
        Example("oneshot alphabet a.png b.png c.png -n 5", "five in the style of three"),
    ),
    "sample": (
        Example("oneshot sample", "64 characters of no alphabet"),
        Example("oneshot sample -n 9 --size 208 --seed 1", "nine other, larger ones"),
    ),
    "animate": (
        Example("oneshot animate glyph.jpg", "five variations being drawn"),
        Example("oneshot animate -o samples.webp", "samples being drawn"),
        Example("oneshot animate glyph.jpg --fade -n 1", "one, new strokes in colour"),
    ),
    "pad": (
        Example("oneshot pad", "the page, in the browser"),
        Example("oneshot pad --port 8000 --no-browser", "at a known address"),
    ),
    "eval-nll": (
        Example("oneshot eval-nll --limit 100", "the flagship, briefly"),
        Example("oneshot eval-nll runs/mine/best.safetensors", "a model of your own"),
        Example("oneshot eval-nll --context 0,1,4", "given 0, 1 or 4 drawings"),
    ),
    "score": (
        Example("oneshot score --limit 20", "the flagship, briefly"),
        Example("oneshot score runs/mine/best.safetensors -o scores", "all, with pictures"),
        Example("oneshot score --images drawings", "another program's"),
    ),
    "train": (
        Example("oneshot train --dataset glyphs --max-time 10m", "a first model, no download"),
        Example("oneshot train -o runs/mine --max-time 2h", "the flagship's model"),
        Example("oneshot train --resume -o runs/mine", "continue that run"),
        Example("oneshot train --model vae --dataset mnist", "another model on other data"),
    ),
    "info": (
        Example("oneshot info", "the flagship"),
        Example("oneshot info runs/mine/best.safetensors --json", "all fields, for programs"),
    ),
    "data": (
        Example("oneshot data", "the data sets, and which of them are here"),
        Example("oneshot data omniglot", "download and verify Omniglot"),
    ),
    "export": (
        Example("oneshot export --onnx", "the flagship, to omniglot.onnx"),
        Example("oneshot export --onnx --size 104 -o big.onnx", "with larger drawings"),
    ),
    "help": (
        Example("oneshot help", "the list of commands"),
        Example("oneshot help vary", "the same as oneshot vary --help"),
    ),
}
"""The examples of each command."""


def listed(command: str) -> str:
    """The examples of a command as a paragraph of its help, or "" without any.

    A line is at most 78 columns wide, so that it fits into the narrowest usual terminal.
    """
    examples = EXAMPLES.get(command, ())
    width = max((len(each.command) for each in examples), default=0)
    lines = [f"  {each.command:{width}}  {each.about}" for each in examples]
    return "\n".join(["Examples:", *lines]) if lines else ""
