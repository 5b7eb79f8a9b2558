"""Episodes: what may be in a context, how often, and that a seed and a step decide it."""

from pathlib import Path

import pytest
import torch
import torch.nn.functional as F
from tiny import tiny_drawings

from oneshot_cli.affine import transform
from oneshot_cli.data import augmentation, load
from oneshot_cli.data.augmentation import (
    NO_AUGMENTATION,
    Augmentation,
    quarter_turns,
    random_affine,
    warped,
)
from oneshot_cli.data.drawings import Drawings
from oneshot_cli.data.episodes import Episodes, TaskMix
from oneshot_cli.imaging.resampling import resampled

DRAWINGS = tiny_drawings(characters=10, each=5)
ALPHABET = DRAWINGS.alphabet[DRAWINGS.character]
PROTOCOLS = [("area", 28), ("area", 35), ("area", 52), ("max", 26), ("max", 52)]
"""Ways and sizes of resampling."""


def located(images: torch.Tensor) -> torch.Tensor:
    """Which drawing each of (..., 1, S, S) is: (...)."""
    every = DRAWINGS.images.flatten(1).float()
    return torch.cdist(images.reshape(-1, 64), every).argmin(1).view(images.shape[:-3])


def test_drawings_are_distinct() -> None:
    assert len(torch.unique(DRAWINGS.images.flatten(1), dim=0)) == len(DRAWINGS)


def test_task_two_shows_other_drawings_of_the_character() -> None:
    episodes = Episodes(DRAWINGS, TaskMix(empty=0, alphabet=0, single=0), seed=3)
    sizes = set()
    for step in range(60):
        episode = episodes.batch(step, 32)
        shown = located(episode.context)
        sizes.add(shown.shape[1])
        assert torch.equal(located(episode.target), episode.index)
        character = DRAWINGS.character
        assert (character[shown] == character[episode.index][:, None]).all()
        assert (shown != episode.index[:, None]).all()
        for row in shown.tolist():
            assert len(set(row)) == len(row)
        assert episode.mask.all()
        assert not episode.alphabet.any()
    assert sizes == {2, 3, 4}


def test_task_three_shows_other_characters_of_the_alphabet() -> None:
    episodes = Episodes(DRAWINGS, TaskMix(empty=0, alphabet=1, alphabet_context=4), seed=3)
    seen = set()
    for step in range(60):
        episode = episodes.batch(step, 32)
        shown, index = located(episode.context), episode.index
        assert (ALPHABET[shown] == ALPHABET[index][:, None]).all()
        assert (DRAWINGS.character[shown] != DRAWINGS.character[index][:, None]).all()
        for row in DRAWINGS.character[shown].tolist():
            assert len(set(row)) == len(row)
        assert episode.alphabet.all()
        seen.update(shown.flatten().tolist())
    assert seen == set(range(len(DRAWINGS)))


def test_task_one_shows_nothing() -> None:
    episode = Episodes(DRAWINGS, TaskMix.of_task(1), seed=0).batch(0, 8)
    assert episode.context.shape[1] == 0


def test_a_context_larger_than_the_character_is_masked() -> None:
    index = torch.tensor([0, 7, 49])
    generator = torch.Generator().manual_seed(0)
    context, mask = Episodes(DRAWINGS, TaskMix(), seed=0).character_context(index, 8, generator)
    assert mask.sum(1).tolist() == [4, 4, 4]
    assert (DRAWINGS.character[context] == DRAWINGS.character[index][:, None])[mask].all()


def test_contexts_are_uniform() -> None:
    """Every other drawing of the character equally often, by a chi-square test."""
    index = torch.full((8000,), 11)
    generator = torch.Generator().manual_seed(0)
    context, _ = Episodes(DRAWINGS, TaskMix(), seed=0).character_context(index, 2, generator)
    counts = torch.bincount(context.flatten(), minlength=15)[10:15].double()
    assert counts[1] == 0
    others = counts[[0, 2, 3, 4]]
    assert ((others - 4000) ** 2 / 4000).sum() < 16.3  # p = 0.001 at 3 degrees of freedom


def test_the_shares_of_the_mix() -> None:
    episodes = Episodes(DRAWINGS, TaskMix(empty=0.3, alphabet=0.4, single=0.5), seed=1)
    batches = [episodes.batch(step, 10) for step in range(500)]
    assert sum(b.alphabet.all().item() for b in batches) / 500 == pytest.approx(0.4, abs=0.07)
    hidden = torch.cat([~b.mask.any(1) for b in batches]).float().mean().item()
    assert hidden == pytest.approx(0.3, abs=0.03)


