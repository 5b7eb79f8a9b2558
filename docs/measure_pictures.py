"""How often variations are recognized among a folder's pictures.

    python docs/measure_pictures.py FOLDER [-n 10] [--sheet FILE]

Each picture in the folder is varied with the defaults of `oneshot vary`. The result is the share of
variations whose nearest picture in the folder is their own exemplar, in the features of the shipped
prototypical network, and the pictures whose share is below 1. --sheet writes the variations beside
the exemplars as the model reads them, because the share does not show blots.
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path

import torch

import oneshot_cli
from oneshot_cli.evaluation.critics import features, load_critic
from oneshot_cli.evaluation.oneshot_scores import recognized
from oneshot_cli.imaging.exemplar import drawing
from oneshot_cli.imaging.grid import Group, sheet
from oneshot_cli.imaging.reading import PICTURE_ENDINGS
from oneshot_cli.imaging.rendering import of_mask, save_picture


def main() -> None:
    """Measure and print the results."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=Path)
    parser.add_argument("-n", type=int, default=10, help="variations of each picture")
    parser.add_argument("-c", "--checkpoint", type=Path, default=None)
    parser.add_argument("--spread", type=float, default=None)
    parser.add_argument("--closeness", type=float, default=None)
    parser.add_argument("--keep-best", type=int, default=None)
    parser.add_argument(
        "--size", type=int, default=112, help="size of the pictures on the sheet, in pixels"
    )
    parser.add_argument("--sheet", type=Path, default=None)
    options = parser.parse_args()
    paths = sorted(p for p in options.folder.iterdir() if p.suffix.lower() in PICTURE_ENDINGS)
    model, critic = oneshot_cli.load(options.checkpoint), load_critic("protonet")
    settings = {
        "spread": options.spread,
        "closeness": options.closeness,
        "keep_best": options.keep_best,
    }
    read = [model.read(path) for path in paths]
    exemplars = torch.stack([ink[0] for ink in read])
    drawn = model.vary_batch(read, options.n, **settings)
    # An episode has all pictures, so a variation is recognized with probability 0 or 1.
    found = recognized(features(critic, exemplars), features(critic, drawn), len(paths)).mean(1)
    document = {
        "pictures": len(paths),
        "spread": model.spread if options.spread is None else options.spread,
        "closeness": model.closeness if options.closeness is None else options.closeness,
        "nearest_to_their_own": round(float(found.mean()), 4),
        "less_than_all": {
            path.stem: round(share, 2)
            for path, share in zip(paths, found.tolist(), strict=True)
            if share < 1
        },
    }
    print(json.dumps(document, indent=2))
    if options.sheet:
        pictures = model.vary_batch(read, options.n, size=options.size, **settings)
        groups = [
            Group(
                path.stem,
                list(model.render(each, exemplars=ink)),
                of_mask(drawing(path, model.size).mask, options.size),
            )
            for path, ink, each in zip(paths, read, pictures, strict=True)
        ]
        save_picture(sheet(groups), options.sheet)


if __name__ == "__main__":
    main()
