"""Writes the table of docs/reading.md from docs/results/reading.json, and its picture.

python -m benchmarks.reading --seed 2 --json docs/results/reading.json
python docs/make_reading.py
"""

from __future__ import annotations

import json
from pathlib import Path

from oneshot_cli.imaging.exemplar import AUTOMATIC, drawing
from oneshot_cli.imaging.steps import reading_steps, stacked

HERE = Path(__file__).parent
PAGE = HERE / "reading.md"
RESULTS = HERE / "results" / "reading.json"
FIELD = HERE.parent / "tests" / "fixtures" / "field"
SHOWN = ("photo_desk.jpg", "photo_hard_shadow.jpg", "photo_red_on_ruled.jpg", "scan_squared.png")
BEGIN, END = "<!-- table -->\n", "<!-- end of table -->\n"


def table() -> str:
    """The share of each kind of picture that is read right, at each strength."""
    results = json.loads(RESULTS.read_text(encoding="utf-8"))
    lines = ["| kind | 1 | 2 | 3 | 4 |", "|---|---|---|---|---|"]
    lines += [
        f"| {kind} | {' | '.join(f'{share:.0%}' for share in shares)} |"
        for kind, shares in results["shares"].items()
    ]
    right, number = results["right"], results["pictures"]
    return "\n".join(lines) + f"\n\nTogether: {right} of {number}, {right / number:.1%}.\n"


def with_table(page: str) -> str:
    """The page, with the table between its marks."""
    before, rest = page.split(BEGIN)
    return before + BEGIN + table() + END + rest.split(END)[1]


def main() -> None:
    """Write both."""
    PAGE.write_text(with_table(PAGE.read_text(encoding="utf-8")), encoding="utf-8")
    rows = [reading_steps(FIELD / name, drawing(FIELD / name, 52), 52, AUTOMATIC) for name in SHOWN]
    picture = stacked(rows)
    picture.resize((picture.width * 2 // 3, picture.height * 2 // 3)).quantize(256).save(
        HERE / "images" / "reading.png", optimize=True
    )


if __name__ == "__main__":
    main()