def test_a_seed_and_a_step_decide_everything() -> None:
    mix, augmentation = TaskMix(), Augmentation(0.1, 0.05)
    first = Episodes(DRAWINGS, mix, seed=7).batch(5, 16, augmentation)
    second = Episodes(DRAWINGS, mix, seed=7)
    second.batch(4, 16)
    again = second.batch(5, 16, augmentation)
    assert torch.equal(first.target, again.target)
    assert torch.equal(first.context, again.context)
    assert not torch.equal(first.index, second.batch(6, 16).index)
    assert not torch.equal(first.index, Episodes(DRAWINGS, mix, seed=8).batch(5, 16).index)


def test_augmentation_without_strength_changes_nothing_else() -> None:
    episodes = Episodes(DRAWINGS, TaskMix(), seed=7)
    plain, moved = episodes.batch(5, 16), episodes.batch(5, 16, Augmentation(shared=0.2))
    assert torch.equal(plain.index, moved.index)
    assert not torch.equal(plain.target, moved.target)
    assert set(moved.target.unique().tolist()) == {0.0, 1.0}


def test_random_affine_has_the_strength_that_it_is_given() -> None:
    maps = random_affine(20_000, 0.1, torch.Generator().manual_seed(0))
    assert maps[:, :2, 2].std().item() == pytest.approx(0.1, abs=0.003)
    log_area = torch.linalg.det(maps[:, :2, :2]).log()
    assert log_area.std().item() == pytest.approx(0.1 * 2**0.5, abs=0.005)
    torch.testing.assert_close(
        random_affine(3, 0.0, torch.Generator()), torch.eye(3).expand(3, 3, 3)
    )


def test_wrong_shares_are_refused() -> None:
    with pytest.raises(ValueError, match="empty"):
        TaskMix(empty=1.5)
    with pytest.raises(ValueError, match="task"):
        TaskMix.of_task(4)


def test_a_quarter_turn_is_rot90_and_is_shared_with_the_context() -> None:
    drawings = tiny_drawings()
    turned = Augmentation(turned=1.0)
    episode = Episodes(drawings, TaskMix.of_task(2), seed=1).batch(0, 32, turned)
    plain = Episodes(drawings, TaskMix.of_task(2), seed=1).batch(0, 32)
    for shown, seen, straight, beside in zip(
        episode.target, episode.context[:, 0], plain.target, plain.context[:, 0], strict=True
    ):
        quarters = [k for k in (1, 2, 3) if torch.equal(shown, straight.rot90(k, (1, 2)))]
        assert quarters
        assert any(torch.equal(seen, beside.rot90(k, (1, 2))) for k in quarters)


def test_the_share_of_turned_drawings() -> None:
    maps = quarter_turns(10_000, 0.3, torch.Generator().manual_seed(0))
    straight = (maps == torch.eye(3)).all(-1).all(-1).float().mean().item()
    assert straight == pytest.approx(0.7, abs=0.02)
    torch.testing.assert_close(torch.linalg.det(maps), torch.ones(10_000))


def test_steps_take_the_sizes_in_turn_and_draw_the_same_characters() -> None:
    large = tiny_drawings(size=24)
    small = large.resized(12)
    episodes = Episodes(small, TaskMix(), seed=5, others=(large,), originals=large)
    one = Episodes(small, TaskMix(), seed=5)
    for step in range(4):
        episode = episodes.batch(step, 6)
        assert episode.target.shape[-1] == episode.context.shape[-1] == (12, 24)[step % 2]
        assert torch.equal(episode.index, one.batch(step, 6).index)
    assert episodes.batch(1, 6, Augmentation(shared=0.1)).target.shape[-1] == 24


@pytest.fixture(scope="module")
def glyphs() -> Drawings:
    """Drawings of made-up characters, 105 x 105."""
    return load("glyphs", alphabets=2, characters=12, drawings=5, size=105)


@pytest.mark.parametrize(("resample", "size"), PROTOCOLS)
def test_a_map_that_moves_nothing_gives_the_data_sets_drawings(
    glyphs: Drawings, resample: str, size: int
) -> None:
    still = torch.eye(3)[:2].expand(len(glyphs), 2, 3)
    expected = resampled(glyphs.images, size, resample)
    assert torch.equal(warped(glyphs.images, still, size, resample), expected.float())
    assert 0.05 < expected.float().mean() < 0.25


