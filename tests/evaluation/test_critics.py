"""The critics: losses against plain loops, training that learns, files that fail clearly."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
import torch.nn.functional as F

from oneshot_cli.data.drawings import Drawings
from oneshot_cli.errors import OneshotError
from oneshot_cli.evaluation import critics
from oneshot_cli.evaluation.critics import training


def toy_drawings(characters: int = 12, each: int = 5, size: int = 42) -> Drawings:
    """Characters that are random blocky shapes; their drawings are shifted by a pixel or two."""
    generator = torch.Generator().manual_seed(3)
    shapes = (torch.rand((characters, 1, 6, 6), generator=generator) > 0.6).float()
    shapes = F.interpolate(shapes, size=(30, 30))
    images = []
    for shape in shapes:
        for _ in range(each):
            row, column = torch.randint(4, 9, (2,), generator=generator).tolist()
            canvas = torch.zeros(size, size)
            canvas[row : row + 30, column : column + 30] = shape[0]
            images.append(canvas)
    return Drawings(
        images=torch.stack(images).to(torch.uint8),
        character=torch.arange(characters).repeat_interleave(each),
        alphabet=torch.zeros(characters, dtype=torch.long),
        characters=tuple(f"A/character{c:02}" for c in range(characters)),
        alphabets=("A",),
    )


def test_prototype_loss_equals_explicit_episodes() -> None:
    found = torch.randn(3, 4, 5)
    losses = []
    for support in range(3):
        for query in range(3):
            if query == support:
                continue
            for own in range(4):
                squared = ((found[query, own] - found[support]) ** 2).sum(1)
                losses.append(-torch.log_softmax(-squared, 0)[own])
    expected = torch.stack(losses).mean()
    torch.testing.assert_close(training.prototype_loss(found), expected)


def test_contrastive_loss_equals_explicit_pairs() -> None:
    views = torch.randn(2, 4, 6)
    flat = F.normalize(views.reshape(8, 6), dim=1)
    expected = 0.0
    for i in range(8):
        others = [j for j in range(8) if j != i]
        logits = torch.stack([flat[i] @ flat[j] / 0.3 for j in others])
        expected -= torch.log_softmax(logits, 0)[others.index((i + 4) % 8)].item() / 8
    loss = training.contrastive_loss(views[0], views[1], 0.3)
    assert loss.item() == pytest.approx(expected, rel=1e-5)


def test_no_warp_is_area_resampling() -> None:
    images = toy_drawings(size=56).images[:8]
    still = training.Warp(angle=0, log_scale=0, shear=0, shift=0, ink=(0.4, 0.4))
    made = training.warped(images, still, torch.Generator())
    expected = (F.avg_pool2d(images[:, None].float(), 2) > 0.4).float()
    torch.testing.assert_close(made, expected)


def test_quarter_turns_turn_the_picture() -> None:
    images = toy_drawings(size=56).images[:4]
    still = training.Warp(angle=0, log_scale=0, shear=0, shift=0, ink=(0.4, 0.4))
    upright = training.warped(images, still, torch.Generator())
    turned = training.warped(images, still, torch.Generator(), torch.ones(4))
    either = [upright.rot90(k, (2, 3)) for k in (1, 3)]
    assert any((turned == quarter).float().mean() > 0.99 for quarter in either)
    assert (turned == upright).float().mean() < 0.9


def crosses(**warp: float) -> torch.Tensor:
    """Forty crosses, (40, 28, 28), warped by seed 0."""
    still: dict[str, Any] = {"angle": 0, "log_scale": 0, "shear": 0, "shift": 0, "ink": (0.4, 0.4)}
    images = torch.zeros(40, 56, 56)
    images[:, 24:32, 12:44] = images[:, 12:44, 24:32] = 1
    generator = torch.Generator().manual_seed(0)
    return training.warped(images, training.Warp(**still | warp), generator)[:, 0]


def test_a_shift_moves_the_picture_along_x_and_y() -> None:
    def centre(made: torch.Tensor) -> torch.Tensor:
        at, total = torch.arange(28.0), made.sum((1, 2))
        return torch.stack([(made.sum(side) * at).sum(1) / total for side in (1, 2)], 1)

    generator = torch.Generator().manual_seed(0)
    for drawn in ((40,), (2, 40), (40,)):  # what is drawn before the shift
        torch.rand(drawn, generator=generator)
    shift = 0.2 * (2 * torch.rand((40, 2), generator=generator) - 1)
    moved = centre(crosses(shift=0.2)) - centre(crosses())
    torch.testing.assert_close(moved, -14 * shift, atol=0.6, rtol=0)


def test_a_shear_slants_the_picture() -> None:
    sheared = crosses(shear=0.3)
    rows = (sheared * torch.arange(28.0)).sum(2) / sheared.sum(2).clamp(min=1)
    slanted = (rows[:, 8] - rows[:, 19]).abs()
    assert slanted.max() > 2
    assert slanted.unique().numel() > 3, "each by another amount"


def test_cut_erases_a_square_within_bounds() -> None:
    masks = training.squares(200, 0.5, torch.Generator().manual_seed(0))
    area = masks.flatten(1).sum(1)
    assert masks.shape == (200, 1, 28, 28)
    assert 0 < area.float().mean() < 14 * 14
    assert area.max() <= 15 * 15


def test_pick_takes_different_drawings_of_different_characters() -> None:
    drawings = toy_drawings()
    settings = replace(training.PROTONET, classes=7, drawings=3)
    index = training.pick(drawings, settings, torch.Generator().manual_seed(1))
    character = drawings.character[index]
    assert index.shape == (3, 7)
    assert len(index.unique()) == 21
    assert (character == character[0]).all()
    assert len(character[0].unique()) == 7


@pytest.mark.parametrize("name", ["protonet", "simclr"])
def test_training_learns_and_repeats(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """In one type: which is the faster is measured each time, and may change under load."""
    monkeypatch.setattr(training, "bf16_is_faster", lambda device: False)
    drawings = toy_drawings()
    settings = training.PROTONET if name == "protonet" else training.SIMCLR
    few = replace(settings, iterations=12, classes=12)
    losses: list[float] = []
    critic, record = training.train_critic(name, drawings, few, lambda i, n, x: losses.append(x))
    again, _ = training.train_critic(name, drawings, few)
    assert losses[-1] < losses[0]
    assert record["iterations"] == 12
    images = drawings.images[:9, None].float()
    found = critics.features(critic, images)
    assert not critic.training
    torch.testing.assert_close(found, critics.features(again, images))
    assert found.std() > 0


def test_simclr_features_have_unit_spread_over_the_training_drawings() -> None:
    drawings = toy_drawings()
    few = replace(training.SIMCLR, iterations=3, classes=12)
    critic, _ = training.train_critic("simclr", drawings, few)
    spread = critics.features(critic, drawings.images[:, None].float()).std(0)
    alive = critic.scale > 0.01
    assert alive.float().mean() > 0.5
    assert ((spread[alive] - 1).abs() < 1e-3).all()


def test_saved_critic_comes_back(tmp_path: Path) -> None:
    critic = critics.Critic(critics.WIDTHS["protonet"]).eval()
    path = tmp_path / "critic.safetensors"
    critics.save_critic(path, "protonet", critic, {"iterations": 5})
    loaded = critics.load_critic("protonet", path)
    images = (torch.rand(6, 1, 28, 28) > 0.8).float()
    torch.testing.assert_close(
        critics.features(loaded, images), critics.features(critic, images), atol=0.02, rtol=0.02
    )
    assert critics.critic_settings("protonet", path) == {"iterations": 5}
    assert not any(weight.requires_grad for weight in loaded.parameters())


def test_features_do_not_depend_on_the_batch_and_take_any_size() -> None:
    critic = critics.Critic(critics.WIDTHS["protonet"]).eval()
    images = (torch.rand(300, 1, 28, 28) > 0.8).float()
    together = critics.features(critic, images)
    one_by_one = torch.cat([critics.features(critic, image[None]) for image in images])
    torch.testing.assert_close(together, one_by_one, atol=1e-5, rtol=1e-5)
    doubled = images.repeat_interleave(2, 2).repeat_interleave(2, 3)
    torch.testing.assert_close(critics.features(critic, doubled), together)


def damage(path: Path, how: str) -> None:
    if how == "missing":
        path.unlink()
    elif how == "cut":
        path.write_bytes(path.read_bytes()[:500])
    elif how == "pickle":
        torch.save({"a": torch.ones(2)}, path)
    elif how == "other critic":
        critics.save_critic(path, "simclr", critics.Critic(critics.WIDTHS["simclr"]), {})
    else:
        critics.save_critic(path, "protonet", critics.Critic((8, 8, 8, 8)), {})


@pytest.mark.parametrize("how", ["missing", "cut", "pickle", "other critic", "shapes"])
def test_damaged_critics_are_refused_with_advice(tmp_path: Path, how: str) -> None:
    path = tmp_path / "critic.safetensors"
    critics.save_critic(path, "protonet", critics.Critic(critics.WIDTHS["protonet"]), {})
    damage(path, how)
    with pytest.raises(OneshotError, match="--train-critics"):
        critics.load_critic("protonet", path)
