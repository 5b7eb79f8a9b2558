"""`oneshot export --onnx`: onnxruntime draws what oneshot draws."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from commands import document, oneshot
from PIL import Image
from tiny import images, noise, tiny_model

from oneshot_cli import checkpoint, load
from oneshot_cli.drawing.oneshot import ALPHABET_SPREAD, Oneshot
from oneshot_cli.drawing.variations import VariationInputs, contexts_of, noise_for
from oneshot_cli.model import Context, build
from oneshot_cli.model.registry import config_from
from oneshot_cli.workflows.export import TORCH, onnx_model

onnxruntime = pytest.importorskip("onnxruntime")
pytest.importorskip("onnxscript")
pytestmark = pytest.mark.skipif(torch.__version__ < TORCH, reason="this torch cannot export")

DOCS = Path(__file__).parents[2] / "docs"
LETTERS = sorted((DOCS / "exemplars").glob("omniglot-*.png"))


def numpy(**inputs: torch.Tensor) -> dict[str, Any]:
    return {name: value.numpy() for name, value in inputs.items()}


def drawn(session: Any, **inputs: torch.Tensor) -> torch.Tensor:
    return torch.from_numpy(session.run(["ink"], numpy(**inputs))[0])


def session_of(model: Oneshot, size: int | None = None) -> Any:
    return onnxruntime.InferenceSession(onnx_model(model, size).SerializeToString())


@pytest.fixture(scope="module")
def flagship() -> Oneshot:
    return load(device="cpu")


@pytest.fixture(scope="module")
def file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The flagship, exported by the command."""
    path = tmp_path_factory.mktemp("export") / "omniglot.onnx"
    result = document(oneshot("export", "--onnx", "-o", path, "--json"))
    assert result["file"] == str(path)
    assert result["inputs"]["noise"] == ["batch", 20, 16]
    assert result["outputs"] == {"ink": ["batch", 1, 52, 52]}
    return path


@pytest.fixture(scope="module")
def session(file: Path) -> Any:
    return onnxruntime.InferenceSession(file)


def test_variations_are_those_of_vary(session: Any, flagship: Oneshot) -> None:
    n = 5
    exemplars = flagship.read(str(LETTERS[0]))
    inputs = VariationInputs.of([exemplars], n, 3, (20, 16))
    context, target = inputs.deformed(torch.arange(n), flagship.spread)
    found = drawn(
        session,
        exemplars=context.images,
        mask=context.mask,
        alphabet=context.alphabet,
        target=target,
        noise=flagship.spread * inputs.noise,
        closeness=torch.full((n,), flagship.closeness),
    )
    wanted = flagship.vary(str(LETTERS[0]), n, seed=3)
    assert wanted.sum((1, 2, 3)).min() > 50, "there is something to compare"
    torch.testing.assert_close(found, wanted, atol=1e-4, rtol=0)


def test_new_characters_are_those_of_alphabet(session: Any, flagship: Oneshot) -> None:
    """Several exemplars, one of them masked, and no target."""
    n, members = 2, len(LETTERS)
    exemplars = flagship.read([str(path) for path in LETTERS])
    noise = noise_for((20, 16), "alphabet", 0, exemplars, range(n))
    context = contexts_of([exemplars], n, torch.device("cpu"), alphabet=True)
    wanted = flagship.model.sample(context, ALPHABET_SPREAD * noise)
    padding = torch.ones(n, 1, 1, 52, 52)
    found = drawn(
        session,
        exemplars=torch.cat([context.images, padding], 1),
        mask=torch.tensor([[True] * members + [False]] * n),
        alphabet=context.alphabet,
        target=torch.zeros(n, 1, 52, 52),
        noise=ALPHABET_SPREAD * noise,
        closeness=torch.zeros(n),
    )
    torch.testing.assert_close(found, wanted, atol=1e-4, rtol=0)


def test_samples_are_those_of_sample(session: Any, flagship: Oneshot) -> None:
    n = 3
    found = drawn(
        session,
        exemplars=torch.zeros(n, 1, 1, 52, 52),
        mask=torch.zeros(n, 1, dtype=torch.bool),
        alphabet=torch.zeros(n, dtype=torch.bool),
        target=torch.zeros(n, 1, 52, 52),
        noise=noise_for((20, 16), "sample", 1, None, range(n)),
        closeness=torch.zeros(n),
    )
    torch.testing.assert_close(found, flagship.sample(n, seed=1), atol=1e-4, rtol=0)