@pytest.mark.parametrize("size", [28, 52])
def test_omniglot_is_itself_under_a_map_that_moves_nothing(real_data: Path, size: int) -> None:
    originals, drawings = (
        load("omniglot", data_dir=real_data, split="strong-45-5", part="test", size=each)
        for each in (105, size)
    )
    still = torch.eye(3)[:2].expand(len(originals), 2, 3)
    ours = warped(originals.images, still, size, "area")
    assert torch.equal(ours, drawings.images.float())


@pytest.mark.parametrize("size", [28, 52])
def test_a_quarter_turn_is_as_exact(glyphs: Drawings, size: int) -> None:
    turn = torch.tensor([[0.0, -1, 0], [1, 0, 0]]).expand(len(glyphs), 2, 3)
    turned = [glyphs.images.rot90(k, (1, 2)) for k in (1, 3)]
    ours = warped(glyphs.images, turn, size, "area")
    assert any(torch.equal(ours, resampled(each, size).float()) for each in turned)


@pytest.mark.parametrize("size", [28, 52])
def test_maps_keep_the_ink_that_they_ought_to(glyphs: Drawings, size: int) -> None:
    """Against areas: 9 x 9 points of each pixel of a scan, then the data set's own protocol."""
    maps = Augmentation(0.1, 0.03).maps(len(glyphs), 1, torch.Generator().manual_seed(0))[:, 0]
    fine = transform(glyphs.images[:, None], maps, 9 * 105, "nearest")
    scan = (F.avg_pool2d(fine, 9)[:, 0] > 0.5).to(torch.uint8)
    expected = resampled(scan, size).float()
    ours = warped(glyphs.images, maps, size, "area")
    assert ours.mean().item() == pytest.approx(expected.mean().item(), rel=0.005)
    assert (ours != expected).float().mean() < 0.05 * expected.mean()


def test_a_share_of_the_examples_is_plain(glyphs: Drawings) -> None:
    """Exactly the data's drawings, contexts too; the others are as they were without the share."""
    drawings = glyphs.resized(28)
    episodes = Episodes(drawings, TaskMix(), seed=2, originals=glyphs)
    count = 0
    for step in range(8):
        untouched, moved = (
            episodes.batch(step, 100, each) for each in (NO_AUGMENTATION, Augmentation(0.2, 0.1))
        )
        mixed = episodes.batch(step, 100, Augmentation(0.2, 0.1, plain=0.3))
        for row in range(100):
            plain = torch.equal(mixed.target[row], untouched.target[row])
            same = untouched if plain else moved
            count += plain
            assert torch.equal(mixed.target[row], same.target[row])
            assert torch.equal(mixed.context[row], same.context[row])
        assert torch.equal(mixed.index, untouched.index)
    assert count / 800 == pytest.approx(0.3, abs=0.05)


def test_all_may_be_plain_whatever_the_maps() -> None:
    episodes = Episodes(DRAWINGS, TaskMix(), seed=2)
    untouched = episodes.batch(3, 9)
    plain = episodes.batch(3, 9, Augmentation(0.2, 0.1, turned=1.0, plain=1.0))
    assert torch.equal(plain.target, untouched.target)
    assert torch.equal(plain.context, untouched.context)


def test_fading_leaves_the_share_of_plain_drawings() -> None:
    assert Augmentation(0.1, 0.03, 0.5, 0.2).scaled(0.5) == Augmentation(0.05, 0.015, 0.25, 0.2)


@pytest.mark.parametrize("resample", ["area", "max"])
def test_drawings_are_seen_through_maps_alike_in_parts(
    resample: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Of whatever number, the last of them smaller."""
    generator = torch.Generator().manual_seed(0)
    images = (torch.rand(7, 15, 15, generator=generator) > 0.5).float()
    images = images.repeat_interleave(7, 1).repeat_interleave(7, 2)
    maps = random_affine(7, 0.2, generator)[:, :2]
    whole = warped(images, maps, 26, resample)
    monkeypatch.setattr(augmentation, "CHUNK", 3)
    assert torch.equal(warped(images, maps, 26, resample), whole)
    assert 0.2 < whole.mean() < 0.8
