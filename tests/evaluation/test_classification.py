"""One-shot classification: the official runs as they are, seeded ones as they should be."""

from __future__ import annotations

import io
import os
import zipfile
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from tiny import tiny_model

from oneshot_cli.checkpoint import UNRECORDED
from oneshot_cli.data.drawings import Drawings
from oneshot_cli.errors import OneshotError
from oneshot_cli.evaluation import classification as cl
from oneshot_cli.evaluation.critics import load_critic
from oneshot_cli.model import Bound, Context

OFFICIAL = Path(os.environ.get("ONESHOT_DATA", "")) / "omniglot" / "all_runs.zip"


def alphabets(letters: int = 22, people: int = 4) -> Drawings:
    """Two alphabets of `letters` characters; pixel 0 names the character, pixel 1 the person."""
    images = torch.zeros(2 * letters, people, 8, 8, dtype=torch.uint8)
    for c in range(2 * letters):
        images[c, :, 0, 0] = c
        images[c, :, 0, 1] = torch.arange(people)
    return Drawings(
        images=images.flatten(0, 1),
        character=torch.arange(2 * letters).repeat_interleave(people),
        alphabet=torch.arange(2).repeat_interleave(letters),
        characters=tuple(f"{a}/{c:02}" for a in "AB" for c in range(letters)),
        alphabets=("A", "B"),
    )


