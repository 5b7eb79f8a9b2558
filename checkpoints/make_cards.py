"""Writes the figures of README.md and checkpoints/README.md between their marks.

    <!-- figures: likelihood omniglot -->
    ... written by this program ...
    <!-- end -->

The first word names a function below, the others are its arguments. Figures come from the headers
of the checkpoints and from docs/results. `make tables` calls this program. Files in
docs/results/scores are the output of `oneshot score --seeds 2 --no-classify --json`, those that end
in -prior with `--closeness 0`.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterable
from decimal import ROUND_HALF_UP, Decimal
from pathlib import Path
from typing import Any

from oneshot_cli import checkpoint
from oneshot_cli.evaluation.generalization import RULES
from oneshot_cli.evaluation.published import tables

HERE = Path(__file__).parent
RESULTS = HERE.parent / "docs" / "results"
PAGES = (HERE.parent / "README.md", HERE / "README.md")
MARKS = re.compile(r"(<!-- figures: ([^\n]*) -->\n).*?(<!-- end -->\n)", re.DOTALL)
CLUSTERS = {
    "character": "Standard errors are clustered by character.",
    "alphabet": "Standard errors are clustered by alphabet.",
    "image": "Images are independent.",
}
STROKES = {
    "parts": "parts that hang together",
    "ends": "loose ends",
    "width": "width of strokes, pixels",
    "thickest": "widest place, pixels",
    "unevenness": "deviation of the width along a stroke, pixels",
}
THICKER = "somewhere wider than 99 % of people's drawings"

Estimate = dict[str, float]


def likelihood(name: str) -> str:
    """The bounds in a checkpoint's header, at each size, with the commands that measure them."""
    path = HERE / f"{name}.safetensors"
    header = checkpoint.read_header(path)
    command = "oneshot eval-nll" + (
        "" if name == "omniglot" else f" {path.relative_to(HERE.parent)}"
    )
    context = ", one context image" if header.data.get("dataset") == "omniglot" else ""
    rows, first = [], True
    for size, found in header.figures.items():
        if " x " not in size:
            continue
        further = "" if first else f" --size {size.partition(' ')[0]}"
        images = f"{found['elbo']['images']:,}"
        elbo = [_nats(found["elbo"]), images, f"`{command} --particles 1{further}`"]
        rows.append([f"negative ELBO, {size}{context}", *elbo])
        parts = f"{found['reconstruction']['nats']:.2f} + {found['kl']['nats']:.2f}"
        rows.append(["reconstruction + KL", parts, images, "the same"])
        if "iwae" in found:
            iwae = found["iwae"]
            gap = iwae.get("gap_measured_on")
            label = f"IWAE, {iwae['particles']:,} particles"
            label += f": the ELBO of all, minus the gap on {gap:,}" if gap else ""
            limit = gap or iwae["images"]
            measured = f"`... --particles {iwae['particles']} --limit {limit}`"
            rows.append([label, _nats(iwae), f"{iwae['images']:,}", measured])
        first = False
    head = ["figure", "nats", "drawings", "command"]
    if header.data["size"] == 26:
        head.insert(2, "nats per pixel")
        for row in rows:
            value = row[1].partition(" ")[0]
            row.insert(2, "" if "+" in row[1] else f"{float(value) / 26**2:.4f}")
    by = next(iter(header.figures.values())).get("errors_clustered_by", "image")
    return f"{CLUSTERS[by]}\n\n" + _table(head, rows)


def contexts(name: str) -> str:
    """The ELBO and the KL by the number of context images, from docs/results/NAME.json."""
    results = _read(f"{name}.json")["results"]
    rows = [
        ["ELBO", *(_nats(each["elbo"]) for each in results)],
        ["KL", *(f"{each['kl']['nats']:.2f}" for each in results)],
    ]
    return _table(["context images", *(str(each["context_images"]) for each in results)], rows)


def headline(name: str) -> str:
    """Recognizability and overlap at people's diversity, over all seeds and critics."""
    found = _read(f"scores/{name}.json")
    head, people = found["headline"], found["references"]["people"]
    seeds, critics = len(head["per_seed"]), len(head["per_critic"])
    each = ", ".join(f"{value:.3f}" for value in head["per_seed"])
    pairs = ", ".join(f"{value:.3f}" for value in head["per_critic"])
    return (
        f"At people's diversity, which is at a spread of {head['spread']:.2f}: recognizability "
        f"**{_interval(head['recognizability_at_peoples_diversity'])}** (people: "
        f"{people['recognizability']['value']:.3f}), overlap "
        f"{_interval(head['overlap_at_peoples_diversity'])} (people: "
        f"{people['overlap']['value']:.3f}). The intervals are over characters, {seeds} seeds "
        f"({each}) and {critics} {'pair' if critics == 1 else 'pairs'} of critics ({pairs}).\n"
    )


