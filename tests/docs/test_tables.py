"""docs/results.md: what the measured files say, nothing left out, nothing typed."""

from __future__ import annotations

import json
import runpy
from collections.abc import Callable
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from oneshot_cli.evaluation.published import tables
from oneshot_cli.model import DRAWConfig, SequentialConfig, VAEConfig
from oneshot_cli.model.config import Config, NADEConfig
from oneshot_cli.presets import PRESETS

DOCS = Path(__file__).parents[2] / "docs"
MNIST = {
    "dataset": "mnist",
    "split": "official",
    "size": 28,
    "resample": "area",
    "binarization": "dynamic",
}


@pytest.fixture(autouse=True)
def scripts(monkeypatch: pytest.MonkeyPatch) -> None:
    """The scripts of docs import each other."""
    monkeypatch.syspath_prepend(str(DOCS))


def page(folder: Path) -> str:
    make: Callable[[Path], str] = runpy.run_path(str(DOCS / "make_tables.py"))["page"]
    return make(folder)


def figure(nats: float) -> dict[str, float]:
    return {"nats": nats, "standard_error": nats / 100}


def measured(
    config: Config,
    data: dict[str, Any],
    contexts: dict[int, float],
    iwae: dict[str, float] | None = None,
    **training: Any,
) -> dict[str, Any]:
    """A document of `oneshot eval-nll --json`."""
    return {
        "checkpoints": [
            {
                "checkpoint": "last.safetensors",
                "model": {"kind": config.kind, **config.to_dict()},
                "training": {"step": 7000, "seconds": 600.0, "batch": 32, **training},
                "measured_on": data,
            }
        ],
        "results": [
            {
                "part": "test",
                "context_images": context,
                "images": 1234,
                "elbo": figure(nats),
                "iwae": {k: figure(value) for k, value in (iwae or {}).items()},
            }
            for context, nats in contexts.items()
        ],
    }


def write(folder: Path, name: str, content: dict[str, Any], command: str | None) -> None:
    (folder / f"{name}.json").write_text(json.dumps(content))
    path = folder / "recipes.json"
    recipes = json.loads(path.read_text()) if path.exists() else {}
    if command is not None:
        recipes[name] = {"machine": "a machine", "train": [command]}
    path.write_text(json.dumps(recipes))


def row(text: str, label: str) -> list[str]:
    """The cells of the one row of a table that begins so."""
    lines = [line for line in text.splitlines() if line.startswith(f"| {label}")]
    assert len(lines) == 1, label
    return [cell.strip() for cell in lines[0].strip("|").split("|")]


def test_the_page_is_what_the_files_make() -> None:
    assert (DOCS / "results.md").read_text() == page(DOCS / "results"), "run `make tables`"


def test_digits_stand_beside_the_published_figure_of_their_preset(tmp_path: Path) -> None:
    small = DRAWConfig(steps=9, latent=16)
    train = "oneshot train --dataset mnist --model draw-64-gauss --steps 9 --latent 16"
    write(tmp_path, "d9", measured(small, MNIST, {0: 88.0}, {"5": 86.0, "50": 85.0}), train)
    full = measured(VAEConfig(), MNIST, {0: 90.0}, step=36_000, batch=100, seconds=1200.0)
    write(tmp_path, "vae", full, "oneshot train --dataset mnist --model vae")
    short = measured(DRAWConfig(), MNIST, {0: 99.0}, steps_before=2500, seconds_before=300.0)
    write(tmp_path, "short", short, "oneshot train --model draw-64-gauss --dataset mnist")
    text = page(tmp_path)
    cells = row(text, "DRAW, 64 steps, Gaussian attention: `d9`")
    assert cells[1] == "<= 80.97, Gregor et al. 2015"
    assert cells[2:6] == ["88.00 ± 0.88", "", "85.00 ± 0.85 (K = 50)", "1,234 test, dynamic"]
    assert cells[6] == "steps 9 (64), latent 16 (100); 7,000 iterations of 32, 10 minutes"
    assert row(text, "`vae`")[6] == "**full preset**: 36,000 iterations of 100, 20 minutes"
    briefly = row(text, "DRAW, 64 steps, Gaussian attention: `short`")[6]
    assert briefly == "9,500 iterations of 32 (7,000 in the last run), 15 minutes"
    assert f"- `d9`, on a machine:\n  `{train}`\n" in text
    warm = measured(VAEConfig(), MNIST, {0: 90.0}, step=100, steps_before=40_000)
    write(tmp_path, "warm", warm, "oneshot train --dataset mnist --model vae")
    assert row(page(tmp_path), "`warm`")[6].startswith("40,100 iterations of 32 (100 ")
    assert row(text, "DBM")[2:] == ["", "", "", "", "not a model here"]
    assert row(text, "fully connected")[1:] == [
        "<= 98.70 (0.8), 80.0 on training images, Rezende et al. 2016",
        *("", "", "", ""),
        "not trained here",
    ]
    for published in (*tables()["mnist"].rows, *tables()["mnist-dynamic"].rows):
        assert f"| {published.name}" in text


