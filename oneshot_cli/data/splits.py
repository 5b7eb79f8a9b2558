"""Splits into training and test characters, as pure functions of the characters' names."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from oneshot_cli.errors import OneshotError

OMNIGLOT_BACKGROUND: dict[str, int] = {
    "Alphabet_of_the_Magi": 20,
    "Anglo-Saxon_Futhorc": 29,
    "Arcadian": 26,
    "Armenian": 41,
    "Asomtavruli_(Georgian)": 40,
    "Balinese": 24,
    "Bengali": 46,
    "Blackfoot_(Canadian_Aboriginal_Syllabics)": 14,
    "Braille": 26,
    "Burmese_(Myanmar)": 34,
    "Cyrillic": 33,
    "Early_Aramaic": 22,
    "Futurama": 26,
    "Grantha": 43,
    "Greek": 24,
    "Gujarati": 48,
    "Hebrew": 22,
    "Inuktitut_(Canadian_Aboriginal_Syllabics)": 16,
    "Japanese_(hiragana)": 52,
    "Japanese_(katakana)": 47,
    "Korean": 40,
    "Latin": 26,
    "Malay_(Jawi_-_Arabic)": 40,
    "Mkhedruli_(Georgian)": 41,
    "N_Ko": 33,
    "Ojibwe_(Canadian_Aboriginal_Syllabics)": 14,
    "Sanskrit": 42,
    "Syriac_(Estrangelo)": 23,
    "Tagalog": 17,
    "Tifinagh": 55,
}
"""The 30 alphabets of the official background set and how many characters each has (964)."""

OMNIGLOT_EVALUATION: dict[str, int] = {
    "Angelic": 20,
    "Atemayar_Qelisayer": 26,
    "Atlantean": 26,
    "Aurek-Besh": 26,
    "Avesta": 26,
    "Ge_ez": 26,
    "Glagolitic": 45,
    "Gurmukhi": 45,
    "Kannada": 41,
    "Keble": 26,
    "Malayalam": 47,
    "Manipuri": 40,
    "Mongolian": 30,
    "Old_Church_Slavonic_(Cyrillic)": 45,
    "Oriya": 46,
    "Sylheti": 28,
    "Syriac_(Serto)": 23,
    "Tengwar": 25,
    "Tibetan": 42,
    "ULOG": 26,
}
"""The 20 alphabets of the official evaluation set and how many characters each has (659)."""

WEAK = "weak"
"""Three characters of every alphabet are the test part (Boutin et al. 2022); see `part_of_each`."""

VALIDATION = "weak-validation"
"""Other three of every alphabet are the test part, for the choice of settings.

The test characters of `weak` are left out."""

STRONG: dict[str, frozenset[str]] = {
    "strong-30-20": frozenset(OMNIGLOT_EVALUATION),
    "strong-40-10": frozenset(sorted(OMNIGLOT_EVALUATION)[-10:]),
    "strong-45-5": frozenset(sorted(OMNIGLOT_EVALUATION)[-5:]),
}
"""The test alphabets of each strong split of Omniglot.

30-20 is the official division. The test alphabets of 40-10 and 45-5 are the last ten and the last
five of the evaluation set by name, so the test parts are nested. The five are those of the public
few-shot density protocol: Sylheti, Syriac (Serto), Tengwar, Tibetan, ULOG.
"""

OFFICIAL = "official"
"""The data set's own division into training and test drawings."""

DEFAULT_VALIDATION_SHARE = 0.03
"""The share of the training part that `oneshot train` keeps for validation, see data/validation.py.
For Omniglot that is one or two characters of each alphabet."""
MAX_VALIDATION_SHARE = 0.3

SPLITS: tuple[str, ...] = (WEAK, *STRONG, VALIDATION)
PARTS: tuple[str, ...] = ("train", "test", "all")


def part_of_each(split: str, characters: Sequence[str]) -> list[str | None]:
    """The part of each of `characters`, such as "Latin/character01": "train", "test" or None.

    In the split weak, the test characters are the first three of each alphabet by name, which are
    character01 to character03 in Omniglot. Alphabets with fewer than twelve characters give a
    quarter. In weak-validation, they are the same number of characters after those; the test
    characters of weak are in no part (None). Raises OneshotError for unknown splits.
    """
    if split in STRONG:
        return ["test" if _alphabet(name) in STRONG[split] else "train" for name in characters]
    if split not in (WEAK, VALIDATION):
        raise OneshotError(f"there is no split {split!r}\nsplits: {', '.join(SPLITS)}")
    members: dict[str, list[str]] = {}
    for name in sorted(characters):
        members.setdefault(_alphabet(name), []).append(name)
    found: dict[str, str | None] = dict.fromkeys(characters, "train")
    for names in members.values():
        few = min(3, len(names) // 4)
        found |= dict.fromkeys(names[:few], "test" if split == WEAK else None)
        if split == VALIDATION:
            found |= dict.fromkeys(names[few : 2 * few], "test")
    return [found[name] for name in characters]


def _alphabet(character: str) -> str:
    return character.rpartition("/")[0]


@dataclass(frozen=True)
class Selection:
    """The characters of a data set to load, and their size in pixels.

    `part` is "train", "test" or "all". Without a split all characters are taken, and `part` cannot
    be "test". Raises OneshotError for an unknown part.
    """

    split: str | None = None
    part: str = "train"
    size: int = 28
    resample: str = "area"

    def __post_init__(self) -> None:
        if self.part not in PARTS:
            raise OneshotError(f"there is no part {self.part!r}\nparts: {', '.join(PARTS)}")
        if self.split is None and self.part == "test":
            raise OneshotError("without a split there is no test part")

    def keeps(self, characters: Sequence[str]) -> list[bool]:
        """Whether each of `characters` is in the part. Raises OneshotError if none is."""
        if self.split is None or self.part == "all":
            return [True] * len(characters)
        kept = [part == self.part for part in part_of_each(self.split, characters)]
        if not any(kept):
            few = self.part == "test" and self.split in (WEAK, VALIDATION)
            raise OneshotError(
                f"the {self.part} part of split {self.split} has none of the "
                f"{len(characters)} characters"
                + ("\nit holds out a quarter of an alphabet that has at least four" if few else "")
            )
        return kept
