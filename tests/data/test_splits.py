"""Splits are pure functions of names: disjoint, complete, and of the published sizes."""

from __future__ import annotations

import pytest

from oneshot_cli.data.splits import (
    OMNIGLOT_BACKGROUND,
    OMNIGLOT_EVALUATION,
    SPLITS,
    STRONG,
    VALIDATION,
    Selection,
    part_of_each,
)
from oneshot_cli.errors import OneshotError

OMNIGLOT = [
    f"{alphabet}/character{number:02d}"
    for alphabets in (OMNIGLOT_BACKGROUND, OMNIGLOT_EVALUATION)
    for alphabet, count in alphabets.items()
    for number in range(1, count + 1)
]


def kept(split: str, part: str) -> list[str]:
    keeps = Selection(split, part).keeps(OMNIGLOT)
    return [name for name, keep in zip(OMNIGLOT, keeps, strict=True) if keep]


def test_omniglot_has_the_published_counts() -> None:
    assert len(OMNIGLOT_BACKGROUND) == 30
    assert sum(OMNIGLOT_BACKGROUND.values()) == 964
    assert len(OMNIGLOT_EVALUATION) == 20
    assert sum(OMNIGLOT_EVALUATION.values()) == 659


@pytest.mark.parametrize(
    ("split", "train", "test"),
    [
        ("weak", 1473, 150),
        ("strong-30-20", 964, 659),
        ("strong-40-10", 1271, 352),
        ("strong-45-5", 1479, 144),
    ],
)
def test_parts_are_disjoint_and_complete(split: str, train: int, test: int) -> None:
    seen, unseen = kept(split, "train"), kept(split, "test")
    assert (len(seen), len(unseen)) == (train, test)
    assert set(seen) | set(unseen) == set(OMNIGLOT)
    assert not set(seen) & set(unseen)
    assert kept(split, "all") == OMNIGLOT


def test_weak_holds_out_the_first_three_characters_of_every_alphabet() -> None:
    assert {name.split("/")[1] for name in kept("weak", "test")} == {
        "character01",
        "character02",
        "character03",
    }
    assert {name.split("/")[0] for name in kept("weak", "test")} == {
        name.split("/")[0] for name in OMNIGLOT
    }


def test_validation_holds_out_the_next_three_and_leaves_out_the_test() -> None:
    seen, unseen = kept(VALIDATION, "train"), kept(VALIDATION, "test")
    assert {name.split("/")[1] for name in unseen} == {"character04", "character05", "character06"}
    assert len(unseen) == 150
    assert set(seen) | set(unseen) == set(kept("weak", "train"))
    assert not set(seen) & set(unseen)


@pytest.mark.parametrize("split", STRONG)
def test_strong_splits_share_no_alphabet(split: str) -> None:
    alphabets = [{name.split("/")[0] for name in kept(split, part)} for part in ("train", "test")]
    assert not alphabets[0] & alphabets[1]
    assert [len(part) for part in alphabets] == [int(n) for n in split.split("-")[1:]]


def test_strong_splits_nest_and_the_smallest_is_the_published_one() -> None:
    assert STRONG["strong-45-5"] < STRONG["strong-40-10"] < STRONG["strong-30-20"]
    assert STRONG["strong-45-5"] == {"Tengwar", "Sylheti", "Tibetan", "Syriac_(Serto)", "ULOG"}


@pytest.mark.parametrize("split", SPLITS)
def test_the_order_of_the_names_does_not_matter(split: str) -> None:
    forward = dict(zip(OMNIGLOT, part_of_each(split, OMNIGLOT), strict=True))
    backward = OMNIGLOT[::-1]
    assert forward == dict(zip(backward, part_of_each(split, backward), strict=True))


def test_small_alphabets_keep_most_of_their_characters_for_training() -> None:
    names = [f"few/{letter}" for letter in "abcdefgh"] + ["tiny/a", "tiny/b"]
    assert part_of_each("weak", names) == ["test"] * 2 + ["train"] * 8
    assert part_of_each(VALIDATION, names) == [None] * 2 + ["test"] * 2 + ["train"] * 6


def test_what_there_is_not_is_refused() -> None:
    with pytest.raises(OneshotError, match="strong-30-20"):
        part_of_each("strong", OMNIGLOT)
    with pytest.raises(OneshotError, match="train, test, all"):
        Selection("weak", "validation")
    with pytest.raises(OneshotError, match="without a split"):
        Selection(None, "test")
    with pytest.raises(OneshotError, match="none of the 2 characters"):
        Selection("weak", "test").keeps(["tiny/a", "tiny/b"])