def test_the_time_on_a_gpu_is_not_added_to_that_on_a_core(tmp_path: Path) -> None:
    alone = measured(VAEConfig(), MNIST, {0: 90.0}, step=40_000, batch=99)
    after = measured(VAEConfig(), MNIST, {0: 90.0}, steps_before=2500, seconds_before=120.0)
    between = measured(VAEConfig(), MNIST, {0: 90.0}, steps_before=40_900, seconds_before=900.0)
    iterations = {"alone": 40_000, "after": 7000, "between": 40_000}
    for name, content in (("alone", alone), ("after", after), ("between", between)):
        write(tmp_path, name, content, "oneshot train --dataset mnist --model vae")
    path = tmp_path / "recipes.json"
    recipes = json.loads(path.read_text())
    for name, count in iterations.items():
        gpu = {"name": "a GPU", "iterations": count, "batch": 99, "seconds": 600.0}
        recipes[name]["gpu"] = gpu
    path.write_text(json.dumps(recipes))
    text = page(tmp_path)
    assert row(text, "`alone`")[6] == (
        "**full preset**: 40,000 iterations of 99, 10 minutes on a GPU"
    )
    assert row(text, "`after`")[6] == (
        "7,000 iterations of 99, 10 minutes on a GPU, and 2,500, 2 minutes on a core"
    )
    assert row(text, "`between`")[6] == (
        "40,000 iterations of 99, 10 minutes on a GPU, and 7,900, 15 minutes on a core"
    )


def test_a_bound_measured_on_a_part_is_that_of_all_images(tmp_path: Path) -> None:
    content = measured(VAEConfig(), MNIST, {0: 91.0}, {"1000": 87.0})
    whole = {"images": 10_000, "elbo": figure(90.0), "iwae": {"1000": figure(86.0)}}
    content["results"][0]["whole_set"] = whole
    write(tmp_path, "vae", content, "oneshot train --dataset mnist --model vae")
    cells = row(page(tmp_path), "`vae`")
    assert cells[2] == "90.00 ± 0.90"
    assert cells[4] == "86.00 ± 0.86 (K = 1,000, gap on 1,234)"
    assert cells[5] == "10,000 test, dynamic"


def test_a_row_has_training_images_and_what_its_curve_would_become(tmp_path: Path) -> None:
    content = measured(NADEConfig(), MNIST, {0: 91.0})
    content["results"].append({**content["results"][0], "part": "train", "elbo": figure(80.0)})
    content["results"].append({**content["results"][0], "part": "test", "elbo": figure(92.0)})
    write(tmp_path, "nade", content, "make train NAME=nade")
    (tmp_path / "curves").mkdir()
    t = range(100, 10_001, 100)
    points = [
        {
            "iteration": i,
            "nats": 80 + 500 * i**-0.5 - (5 if i > 6000 else 0),
            "learning_rate": 1e-3 if i <= 6000 else 5e-4,
        }
        for i in t
    ]
    (tmp_path / "curves" / "nade.json").write_text(json.dumps(points))
    text = page(tmp_path)
    rows = [line for line in text.splitlines() if line.startswith("| NADE: `nade`")]
    assert [[cell.strip() for cell in line.split("|")][3:5] for line in rows] == [
        ["91.00 ± 0.91 (exact)", "80.00 ± 0.80"],
        ["92.00 ± 0.92 (exact)", "80.00 ± 0.80"],
    ]
    gain = 500 * (6000**-0.5 - 60_000**-0.5)
    cells = row(text, "`nade` ")
    assert cells[1:] == [
        "7,000",
        *(f"{80 + 500 * i**-0.5 - (5 if i > 6000 else 0):.1f}" for i in (500, 1000, 2500, 5000)),
        *(f"{75 + 500 * i**-0.5:.1f}" for i in (7500, 10_000)),
        "91.00",
        f"{91 - gain:.1f} to {91 - gain:.1f}",
    ]


