"""Which characters are kept for the test: pure functions of names, the same for everyone."""

from __future__ import annotations

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
"""Characters 01 to 03 of every alphabet are the test (Boutin et al. 2022)."""

STRONG: dict[str, frozenset[str]] = {
    "strong-30-20": frozenset(OMNIGLOT_EVALUATION),
    "strong-40-10": frozenset(sorted(OMNIGLOT_EVALUATION)[-10:]),
    "strong-45-5": frozenset(sorted(OMNIGLOT_EVALUATION)[-5:]),
}
"""The test alphabets of each strong split of Omniglot.

30-20 is the data set's own division. The test alphabets of 40-10 and 45-5 are the last ten and the
last five of the evaluation set by name, so the splits nest: what one never sees in training, a
smaller one does not see either. The five are those of the public few-shot density protocol:
Sylheti, Syriac (Serto), Tengwar, Tibetan, ULOG.
"""

SPLITS: tuple[str, ...] = (WEAK, *STRONG)


def is_test(split: str, alphabet: str, character: str) -> bool:
    """Whether `split` keeps the character (say `character01` of `Latin`) for the test."""
    if split == WEAK:
        return character in ("character01", "character02", "character03")
    if split in STRONG:
        return alphabet in STRONG[split]
    raise OneshotError(f"There is no split {split!r}. Splits: {', '.join(SPLITS)}.")
