"""`oneshot eval-nll`: figures that equal the bounds they are made of, and questions it refuses."""

from __future__ import annotations

import csv
import json
import math
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from tiny import tiny_model
from typer.testing import CliRunner

from oneshot_cli import checkpoint, data
from oneshot_cli.cli.app import app
from oneshot_cli.errors import OneshotError
from oneshot_cli.evaluation import nll
from oneshot_cli.evaluation.bounds import evaluate
from oneshot_cli.evaluation.per_image import Figure, PerImage
from oneshot_cli.evaluation.plots import likelihood_plot
from oneshot_cli.evaluation.refinement import refine
from oneshot_cli.evaluation.standard_errors import standard_error
from oneshot_cli.model import VAEConfig, build
from oneshot_cli.model.config import NADEConfig
from oneshot_cli.paths import display_path
from oneshot_cli.reporting import Reporter
from oneshot_cli.workflows import nll as likelihoods


def run(*arguments: object) -> tuple[int, str, str]:
    result = CliRunner().invoke(app, ["eval-nll", *map(str, arguments)])
    return result.exit_code, result.stdout, result.stderr


@pytest.fixture(scope="module")
def glyphs_checkpoint(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return saved(tmp_path_factory.mktemp("model") / "tiny.safetensors")


def saved(path: Path, **training: object) -> Path:
    model = tiny_model(size=28)
    header = checkpoint.Header(
        config=model.config,
        data={"dataset": "glyphs", "split": "weak", "size": 28},
        training=training,
    )
    checkpoint.save(path, model, header)
    return path


QUICK = ["--limit", 30, "--particles", "1,4"]


def test_figures_are_means_of_the_bounds(glyphs_checkpoint: Path) -> None:
    code, stdout, stderr = run(glyphs_checkpoint, *QUICK, "--json")
    assert code == 0, stderr
    found = json.loads(stdout)["results"][0]
    model, _ = checkpoint.load(glyphs_checkpoint)
    drawings = data.load("glyphs", split="weak", part="test", size=28)
    index = nll.spread_over(len(drawings), 30)
    expected = evaluate(model, drawings, index=index, particles=4)
    assert found["images"] == 30
    for key, values in (
        ("elbo", expected.elbo),
        ("reconstruction", expected.log_likelihood),
        ("kl", -expected.kl_per_step.sum(1)),
    ):
        assert found[key]["nats"] == pytest.approx(-values.mean().item(), abs=1e-3)
        error = values.std().item() / math.sqrt(30)
        assert found[key]["naive_standard_error"] == pytest.approx(error, abs=1e-3)
        clustered = standard_error(values, drawings.character[index])
        assert found[key]["standard_error"] == pytest.approx(clustered, abs=1e-3)
        assert found["errors_clustered_by"] == "character"
    bound = found["iwae"]["4"]["nats"]
    assert bound == pytest.approx(-expected.iwae.mean().item(), abs=1e-3)
    assert bound < found["elbo"]["nats"]
    assert found["bits_per_pixel"] == pytest.approx(bound / 784 / math.log(2), abs=1e-4)
    assert sum(found["kl_per_step"]) == pytest.approx(found["kl"]["nats"], abs=1e-3)
    total = found["reconstruction"]["nats"] + found["kl"]["nats"]
    assert found["elbo"]["nats"] == pytest.approx(total, abs=1e-3)


def test_batches_change_nothing_but_contexts_and_parts_do(glyphs_checkpoint: Path) -> None:
    few = [glyphs_checkpoint, "--limit", 12, "--particles", "1", "--json"]
    rows = json.loads(run(*few, "--context", "0,1,2", "--part", "both")[1])["results"]
    assert [(r["part"], r["context_images"]) for r in rows] == [
        (part, context) for part in ("test", "train") for context in (0, 1, 2)
    ]
    assert len({r["elbo"]["nats"] for r in rows}) == 6
    small = json.loads(run(*few, "--context", "1", "--batch", "5")[1])["results"][0]
    assert small["elbo"]["nats"] == pytest.approx(rows[1]["elbo"]["nats"], abs=1e-3)


def test_the_gap_is_what_training_images_have_over_held_out_ones(glyphs_checkpoint: Path) -> None:
    few = [glyphs_checkpoint, "--limit", 12, "--particles", "1,3", "--context", "0,1"]
    found = json.loads(run(*few, "--part", "both", "--json")[1])
    assert [gap["context_images"] for gap in found["gaps"]] == [0, 1]
    test, train = (
        next(r for r in found["results"] if (r["part"], r["context_images"]) == (part, 1))
        for part in ("test", "train")
    )
    for gap, ours, theirs in (
        (found["gaps"][1]["elbo"], test["elbo"], train["elbo"]),
        (found["gaps"][1]["iwae"]["3"], test["iwae"]["3"], train["iwae"]["3"]),
    ):
        assert gap["nats"] == pytest.approx(ours["nats"] - theirs["nats"], abs=1e-3)
        error = math.hypot(ours["standard_error"], theirs["standard_error"])
        assert gap["standard_error"] == pytest.approx(error, abs=1e-3)
    assert "test - train" in run(*few, "--part", "both")[1]
    alone = json.loads(run(*few, "--part", "train", "--json")[1])
    assert alone["gaps"] == []


def test_active_latents_and_kl_of_each_step_are_told(
    glyphs_checkpoint: Path, tmp_path: Path
) -> None:
    model: Any
    model, header = checkpoint.load(glyphs_checkpoint)
    model.posterior.output.weight[0] *= 200  # the first of two latents: it tells drawings apart
    awake, table = tmp_path / "awake.safetensors", tmp_path / "rows.csv"
    checkpoint.save(awake, model, header)
    drawings = data.load("glyphs", split="weak", part="test", size=28)
    index = nll.spread_over(len(drawings), 30)
    report = evaluate(model, drawings, index=index, particles=4)
    expected = report.activity.active(model.latents)
    assert expected == (1, 1, 1)
    options = [awake, "--limit", 30, "--csv", table, "--force"]
    found = json.loads(run(*options, "--particles", "1,4", "--json")[1])["results"][0]
    assert found["active_latents_per_step"] == list(expected)
    assert (found["active_latents"], found["latents"]) == (sum(expected), 6)
    row = next(csv.DictReader(table.read_text().splitlines()))
    assert (row["active_latents"], row["latents"]) == (str(sum(expected)), "6")
    text = run(*options, "--particles", "1,4")[1]
    assert f"{sum(expected)} of 6" in text
    assert " ".join(f"{kl:.1f}" for kl in found["kl_per_step"]) in text
    alone = run(*options, "--particles", "1")[1]
    assert "- of 6" in alone, "one particle cannot tell"
    assert next(csv.DictReader(table.read_text().splitlines()))["active_latents"] == ""


def test_json_says_what_was_measured_on_what(glyphs_checkpoint: Path) -> None:
    found = json.loads(run(glyphs_checkpoint, *QUICK, "--json")[1])["checkpoints"]
    header = checkpoint.read_header(glyphs_checkpoint)
    assert found == [
        {
            "checkpoint": str(glyphs_checkpoint),
            "model": {"kind": "sequential", **header.config.to_dict()},
            "training": header.training,
            "trained_on": header.data,
            "measured_on": {"dataset": "glyphs", "split": "weak", "size": 28, "resample": "area"},
        }
    ]


def test_a_checkpoint_in_the_working_folder_is_named_from_there(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """So that figures can be kept without saying where they were made."""
    monkeypatch.chdir(tmp_path)
    assert display_path(tmp_path / "runs" / "last.safetensors") == str(
        Path("runs/last.safetensors")
    )
    assert display_path(tmp_path.parent / "last.safetensors") == str(
        tmp_path.parent / "last.safetensors"
    )


def test_checkpoints_of_one_name_are_told_apart() -> None:
    def short(*paths: str) -> list[str]:
        figure = Figure(1.0, 0.1, 0.1)
        each = PerImage("", torch.arange(0), torch.arange(0), torch.empty(0))
        shared: Any = (figure, figure, figure, {}, (1.0,), (2,), None, "image", 0, each)
        rows = [nll.Nll(path, "test", 0, 9, 64, *shared) for path in paths]
        return list(nll.short_names(rows).values())

    assert short("runs/a/last.safetensors") == ["last"]
    assert short("runs/a/last.safetensors", "runs/b/best.safetensors") == ["last", "best"]
    assert short("runs/a/last.safetensors", "runs/b/last.safetensors") == ["a/last", "b/last"]
    assert short("/x/a/last.safetensors", "a/last.safetensors") == ["x/a/last", "a/last"]


def test_the_difference_of_two_checkpoints_is_paired(
    glyphs_checkpoint: Path, tmp_path: Path
) -> None:
    near, header = checkpoint.load(glyphs_checkpoint)
    with torch.no_grad():
        for weight in near.parameters():
            weight.mul_(1.001)
    other = tmp_path / "near.safetensors"
    checkpoint.save(other, near, header)
    code, stdout, stderr = run(glyphs_checkpoint, other, *QUICK, "--json")
    assert code == 0, stderr
    found = json.loads(stdout)
    (difference,), (first, second) = found["differences"], found["results"]
    drawings = data.load("glyphs", split="weak", part="test", size=28)
    index = nll.spread_over(len(drawings), 30)
    both = [
        evaluate(model, drawings, index=index, particles=4).elbo.double()
        for model in (near, checkpoint.load(glyphs_checkpoint)[0])
    ]
    each = both[1] - both[0]
    assert difference["elbo"]["nats"] == pytest.approx(each.mean().item(), abs=1e-3)
    error = standard_error(each, drawings.character[index])
    assert difference["elbo"]["standard_error"] == pytest.approx(error, abs=1e-4)
    assert error < first["elbo"]["standard_error"] / 10
    gap = second["iwae"]["4"]["nats"] - first["iwae"]["4"]["nats"]
    assert difference["iwae"]["4"]["nats"] == pytest.approx(gap, abs=1e-3)
    assert (difference["checkpoint"], difference["minus"]) == (str(other), str(glyphs_checkpoint))


def test_the_bound_of_a_part_becomes_that_of_all_images(
    glyphs_checkpoint: Path, tmp_path: Path
) -> None:
    many = [glyphs_checkpoint, "--limit", 40, "--particles", "1,30"]
    found = json.loads(run(*many, "--json", "--csv", tmp_path / "table.csv")[1])["results"][0]
    model, _ = checkpoint.load(glyphs_checkpoint)
    drawings = data.load("glyphs", split="weak", part="test", size=28)
    every = evaluate(model, drawings, particles=1).elbo
    part = evaluate(model, drawings, index=nll.spread_over(len(drawings), 40), particles=30)
    whole = found["whole_set"]
    assert whole["images"] == len(drawings) > 40
    assert whole["elbo"]["nats"] == pytest.approx(-every.mean().item(), abs=1e-3)
    expected = -every.mean() - (part.iwae - part.elbo).mean()
    assert whole["iwae"]["30"]["nats"] == pytest.approx(expected.item(), abs=1e-3)
    assert f"all {len(drawings):,} images" in run(*many)[1]
    few = json.loads(run(glyphs_checkpoint, "--limit", 2, "--particles", "1,2", "--json")[1])
    assert few["results"][0]["whole_set"] is None, "it would take much longer than the part"
    assert found["nats_per_pixel"] == pytest.approx(whole["iwae"]["30"]["nats"] / 784, abs=1e-5)
    (row,) = csv.DictReader((tmp_path / "table.csv").read_text().splitlines())
    for prefix, given in (("", found), ("whole_set_", whole)):
        for name, figure in (("elbo", given["elbo"]), ("iwae_30", given["iwae"]["30"])):
            cells = [
                row[f"{prefix}{name}{end}"]
                for end in ("", "_standard_error", "_naive_standard_error")
            ]
            kinds = ("nats", "standard_error", "naive_standard_error")
            wanted = [figure[kind] for kind in kinds]
            assert [float(cell) for cell in cells] == pytest.approx(wanted, abs=1e-3)


@pytest.mark.parametrize(
    ("drawings", "limit", "particles", "pays"),
    [
        (310, 10, [1, 30], True),
        (311, 10, [1, 30], False),
        (310, 10, [30, 30, 1], True),
        (100, 100, [1, 30], False),
        (100, None, [1, 30], False),
        (100, 50, [1], False),
    ],
)
def test_all_images_are_measured_where_that_takes_no_longer_than_the_part(
    drawings: int, limit: int | None, particles: list[int], pays: bool
) -> None:
    assert nll.whole_set_pays(drawings, limit, particles) is pays


def test_the_seed_and_the_number_of_training_images(
    glyphs_checkpoint: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    few = [glyphs_checkpoint, "--limit", 12, "--particles", "1", "--json"]
    found = json.loads(run(*few, "--seed", 1)[1])["results"][0]
    model, _ = checkpoint.load(glyphs_checkpoint)
    drawings = data.load("glyphs", split="weak", part="test", size=28)
    index = nll.spread_over(len(drawings), 12)
    one, other = (
        -evaluate(model, drawings, index=index, particles=1, seed=seed).elbo.mean().item()
        for seed in (0, 1)
    )
    assert found["elbo"]["nats"] == pytest.approx(other, abs=1e-4)
    assert abs(one - other) > 1e-3
    monkeypatch.setattr(likelihoods, "TRAINING_IMAGES", 5)
    train = run(glyphs_checkpoint, "--part", "train", "--particles", "1", "--json")[1]
    assert json.loads(train)["results"][0]["images"] == 5


def test_refined_posteriors_have_rows_of_their_own(glyphs_checkpoint: Path, tmp_path: Path) -> None:
    """Beside the usual rows, which stay the same, and with their paired difference."""
    many = [glyphs_checkpoint, "--limit", 40, "--particles", "1,30"]
    (alone,) = json.loads(run(*many, "--json")[1])["results"]
    table = tmp_path / "rows.csv"
    code, stdout, stderr = run(*many, "--refine", 8, "--csv", table, "--json")
    assert code == 0, stderr
    found = json.loads(stdout)
    usual, refined = found["results"]
    assert usual == alone
    assert (usual["refinement_steps"], refined["refinement_steps"]) == (0, 8)
    model, _ = checkpoint.load(glyphs_checkpoint)
    drawings = data.load("glyphs", split="weak", part="test", size=28)
    index = nll.spread_over(len(drawings), 40)
    proposals = refine(model, drawings, steps=8, index=index)
    expected = evaluate(model, drawings, index=index, proposals=proposals, particles=30)
    assert refined["elbo"]["nats"] == pytest.approx(-expected.elbo.mean().item(), abs=1e-2)
    assert refined["iwae"]["30"]["nats"] == pytest.approx(-expected.iwae.mean().item(), abs=1e-2)
    assert refined["elbo"]["nats"] < usual["elbo"]["nats"]
    (difference,) = found["differences"]
    assert (difference["refinement_steps"], difference["minus_refinement_steps"]) == (8, 0)
    gain = refined["elbo"]["nats"] - usual["elbo"]["nats"]
    assert difference["elbo"]["nats"] == pytest.approx(gain, abs=1e-3)
    whole = [row["whole_set"]["elbo"]["nats"] for row in (usual, refined)]
    assert whole[1] - whole[0] == pytest.approx(gain, abs=1e-3)
    rows = list(csv.DictReader(table.read_text().splitlines()))
    assert [row["refinement_steps"] for row in rows] == ["0", "8"]
    shown = run(*many, "--refine", 8)[1]
    for words in ("refined 8", "network", "fitted by N steps"):
        assert words in shown


def test_nothing_is_measured_if_a_model_cannot_be_refined(
    glyphs_checkpoint: Path, tmp_path: Path
) -> None:
    exact = tmp_path / "nade.safetensors"
    model = build(NADEConfig(size=28, hidden=3))
    header = checkpoint.Header(
        config=model.config, data={"dataset": "glyphs", "split": "weak", "size": 28}
    )
    checkpoint.save(exact, model, header)
    with pytest.raises(OneshotError, match="no latents"):
        likelihoods.nll([glyphs_checkpoint, exact], refine=2, limit=2, reporter=Unused())


class Unused(Reporter):
    """Fails if something is measured."""

    def progress(self, *_: object) -> Any:
        raise AssertionError("it was measured")


def test_the_plot_tells_refined_rows_from_the_others(glyphs_checkpoint: Path) -> None:
    found = likelihoods.nll([glyphs_checkpoint], refine=1, limit=4, particles=[1])
    (axis, *_) = likelihood_plot(found.rows, []).axes
    labels = [label.get_text() for label in axis.get_yticklabels()]
    assert labels == ["tiny test, context 1", "tiny test, context 1, refined 1"]


def test_compares_checkpoints_and_writes_files(glyphs_checkpoint: Path, tmp_path: Path) -> None:
    other = saved(tmp_path / "other.safetensors")
    table, plot = tmp_path / "rows.csv", tmp_path / "plot.png"
    files = ["--csv", table, "--plot", plot]
    code, stdout, stderr = run(glyphs_checkpoint, other, *QUICK, *files)
    assert code == 0, stderr
    assert "glyphs" in stdout
    rows = list(csv.DictReader(table.read_text().splitlines()))
    assert [Path(row["checkpoint"]).name for row in rows] == [
        "tiny.safetensors",
        "other.safetensors",
    ]
    assert float(rows[0]["iwae_4"]) < float(rows[0]["elbo"])
    assert plot.read_bytes().startswith(b"\x89PNG")
    code, _, stderr = run(other, *QUICK, *files)
    assert code == 1
    assert "--force" in stderr


def test_wrong_combinations_are_refused(glyphs_checkpoint: Path, tmp_path: Path) -> None:
    assert run(glyphs_checkpoint, "--particles", "0")[0] == 2
    assert run(glyphs_checkpoint, "--particles", "many")[0] == 2
    assert run(glyphs_checkpoint, "--context", "-1")[0] == 2
    code, _, stderr = run(glyphs_checkpoint, "--context", "99")
    assert code == 1
    assert "--context 99 needs 100 drawings" in stderr
    free = saved(tmp_path / "free.safetensors", tasks={"empty": 1.0})
    code, _, stderr = run(free, "--context", "1", *QUICK)
    assert code == 1
    assert "without a context" in stderr
    assert json.loads(run(free, *QUICK, "--json")[1])["results"][0]["context_images"] == 0
    code, _, stderr = run(glyphs_checkpoint, "--dataset", "nothing")
    assert code == 1
    assert "nothing" in stderr
    code, _, stderr = run(glyphs_checkpoint, "--dataset", "mnist", "--data-dir", tmp_path / "none")
    assert code == 1
    assert "t10k-images-idx3-ubyte.gz" in stderr
    assert f"not found in {tmp_path / 'none'}" in stderr


@pytest.mark.parametrize(
    ("config", "options", "words"),
    [
        (VAEConfig(size=28, channels=3, observation="logistic"), [], "in grey, but this model is"),
        (VAEConfig(size=28, observation="logistic"), [], "images that are binary"),
        (VAEConfig(size=28), ["--context", "1"], "this vae has no context"),
    ],
)
def test_a_checkpoint_of_other_images_or_without_a_context_is_refused(
    tmp_path: Path, config: VAEConfig, options: list[str], words: str
) -> None:
    path = tmp_path / "other.safetensors"
    source = {"dataset": "cifar10", "split": "official", "size": 28}
    checkpoint.save(path, build(config), checkpoint.Header(config=config, data=source))
    code, _, stderr = run(path, "--dataset", "glyphs", *options, *QUICK)
    assert code == 1
    assert words in stderr


def test_all_checkpoints_are_there_before_the_first_is_measured(
    glyphs_checkpoint: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(likelihoods, "measure", lambda *_, **__: pytest.fail("measured"))
    code, _, stderr = run(glyphs_checkpoint, tmp_path / "missing.safetensors", *QUICK)
    assert code == 1
    assert "missing.safetensors: there is no such checkpoint" in stderr


def test_only_images_of_the_models_kind_fit() -> None:
    config = tiny_model(size=28).config
    glyphs = data.load("glyphs", split="weak", part="test", size=28)
    grey = replace(glyphs, levels=256)
    colour = replace(glyphs, images=glyphs.images[:, None].expand(-1, 3, -1, -1), levels=256)
    assert torch.equal(nll.fitting(glyphs, "glyphs", 1, config).images, glyphs.images)
    for observation in ("logistic", "logistic-mixture"):
        assert nll.fitting(grey, "faces", 0, replace(config, observation=observation)) is grey
    dynamic = nll.fitting(replace(grey, dynamic=True), "digits", 0, config)
    assert set(dynamic.images.unique().tolist()) <= {0, 1}
    for drawings, model, words in (
        (grey, config, "of 256 levels"),
        (glyphs, replace(config, observation="logistic"), "that are binary"),
        (colour, config, "in colour"),
        (glyphs, replace(config, channels=3), "of colour images"),
        (glyphs, replace(config, size=52), "28 pixels wide"),
        (glyphs, replace(config, conditional=False), "--context 0"),
    ):
        with pytest.raises(OneshotError, match=words):
            nll.fitting(drawings, "pictures", 1, model)


def test_published_tables_stand_beside_the_same_data_only() -> None:
    def titles(*source: object) -> list[str]:
        return [table.protocol for table in nll.published_beside(*source)]  # type: ignore[arg-type]

    assert titles("omniglot", "weak", 28, "area") == []
    assert "chardata.mat" in titles("omniglot-burda", "official", 28, "area")[0]
    assert "max pooling" in titles("omniglot", "strong-45-5", 26, "max")[0]
    assert "dynamic" in titles("mnist", "official", 28, "area")[1]
    assert titles("mnist", "official", 28, "area", "threshold") == []


def test_no_result_replaces_another_or_what_was_measured(
    glyphs_checkpoint: Path, tmp_path: Path
) -> None:
    same = tmp_path / "same.out"
    code, _, stderr = run(glyphs_checkpoint, *QUICK, "--csv", same, "--plot", same)
    assert code == 1
    assert "named for two results" in stderr
    assert not same.exists()
    before = glyphs_checkpoint.read_bytes()
    code, _, stderr = run(glyphs_checkpoint, *QUICK, "--csv", glyphs_checkpoint, "--force")
    assert code == 1
    assert "is read, and would be overwritten" in stderr
    assert glyphs_checkpoint.read_bytes() == before