def test_seeded_runs_are_twenty_characters_of_one_alphabet_by_two_people() -> None:
    runs = cl.seeded_runs(alphabets(), runs=6, seed=3)
    assert runs.train.shape == (6, 20, 8, 8)
    for run in range(6):
        shown, asked = runs.train[run, :, 0, 0].long(), runs.test[run, :, 0, 0].long()
        assert len(shown.unique()) == 20
        assert len((shown // 22).unique()) == 1
        assert torch.equal(shown[runs.label[run]], asked)
        assert len(runs.train[run, :, 0, 1].unique()) == 1
        assert runs.train[run, 0, 0, 1] != runs.test[run, 0, 0, 1]
    again = cl.seeded_runs(alphabets(), runs=6, seed=3)
    assert torch.equal(again.test, runs.test)
    assert not torch.equal(cl.seeded_runs(alphabets(), runs=6, seed=4).test, runs.test)


def test_too_small_alphabets_are_an_error() -> None:
    with pytest.raises(OneshotError, match="20 characters"):
        cl.seeded_runs(alphabets(letters=8))


def test_classify_counts_errors() -> None:
    label = torch.tensor([[0, 1], [1, 0]])
    scores = torch.tensor([[[1.0, 0], [1, 0]], [[0, 1], [1, 0]]])
    found = cl.classify(scores, label)
    assert found.wrong.tolist() == [[False, True], [False, False]]
    assert found.error.value == pytest.approx(0.25)


def test_model_scores_are_the_bound_of_each_pair_whatever_the_batch(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    model = tiny_model(size=28)
    train, test = (torch.rand(2, 2, 3, 28, 28) > 0.9).to(torch.uint8).unbind(0)
    runs = cl.Runs(train, test, torch.zeros(2, 3, dtype=torch.long), "made up")
    seen: list[int] = []
    found = cl.model_scores(
        model, runs, particles=4, both_directions=True, batch=12, advance=seen.append
    )
    scores, backward = found.forward, found.backward
    assert backward is not None
    most: list[int] = []
    bound = model.bound

    def counted(x: torch.Tensor, context: Context, noise: torch.Tensor) -> Bound:
        most.append(len(x) * noise.shape[1])
        return bound(x, context, noise)

    monkeypatch.setattr(model, "bound", counted)
    for batch in (6, 1000):
        other = cl.model_scores(model, runs, particles=4, both_directions=True, batch=batch)
        torch.testing.assert_close(  # backward scores are differences of bounds in float32
            (scores, backward), (other.forward, other.backward), rtol=1e-6, atol=1e-4
        )
        assert max(most) <= batch
    torch.testing.assert_close(cl.model_scores(model, runs, particles=4).forward, scores)
    assert sum(seen) == 12
    run, trial, shown = 1, 2, 0
    generator = torch.Generator().manual_seed(run * 3 + trial)
    noise = torch.randn((1, 4, *model.noise_shape), generator=generator)
    context = Context.of(train[run, shown][None, None, None].float())
    weight = model.bound(test[run, trial][None, None].float(), context, noise).log_weight
    expected = weight.double().exp().mean().log()
    assert scores[run, trial, shown].item() == pytest.approx(expected.item(), rel=1e-4)

    generator = torch.Generator().manual_seed((2 + run) * 3 + shown)
    noise = torch.randn((1, 4, *model.noise_shape), generator=generator)
    image = train[run, shown][None, None].float()
    context = Context.of(test[run, trial][None, None, None].float())
    given, alone = (
        model.bound(image, each, noise).log_weight.double().exp().mean().log()
        for each in (context, Context.empty(1, 28))
    )
    assert backward[run, trial, shown].item() == pytest.approx((given - alone).item(), abs=1e-3)
    torch.testing.assert_close(found.rules()["both"], scores + backward)


def test_only_networks_that_saw_no_evaluation_alphabet_have_an_error() -> None:
    official = {"dataset": "omniglot", "split": "strong-30-20"}
    seen = "omniglot strong-30-20"
    assert cl.why_not_measured(official, [seen]) == cl.why_not_measured(official) == ""
    assert "not recorded" in cl.why_not_measured(official, [UNRECORDED, seen])
    assert "(omniglot weak)" in cl.why_not_measured(official, [seen, "omniglot weak"])
    for split in ("weak", "weak-validation", "strong-45-5", "strong-40-10", None):
        assert "drawings of these alphabets" in cl.why_not_measured({**official, "split": split})
    for name in ("omniglot-burda", "folder"):
        assert name in cl.why_not_measured({**official, "dataset": name})
    assert "unknown" in cl.why_not_measured({})


def archive(path: Path, *, drop: str = "") -> Path:
    """A little all_runs.zip: one run of two characters, out of order in the label file."""
    with zipfile.ZipFile(path, "w") as file:
        pairs = [("test/item01.png", "training/class02.png")]
        pairs += [("test/item02.png", "training/class01.png")]
        lines = "\n".join(f"run01/{a} run01/{b}" for a, b in pairs)
        file.writestr("run01/class_labels.txt", lines)
        for number, name in enumerate(n for pair in pairs for n in pair):
            picture = np.full((105, 105), 255, np.uint8)
            picture[: 15 * (number + 1)] = 0
            buffer = io.BytesIO()
            Image.fromarray(picture).save(buffer, "PNG")
            if name != drop:
                file.writestr(f"run01/{name}", buffer.getvalue())
    return path


def test_reads_runs_as_they_are_labelled(tmp_path: Path) -> None:
    runs = cl.official_runs(archive(tmp_path / "runs.zip"), size=7)
    rows = [int(image[:, 0].sum()) for image in (*runs.train[0], *runs.test[0])]
    assert rows == [4, 2, 1, 3]
    assert runs.label.tolist() == [[1, 0]]


@pytest.mark.parametrize("how", ["missing", "cut", "picture", "other"])
def test_damaged_runs_are_refused(tmp_path: Path, how: str) -> None:
    path = tmp_path / "runs.zip"
    if how != "missing":
        archive(path, drop="training/class01.png" if how == "picture" else "")
    if how == "cut":
        path.write_bytes(path.read_bytes()[:400])
    if how == "other":
        with zipfile.ZipFile(path, "w") as file:
            file.writestr("readme.txt", "hello")
    with pytest.raises(OneshotError, match=r"runs\.zip"):
        cl.official_runs(path)


@pytest.mark.skipif(not OFFICIAL.is_file(), reason="the official runs are not at hand")
def test_official_runs_and_the_critic_on_them() -> None:
    runs = cl.official_runs(OFFICIAL)
    assert runs.train.shape == runs.test.shape == (20, 20, 28, 28)
    assert all(sorted(label) == list(range(20)) for label in runs.label.tolist())
    found = cl.classify(cl.protonet_scores(load_critic("protonet"), runs), runs.label)
    assert found.error.value < 0.1