def scores(name: str) -> str:
    """The table of references, spreads and the default, from docs/results/scores/NAME.json."""
    found = _read(f"scores/{name}.json")
    rows = [[label, *_scores(values)] for label, values in found["references"].items()]
    rows += [[f"`--spread {each['spread']:g}`", *_scores(each)] for each in found["curve"]]
    default = found["default"]
    rows.append([f"`--spread {default['spread']:g}`, the default", *_scores(default)])
    return _table(("", "recognizability", "diversity", "overlap", "overlap in place"), rows)


def strokes(name: str) -> str:
    """The measures of strokes, from docs/results/scores/NAME.json."""
    found = _read(f"scores/{name}.json")["penmanship"]
    rows = [
        [label, *(_interval(found[who][key], 2) for who in ("drawings", "people"))]
        for key, label in STROKES.items()
    ]
    thick = f"{100 * found['thicker_than_99_percent_of_people']:.1f} %"
    rows.append([THICKER, thick, "1 %"])
    unsure = f"{found['unsure_pixels_per_inked']:.2f}"
    rows.append(["pixels with a probability between 0.2 and 0.8, for each inked", unsure, ""])
    return _table(("", "variations", "people"), rows)


def letters() -> str:
    """The measures of strokes of new letters, from docs/results/letters.json."""
    found = _read("letters.json")
    default = f"{found['default_spread']:g}"
    columns = {f"spread {float(spread):g}": each for spread, each in found["pen"].items()}
    columns = {"without the pen": found["outline"]} | columns
    shown = list(columns.values())
    rows = [
        [
            label,
            *(_interval(each["drawings"][key], 2) for each in shown),
            _interval(shown[0]["people"][key], 2),
        ]
        for key, label in STROKES.items()
    ]
    thick = [f"{100 * each['thicker_than_99_percent_of_people']:.1f} %" for each in shown]
    rows.append([THICKER, *thick, "1 %"])
    size = shown[0]["size"]
    return (
        f"New letters of {found['alphabets']} alphabets: {found['letters']} of each, drawn from "
        f"{found['letters']} given letters, and measured at {size} × {size} "
        "(`python docs/measure_letters.py`). The first column is without the pen, at the default "
        f"spread of {default}. The next ones are with the pen, which is the default.\n\n"
    ) + _table(("", *columns, "people"), rows)


def memorization(name: str) -> str:
    """The shares of variations that are suspiciously near, from docs/results/scores/NAME.json."""
    found = _read(f"scores/{name}.json")["memorization"]
    pixel, critic = (
        found[f"closer_than_99_percent_of_held_out_{how}"] for how in ("pixel", "critic")
    )
    copies = [
        found[f"copies_closer_than_99_percent_of_held_out_{how}"] for how in ("pixel", "critic")
    ]
    return (
        f"Memorization: {_percent(pixel)} of its variations are nearer to a training drawing than "
        f"99 % of people's new drawings are, by pixels; {_percent(critic)} by the critic. Of "
        f"copies of training drawings {100 * copies[0]:.0f} % and {100 * copies[1]:.0f} % are.\n"
    )


def classification() -> str:
    """One-shot classification in Lake's runs, from docs/results/lake.json."""
    found = _read("lake.json")["classification"]
    rows = [
        [RULES[rule].replace(" | ", " given "), _interval(error)]
        for rule, error in found["errors"].items()
    ]
    rows[-1] = [f"**{cell}**" for cell in rows[-1]]
    published = [f"{name} {value:.3f}" for name, value in found["published"].items()]
    rows.append([f"published: {', '.join(published)}", ""])
    return _table(("classifier", "error"), rows)