def test_the_example_of_the_page_draws_without_torch(file: Path, tmp_path: Path) -> None:
    shutil.copy(file, tmp_path)
    shutil.copy(LETTERS[0], tmp_path / "glyph.png")
    (example,) = re.findall(r"^```python\n(.*?)^```", (DOCS / "export.md").read_text(), re.M | re.S)
    without = "import sys\nsys.modules['torch'] = sys.modules['oneshot_cli'] = None\n"
    done = subprocess.run(
        [sys.executable, "-c", without + example], cwd=tmp_path, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
    with Image.open(tmp_path / "variations.png") as picture:
        ink = ~np.asarray(picture).reshape(52, 10, 52)
    each = ink.sum((0, 2))
    assert ((each > 100) & (each < 800)).all(), each
    assert len(np.unique(ink.transpose(1, 0, 2).reshape(10, -1), axis=0)) == 10


def test_a_model_without_a_context_takes_noise_alone() -> None:
    model = tiny_model(conditional=False, prior="standard", output="residual")
    tiny = Oneshot(model.eval(), checkpoint.Header(config=model.config))
    noise = torch.randn(3, 3, 2, generator=torch.Generator().manual_seed(0))
    with torch.no_grad():
        wanted = model.sample(Context.empty(3, 8), noise, size=20)
    found = drawn(session_of(tiny, size=20), noise=noise)
    torch.testing.assert_close(found, wanted, atol=1e-4, rtol=0)


def test_a_model_that_reads_its_exemplars_as_they_are() -> None:
    """It has one size; the flagship smooths what it reads."""
    model = tiny_model().eval()
    tiny = Oneshot(model, checkpoint.Header(config=model.config))
    mask = torch.tensor([[True, True], [True, False], [False, False]])
    context = Context(images(3, 2), mask, torch.tensor([False, True, False]))
    given, target = noise(3, *model.noise_shape), images(3, seed=1)
    with torch.no_grad():
        wanted = model.sample(context, given, target=target, closeness=0.5)
    found = drawn(
        session_of(tiny),
        exemplars=context.images,
        mask=mask,
        alphabet=context.alphabet,
        target=target,
        noise=given,
        closeness=torch.full((3,), 0.5),
    )
    torch.testing.assert_close(found, wanted, atol=1e-4, rtol=0)


@pytest.mark.parametrize("preset", ["vae", "iwae-2l-50"])
def test_a_vae_can_be_exported(preset: str) -> None:
    latent = {"vae": (4,), "iwae-2l-50": (4, 3)}[preset]
    hidden = {"vae": (8,), "iwae-2l-50": (8, 6)}[preset]
    torch.manual_seed(0)
    model = build(config_from("vae", {"size": 8, "latent": latent, "hidden": hidden})).eval()
    noise = torch.randn(3, *model.noise_shape)
    with torch.no_grad():
        wanted = model.sample(Context.empty(3, 8), noise)
    found = drawn(session_of(Oneshot(model, checkpoint.Header(model.config))), noise=noise)
    torch.testing.assert_close(found, wanted, atol=1e-4, rtol=0)


@pytest.mark.parametrize("kind", ["draw", "nade"])
def test_a_model_that_cannot_be_exported_is_refused(kind: str, tmp_path: Path) -> None:
    config = config_from(kind, {"size": 8, "hidden": 8})
    path = tmp_path / "model.safetensors"
    checkpoint.save(path, build(config), checkpoint.Header(config=config))
    result = oneshot("export", path, "--onnx", "-o", tmp_path / "model.onnx", code=1)
    assert f"{kind} models cannot be exported" in result.stderr
    assert not (tmp_path / "model.onnx").exists()


def test_a_file_is_not_overwritten_unless_forced(tmp_path: Path) -> None:
    (tmp_path / "a.onnx").write_text("mine")
    result = oneshot("export", "--onnx", "-o", tmp_path / "a.onnx", code=1)
    assert "exists already" in result.stderr
    assert (tmp_path / "a.onnx").read_text() == "mine"
    result = oneshot("export", "--onnx", "-f", "-o", tmp_path, code=1)
    assert "is a folder" in result.stderr


def test_the_format_has_to_be_said(tmp_path: Path) -> None:
    assert "--onnx" in oneshot("export", code=2).stderr
