"""Each named model trains, resumes, measures, samples and traces, made tiny."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from tiny import small, tiny_drawings

from oneshot_cli import checkpoint, data
from oneshot_cli.cli.train import train
from oneshot_cli.data.drawings import Drawings
from oneshot_cli.data.spec import DataSpec
from oneshot_cli.errors import OneshotError, UsageError
from oneshot_cli.experiment import Experiment
from oneshot_cli.model import Config, Context
from oneshot_cli.model.registry import MODELS, config_from
from oneshot_cli.presets import PRESETS
from oneshot_cli.training.config import TrainConfig
from oneshot_cli.training.folder import RunFolder
from oneshot_cli.training.loop import Intervals
from oneshot_cli.training.training_data import TrainingData, load_training_data
from oneshot_cli.workflows import prepare
from oneshot_cli.workflows.prepare import DataChoice, data_spec
from oneshot_cli.workflows.train import RunOptions, trainer

CONDITIONAL = ("flagship", "paper")


def planned(
    name: str, overrides: dict[str, str], task: int | None, drawings: Drawings, **training: Any
) -> tuple[Config, TrainConfig]:
    """What `oneshot train` makes of its options and data."""
    chosen = {**training, **overrides}
    model, trained = prepare.configurations(prepare.named_preset(name), chosen, task)
    return prepare.adapted_to_data(model, TrainingData(drawings, drawings), chosen), trained


def run_of(folder: Path, name: str, drawings: Drawings, iterations: int) -> Any:
    """A run of a preset on `drawings`, as `oneshot train` would make it."""
    model, training = planned(name, small(name), None, drawings, batch=3, particles=2, kl_warmup=0)
    training = replace(training, iterations=iterations, evaluation_drawings=3)
    spec = DataSpec("tiny", "weak", drawings.size)
    plan = Experiment(model, training, spec)
    intervals = Intervals(log=1, evaluate=50, save=50, sample=50)
    loaded = TrainingData(drawings, drawings)
    return plan, trainer(RunFolder(folder), plan, loaded, RunOptions(intervals=intervals))


@pytest.mark.parametrize("name", PRESETS)
def test_a_preset_trains_resumes_samples_and_traces(tmp_path: Path, name: str) -> None:
    plan, run = run_of(tmp_path, name, tiny_drawings(), 2)
    assert run.fit() == "done"
    plan.write(run.folder.config)
    assert run.folder.experiment() == plan
    _, again = run_of(tmp_path, name, tiny_drawings(), 4)
    again.resume()
    assert again.counters.step == 2
    assert again.fit() == "done"
    assert np.isfinite(again.figures["validation_bound"])
    assert again.figures["context_images"] == int(name in CONDITIONAL)

    model, header = checkpoint.load(tmp_path / "last.safetensors")
    assert header.model == PRESETS[name].kind
    assert header.config == plan.model
    assert model.config.conditional == (name in CONDITIONAL)
    context = Context.empty(3, 8)
    noise = torch.randn(3, *model.noise_shape, generator=torch.Generator().manual_seed(0))
    with torch.inference_mode():
        drawn = model.sample(context, noise, size=10)
        trace = model.trace(context, noise, size=10)
    assert drawn.shape == (3, 1, 10, 10)
    assert trace.pictures.shape[:2] == (3, model.config.steps)
    torch.testing.assert_close(trace.probabilities, drawn)


def test_presets_are_the_rows_of_the_tables() -> None:
    """Every preset has its fields, and the settings that the papers name."""
    drawings = tiny_drawings()
    built = {name: planned(name, {}, None, drawings) for name in PRESETS}
    for name, (attention, canvas, steps) in {
        "st-cgru-80": ("spatial-transformer", "gated", 80),
        "st-add-80": ("spatial-transformer", "additive", 80),
        "st-cgru-30": ("spatial-transformer", "gated", 30),
        "st-add-30": ("spatial-transformer", "additive", 30),
        "fc-cgru-80": ("fully-connected", "gated", 80),
        "draw-64-gauss": ("gaussian", None, 64),
        "draw-64-noattn": ("fully-connected", None, 64),
    }.items():
        model, training = built[name]
        fields = model.to_dict()
        assert (fields["attention"], fields["steps"]) == (attention, steps)
        assert fields.get("canvas") == canvas
        assert training.tasks.empty == 1
    paper = built["paper"][0].to_dict()
    assert [paper[n] for n in ("latent", "hidden", "glimpse", "patch", "canvas_channels")] == [
        4,
        400,
        12,
        12,
        4,
    ]
    assert paper["image_encoder_units"] == 0
    assert paper["attention"] == "free-transformer"
    assert built["iwae-2l-50"][0].to_dict()["activation"] == "tanh"
    assert built["iwae-2l-50"][1].particles == 50
    assert built["iwae-2l-50"][0].steps == 2
    assert built["flagship"][1].tasks.empty == 0.1


def test_no_preset_has_the_limits_of_gradients_that_starve() -> None:
    """docs/recipe.md: an ordinary example at 52 x 52 has a norm of 100 and more."""
    for name in PRESETS:
        _, training = prepare.configurations(prepare.named_preset(name), {})
        assert (training.clip, training.step_clip) == (1000, 2000), name


def test_the_data_decide_channels_observation_and_ink() -> None:
    binary = tiny_drawings()
    grey = replace(binary, images=binary.images * 200, levels=256)
    colour = replace(grey, images=grey.images[:, None].expand(-1, 3, -1, -1))
    dynamic = replace(grey, dynamic=True)
    for drawings, channels, observation in (
        (binary, 1, "bernoulli"),
        (dynamic, 1, "bernoulli"),
        (grey, 1, "logistic"),
        (colour, 3, "logistic"),
    ):
        model, _ = planned("vae", {}, None, drawings)
        assert (model.channels, model.observation, model.size) == (channels, observation, 8)
        assert model.ink == pytest.approx(
            drawings.images.float().mean().item() / (drawings.levels - 1), abs=1e-3
        )


def test_an_observation_of_other_images_is_refused() -> None:
    binary = tiny_drawings()
    grey = replace(binary, images=binary.images * 200, levels=256)
    for drawings, observation, words in (
        (binary, "logistic", "the images are binary"),
        (replace(grey, dynamic=True), "logistic", "the images are binary"),
        (grey, "bernoulli", "the images are of 256 levels"),
    ):
        with pytest.raises(UsageError, match=words):
            planned("vae", {"observation": observation}, None, drawings)
    for observation in ("logistic", "logistic-mixture"):
        model, _ = planned("vae", {"observation": observation}, None, grey)
        assert model.observation == observation


@pytest.mark.parametrize("name", ["st-add-30", "draw-64-gauss", "vae", "paper"])
def test_colour_and_grey_train(tmp_path: Path, name: str) -> None:
    binary = tiny_drawings()
    colour = torch.rand(len(binary), 3, 8, 8, generator=torch.Generator().manual_seed(0))
    drawings = replace(binary, images=(255 * colour).to(torch.uint8), levels=256)
    _, run = run_of(tmp_path, name, drawings, 2)
    assert run.fit() == "done"
    assert np.isfinite(run.figures["validation_bound"])
    from oneshot_cli.training.progress_sheet import progress_sheet

    sheet = progress_sheet(run.average.model, drawings.pictures(torch.arange(2)), rows=2)
    assert len(np.unique(np.asarray(sheet).reshape(-1, 3), axis=0)) > 3


def test_fields_are_overridden_and_mistakes_are_told() -> None:
    drawings = tiny_drawings()
    model, training = planned(
        "st-add-30",
        {"steps": "5", "read_scale": "0.7", "weight_decay": "0.5", "betas": "0.5,0.9", "seed": "7"},
        None,
        drawings,
        objective="elbo",
        particles=3,
        seed=0,
    )
    assert (model.steps, model.to_dict()["read_scale"]) == (5, 0.7)
    assert (training.weight_decay, training.betas) == (0.5, (0.5, 0.9))
    assert (training.objective, training.particles, training.seed) == ("elbo", 3, 7)
    conditional, mixed = planned("st-add-30", {}, 2, drawings)
    assert conditional.conditional
    assert mixed.tasks.empty == 0
    darker, _ = planned("vae", {"ink": "0.4"}, None, drawings)
    assert darker.ink == 0.4
    alone, _ = planned("flagship", {}, 1, drawings)
    assert not alone.conditional
    for name, fields, task, message in (
        ("nonsense", {}, None, "nonsense"),
        ("vae", {"canvas": "gated"}, None, "no field 'canvas'"),
        ("vae", {"steps": "3"}, None, "no field 'steps'"),
        ("vae", {}, 2, "has no context"),
        ("vae", {"latent": "3,x"}, None, "latent"),
        ("vae", {"activation": "step"}, None, "silu or tanh"),
        ("draw-64-gauss", {"attention": "none"}, None, "attention"),
        ("st-add-30", {"conditional": "perhaps"}, None, "conditional"),
        ("st-add-30", {"hidden": "0"}, None, "hidden"),
        ("st-add-30", {"objective": "loss"}, None, "objective"),
        ("vae", {"channels": "3"}, None, "channels is determined by the data"),
        ("draw-64-gauss", {"size": "14"}, None, "size is determined by the data"),
    ):
        with pytest.raises(UsageError, match=message):
            prepare.configurations(prepare.named_preset(name), fields, task)


def test_what_a_run_says_of_its_data() -> None:
    assert data_spec(DataChoice("mnist")).to_dict() == {
        "dataset": "mnist",
        "split": "official",
        "size": 28,
        "binarization": "dynamic",
        "validation": 0.03,
    }
    assert data_spec(DataChoice("mnist", binarization="static")).dataset == "mnist-static"
    assert data_spec(DataChoice("cifar10")).size == 32
    assert data_spec(DataChoice("omniglot", "strong-45-5", "26")).to_dict() == {
        "dataset": "omniglot",
        "split": "strong-45-5",
        "size": 26,
        "validation": 0.03,
    }
    with pytest.raises(OneshotError, match="binarization"):
        data_spec(DataChoice("omniglot", binarization="dynamic"))


def test_a_run_of_an_older_toolkit_resumes(tmp_path: Path) -> None:
    """config.json without the kind of model and the fields added later."""
    plan, run = run_of(tmp_path, "flagship", tiny_drawings(), 2)
    run.fit()
    fields = plan.to_dict()
    for later in ("kind", "channels", "observation", "attention", "conditional"):
        fields["model"].pop(later)
    fields["training"].pop("objective")
    run.folder.config.write_text(json.dumps(fields))
    assert run.folder.experiment() == plan
    header = json.loads(checkpoint.read_header(run.folder.last).to_json())
    assert header["model"] == "sequential"
    assert config_from("sequential", fields["model"]) == plan.model


def test_an_unknown_kind_of_model_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="hologram"):
        config_from("hologram", {})
    folder = RunFolder(tmp_path)
    content = {"model": {"kind": "hologram"}, "training": {}, "data": {}}
    folder.config.write_text(json.dumps(content))
    with pytest.raises(OneshotError, match="hologram"):
        folder.experiment()
    assert set(MODELS) == {preset.kind for preset in PRESETS.values()}


def test_mnist_from_the_command_line(tmp_path: Path, real_data: Path) -> None:
    """The official digits, binarized anew at each visit, and a figure on the fixed test set."""
    output = tmp_path / "run"
    options: dict[str, Any] = {
        "dataset": "mnist",
        "binarization": "dynamic",
        "model": "st-add-30",
        "data_dir": real_data,
        "threads": 1,
        "batch": 4,
        "eval_drawings": 5,
        "steps": "2",
        "hidden": "8",
        "quiet": True,
    }
    train(output=output, iterations=2, **options)
    train(output=output, resume=True, iterations=3, data_dir=real_data, quiet=True)
    model, header = checkpoint.load(output / "last.safetensors")
    assert header.data["binarization"] == "dynamic"
    assert header.training["step"] == 3
    assert model.config.ink == pytest.approx(0.131, abs=2e-3)
    assert header.figures["context_images"] == 0


def test_dynamic_binarization_is_a_new_draw_of_the_grey_value(real_data: Path) -> None:
    drawings = data.load("mnist", data_dir=real_data, binarization="dynamic")
    assert drawings.dynamic
    index = torch.zeros(4000, dtype=torch.long)
    grey = drawings.images[0].float() / 255
    visits = drawings.visit(index, torch.Generator().manual_seed(0))
    assert set(visits.unique().tolist()) == {0.0, 1.0}
    assert (visits.mean(0) - grey).abs().max() < 5 * 0.5 / 4000**0.5


def test_grey_data_cannot_be_augmented(real_data: Path) -> None:
    spec = data_spec(DataChoice("mnist"))
    with pytest.raises(OneshotError, match="augmentation"):
        load_training_data(spec, augmented=True, data_dir=real_data)