def test_the_order_of_sequential_models_is_that_of_their_figures(tmp_path: Path) -> None:
    write(tmp_path, "vae", measured(VAEConfig(), MNIST, {0: 1.0}), "oneshot train --model vae")
    draw = measured(DRAWConfig(), MNIST, {0: 92.0})
    write(tmp_path, "draw-64-gauss", draw, "make train NAME=draw-64-gauss")
    assert "The order" not in page(tmp_path), "one sequential model has no order"
    additive = SequentialConfig(**PRESETS["st-add-30"].model, conditional=False)
    train = "make train NAME=st-add-30"
    write(tmp_path, "st-add-30", measured(additive, MNIST, {0: 90.0}), train)
    other = measured(replace(additive, hidden=9), MNIST, {0: 10.0})
    write(tmp_path, "smaller", other, "oneshot train --model st-add-30 --hidden 9")
    text = " ".join(page(tmp_path).split())
    assert "published: `draw-64-gauss` 80.97, `st-add-30` 82.60. Here" in text
    assert "by the ELBO: `st-add-30` 90.00, `draw-64-gauss` 92.00. Ours" in text


def test_a_fit_recovers_a_power_law_from_noise() -> None:
    fit = runpy.run_path(str(DOCS / "extrapolation.py"))["power_law"]
    t = np.linspace(1000, 60_000, 200)
    noise = 0.05 * np.random.default_rng(0).standard_normal(200)
    a, b, c = fit(t, 85 + 300 * t**-0.6 + noise)
    assert a == pytest.approx(85, abs=0.3)
    assert b * 1e4**-c == pytest.approx(300 * 1e4**-0.6, abs=0.3)
    flat, slope, _ = fit(t, np.full(200, 7.0))
    assert (flat, slope) == (pytest.approx(7.0), pytest.approx(0.0, abs=1e-6))


def test_what_does_not_fall_is_not_extrapolated() -> None:
    gain = runpy.run_path(str(DOCS / "extrapolation.py"))["extrapolated_gain"]
    curve = [
        {"iteration": 100.0 * i, "learning_rate": 1e-3, "nats": 80 + 9 / i} for i in range(1, 90)
    ]
    assert len(gain(curve)) == 3
    assert all(0 < each < 1 for each in gain(curve))
    assert gain([point | {"nats": 80 - 9 / i} for i, point in enumerate(curve, 1)]) == []
    falling = [{"iteration": 100.0 * i, "learning_rate": 1e-4, "nats": 80.0} for i in (200, 400)]
    assert len(gain([*curve, *falling[:1]])) == 3
    assert gain([*curve, *falling]) == [], "the constant part is too short"


def test_omniglot_has_a_row_for_each_split(tmp_path: Path) -> None:
    data = {"dataset": "omniglot", "split": "weak", "size": 28, "resample": "area"}
    flagship = measured(SequentialConfig(), data, {0: 80.0, 1: 69.0, 16: 66.0}, step=20_000)
    write(tmp_path, "weak", flagship, "oneshot train --dataset omniglot")
    text = page(tmp_path)
    absent = "not measured"
    assert row(text, "weak: `weak`")[1:8] == [
        *("80.00 ± 0.80 (naive)", "69.00 ± 0.69 (naive)", absent, absent, absent),
        "66.00 ± 0.66 (naive)",
        "1,234 test",
    ]
    for split in ("strong-30-20", "strong-40-10", "strong-45-5"):
        assert row(text, split)[1:7] == [absent] * 6
    assert "on a machine:" in text


