"""The strokes of new letters beside people's, for docs/results/letters.json.

    python docs/measure_letters.py > docs/results/letters.json

The model sees five letters of each of 25 alphabets of Omniglot and draws five new ones, as
`oneshot alphabet` does. They are compared with people's drawings of the last five letters, at the
size of these. (The default spread was chosen on the 25 other alphabets.)
"""

from __future__ import annotations

import json

import torch
from torch import Tensor

import oneshot_cli
from oneshot_cli import data
from oneshot_cli.drawing.defaults import DEFAULT_SIZE
from oneshot_cli.drawing.oneshot import ALPHABET_SPREAD
from oneshot_cli.evaluation.penmanship import penmanship
from oneshot_cli.imaging.rendering import of_mask

LETTERS = 5
SPREADS = (0.6, ALPHABET_SPREAD, 1.0)


def main() -> None:
    """Measure and print the document."""
    model = oneshot_cli.load()
    drawings = data.load("omniglot", split="weak", part="all", size=105)
    given, people = [], []
    for alphabet in range(1, len(drawings.alphabets), 2):
        characters = (drawings.alphabet == alphabet).nonzero()
        first = [int((drawings.character == c).nonzero()[0]) for c in characters]
        given.append([of_mask(drawings.images[i].bool().numpy(), 105) for i in first[:LETTERS]])
        people.append(drawings.images[first[-LETTERS:]][:, None].float())

    def drawn(spread: float, pen: float | None) -> Tensor:
        """The ink of new letters (A, LETTERS, 1, H, H), rendered with a `pen`."""
        pictures = [
            model.render(model.alphabet(each, LETTERS, spread=spread, size=DEFAULT_SIZE), pen=pen)
            for each in given
        ]
        return 1 - torch.stack([torch.from_numpy(each) for each in pictures])[:, :, None] / 255

    theirs = torch.stack(people)
    document = {
        "alphabets": len(given),
        "letters": LETTERS,
        "default_spread": ALPHABET_SPREAD,
        "pen": {str(s): penmanship(drawn(s, None), theirs).as_dict() for s in SPREADS},
        "outline": penmanship(drawn(ALPHABET_SPREAD, 0), theirs).as_dict(),
    }
    print(json.dumps(document, indent=1))


if __name__ == "__main__":
    main()