def overview() -> str:
    """The table of README.md."""
    default, prior = _read("scores/omniglot.json"), _read("scores/omniglot-prior.json")
    people = default["references"]["people"]
    drawings, theirs = (prior["penmanship"][who] for who in ("drawings", "people"))
    weak, few, digits = (
        checkpoint.read_header(HERE / f"{name}.safetensors").figures[size]
        for name, size in (
            ("omniglot", "28 x 28"),
            ("omniglot-45-5-26", "26 x 26"),
            ("mnist", "28 x 28"),
        )
    )
    lake = _read("lake.json")["classification"]
    found, own = (
        each["headline"]["recognizability_at_peoples_diversity"] for each in (default, prior)
    )
    overlap = default["headline"]["overlap_at_peoples_diversity"]
    measures = ("parts", "ends", "width")
    published = {
        row.name: row.value for row in tables()["omniglot-strong"].rows if row.context == 1
    }
    density = [_nats(few[bound], 3, scale=26**2) for bound in ("iwae", "elbo")]
    digit_rows = [row.value for row in tables()["mnist"].rows if row.preset]
    worst, *_, best = sorted(tables()["mnist-dynamic"].rows, key=lambda row: -row.value)
    rows = [
        [
            "how often a new drawing of a held-out character is recognized among 20 characters "
            "(150 characters, one exemplar each), where drawings are as diverse as people's",
            f"{_interval(found)} (people: {people['recognizability']['value']:.3f}), drawn near "
            f"the exemplar, as by default; from the prior alone, as in the paper, {_interval(own)}",
        ],
        [
            "ink in common with the exemplar, after the best shift",
            f"{_interval(overlap)} (people: {people['overlap']['value']:.3f})",
        ],
        [
            "strokes from the prior alone: parts that hang together, loose ends, width in pixels",
            f"{', '.join(_interval(drawings[key], 2) for key in measures)} (people: "
            f"{', '.join(format(theirs[key]['value'], '.2f') for key in measures)})",
        ],
        [
            "held-out characters given one drawing, 28 x 28, nats",
            f"<= {_nats(weak['iwae'], 1)} (IWAE), {_nats(weak['elbo'], 1)} (ELBO)",
        ],
        [
            "one-shot classification, error in Lake's 20 runs, two of each of 10 alphabets, by a "
            "model that never saw these",
            f"{_interval(lake['errors']['both'])} (people {lake['published']['people']:.3f}, BPL "
            f"{lake['published']['BPL']:.3f}, prototypical networks "
            f"{lake['published']['prototypical networks']:.3f})",
        ],
        [
            "held-out alphabets given one drawing, 26 x 26, nats per pixel",
            f"<= {density[0]} (IWAE), {density[1]} (ELBO), five alphabets; published: "
            f"{max(published.values()):.3f} to {min(published.values()):.3f}",
        ],
        [
            "MNIST, dynamically binarized, nats",
            f"<= {_nats(digits['iwae'], 1)} (IWAE), {_nats(digits['elbo'], 1)} (ELBO); published: "
            f"{max(digit_rows):.1f} to {min(digit_rows):.1f} on binarizations of several kinds, "
            f"mostly ELBOs; on this one, by the public library pytorch-generative, "
            f"{worst.value:.1f} to {best.value:.1f} ({best.name}, exact)",
        ],
    ]
    return _table(("what", "figure"), rows)


BLOCKS: dict[str, Callable[..., str]] = {
    function.__name__: function
    for function in (
        likelihood,
        contexts,
        headline,
        scores,
        strokes,
        letters,
        memorization,
        classification,
        overview,
    )
}


def filled(page: str) -> str:
    """The page with all figures between its marks. Raises KeyError for an unknown name."""

    def block(match: re.Match[str]) -> str:
        name, *arguments = match[2].split()
        return f"{match[1]}\n{BLOCKS[name](*arguments)}\n{match[3]}"

    return MARKS.sub(block, page)


def _read(name: str) -> dict[str, Any]:
    return dict(json.loads((RESULTS / name).read_text(encoding="utf-8")))


def _nats(figure: Estimate, digits: int = 2, scale: float = 1.0) -> str:
    """The figure and its error, over `scale`."""
    values = (figure[key] / scale for key in ("nats", "standard_error"))
    return " ± ".join(f"{value:.{digits}f}" for value in values)


def _interval(estimate: Estimate, digits: int = 3) -> str:
    value, low, high = (_rounded(estimate[key], digits) for key in ("value", "low", "high"))
    return f"{value} [{low}, {high}]"


def _rounded(value: float, digits: int) -> str:
    """Halves away from zero: 0.0725 is 0.073, as its 29 errors in 400 trials are."""
    return str(Decimal(str(value)).quantize(Decimal(1).scaleb(-digits), ROUND_HALF_UP))


def _percent(share: Estimate) -> str:
    value, low, high = (f"{100 * share[key]:.1f}" for key in ("value", "low", "high"))
    return f"{value} % [{low}, {high}]"


def _scores(values: dict[str, Estimate]) -> list[str]:
    return [
        _interval(values[key])
        for key in ("recognizability", "diversity", "overlap", "overlap_in_place")
    ]


def _table(head: Iterable[str], rows: Iterable[Iterable[str]]) -> str:
    head = list(head)
    lines = [head, ["---"] * len(head), *rows]
    return "".join(f"| {' | '.join(line)} |\n" for line in lines)


def main() -> None:
    """Fill both pages."""
    for page in PAGES:
        page.write_text(filled(page.read_text(encoding="utf-8")), encoding="utf-8")


if __name__ == "__main__":
    main()