def test_density_is_in_nats_per_pixel(tmp_path: Path) -> None:
    data = {"dataset": "omniglot", "split": "strong-45-5", "size": 26, "resample": "max"}
    small = measured(SequentialConfig(size=26), data, {1: 67.6, 8: 60.84})
    for result in small["results"]:
        result["errors_clustered_by"] = "alphabet"
    write(tmp_path, "few", small, "oneshot train --dataset omniglot --split strong-45-5")
    text = page(tmp_path)
    ours = row(text, "`few`, strong-45-5, 1,234 test")
    absent = "not measured"
    assert ours[1:5] == ["0.1000 ± 0.0010", absent, absent, "0.0900 ± 0.0009"]
    assert row(text, "attention PixelCNN")[1:5] == ["0.071", "", "", "0.064"]
    assert row(text, "variational memory addressing")[1:5] == ["0.128", "", "", ""]


def test_refined_posteriors_stand_beside_the_networks(tmp_path: Path) -> None:
    bounds = {"refined": 61.5, "network": 63.5, "difference": -2.0}
    rows = {
        name: {
            "refinement_steps": 50,
            "images": 300,
            "whole_set": {
                "elbo": figure(nats),
                "iwae": {"10": figure(1.0), "500": figure(nats - 6)},
            },
            "iwae": {"10": {}, "500": {}},
        }
        for name, nats in bounds.items()
    }
    (tmp_path / "refined").mkdir()
    (tmp_path / "recipes.json").write_text("{}")
    document = {"results": [rows["network"], rows["refined"]], "differences": [rows["difference"]]}
    (tmp_path / "refined" / "some.json").write_text(json.dumps(document))
    cells = row(page(tmp_path), "`some`")
    assert [cell.partition(" ")[0] for cell in cells[1:7]] == [
        *("63.50", "61.50", "-2.00"),
        *("57.50", "55.50", "-8.00"),
    ]
    assert cells[7] == "50 steps, gain on 300"
    for results in ([], [rows["network"]], [{**rows["network"], "iwae": {}}, rows["refined"]]):
        (tmp_path / "refined" / "some.json").write_text(
            json.dumps({**document, "results": results})
        )
        with pytest.raises(SystemExit, match=r"some\.json"):
            page(tmp_path)


@pytest.mark.parametrize("mistake", ["recipe", "file", "data", "split", "several"])
def test_nothing_is_left_out_silently(tmp_path: Path, mistake: str) -> None:
    content = measured(VAEConfig(), MNIST, {0: 90.0})
    command: str | None = "oneshot train --model vae"
    if mistake == "data":
        content["checkpoints"][0]["measured_on"] = {**MNIST, "dataset": "cifar10"}
    if mistake == "split":
        content["checkpoints"][0]["measured_on"] = {**MNIST, "dataset": "omniglot", "split": "all"}
    if mistake == "several":
        content["checkpoints"] *= 2
    write(tmp_path, "x", content, None if mistake == "recipe" else command)
    if mistake == "file":
        (tmp_path / "x.json").unlink()
    with pytest.raises(SystemExit, match="x"):
        page(tmp_path)


def test_published_rows_name_presets_that_there_are() -> None:
    named = [row.preset for table in tables().values() for row in table.rows if row.preset]
    assert set(named) <= set(PRESETS)
    assert len(named) == len(set(named))
    assert {name for name in PRESETS if PRESETS[name].task == 1} - set(named) == {"vae"}
    flagship = SequentialConfig(prior="learned", output="residual")
    assert asdict(SequentialConfig(**PRESETS["flagship"].model)) == asdict(flagship)


def test_the_table_of_reading_is_that_of_its_results() -> None:
    page = (DOCS / "reading.md").read_text(encoding="utf-8")
    made = runpy.run_path(str(DOCS / "make_reading.py"))["with_table"](page)
    assert made == page, "run docs/make_reading.py"
