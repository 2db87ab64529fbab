"""Other spellings: categories that are new by name only, since a sender has changed how it writes an old one.

Two values are spellings of one if they are equal after everything in which spellings differ is folded away. Why they
differ is then the smallest set of `Difference`s that makes them equal. What looks alike in print, on a page or in a
message, is distinguished by its code points.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Iterable, Mapping
from dataclasses import dataclass
from decimal import Decimal
from difflib import SequenceMatcher
from enum import StrEnum
from itertools import combinations
from unicodedata import name, normalize

from sentryml_common.text import INVISIBLE

Value = str | float
"""A category, or a number. Booleans are the categories 'true' and 'false'."""


class Difference(StrEnum):
    """In what two spellings differ; in the order in which they are folded away."""

    BLANKS = "blanks"
    """Blanks, at the ends or inside, and characters that cannot be seen."""
    UNICODE_FORM = "unicode_form"
    """Composed or decomposed, or compatible characters, as full-width letters."""
    LOOK_ALIKES = "look_alikes"
    """Letters of other alphabets, dashes and apostrophes that look the same."""
    CASE = "case"
    NUMBER = "number"
    """A number as text, or with other digits: `1`, `"1"`, `"1.0"`."""
    BOOLEAN = "boolean"
    """`true` or `false` as 1 or 0."""


SEEN_IN_PRINT = {Difference.CASE, Difference.NUMBER, Difference.BOOLEAN}


@dataclass(frozen=True, slots=True)
class OtherSpelling:
    """A new value, the known one that it equals but for `differences`, and the code points in which each differs from
    the other, for example `U+00E9 LATIN SMALL LETTER E WITH ACUTE`; none where the difference is seen in print."""

    new: Value
    known: Value
    differences: tuple[Difference, ...]
    new_code_points: tuple[str, ...] = ()
    known_code_points: tuple[str, ...] = ()


def other_spellings(new: Iterable[Value], known: Collection[Value]) -> list[OtherSpelling]:
    """Return those of the new values that are spellings of a known one: of several, the one with the fewest
    differences, and the first where these are as few.

    Values that are known themselves are not new and are left out.
    """
    exactly = {_typed(value) for value in known}
    by_meaning: dict[object, list[Value]] = {}
    for value in known:
        for meaning in _meanings(value):
            by_meaning.setdefault(meaning, []).append(value)
    found = []
    for value in new:
        candidates = [each for meaning in _meanings(value) for each in by_meaning.get(meaning, ())]
        if candidates and _typed(value) not in exactly:
            found.append(min((_compared(value, each) for each in candidates), key=_how_different))
    return found


def _meanings(value: Value) -> set[object]:
    """What is equal for spellings of one value. Of "Н" and "н" only the first looks like a Latin letter."""
    return {_folded(value, ALL), _folded(value, (each for each in ALL if each is not Difference.LOOK_ALIKES))}


def _how_different(found: OtherSpelling) -> int:
    return SUBSETS.index(found.differences)


def _typed(value: Value) -> tuple[bool, Value]:
    return isinstance(value, str), value


def _compared(new: Value, known: Value) -> OtherSpelling:
    differences = next(some for some in SUBSETS if _folded(new, some) == _folded(known, some))
    if isinstance(new, str) and isinstance(known, str) and not SEEN_IN_PRINT.issuperset(differences):
        return OtherSpelling(new, known, differences, *_code_points(new, known))
    return OtherSpelling(new, known, differences)


def _code_points(one: str, other: str) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """The code points of each text that are not in the other at that place."""
    changes = [each for each in SequenceMatcher(None, one, other, autojunk=False).get_opcodes() if each[0] != "equal"]
    here = "".join(one[start:end] for _, start, end, _, _ in changes)
    there = "".join(other[start:end] for _, _, _, start, end in changes)
    return tuple(map(_code_point, here)), tuple(map(_code_point, there))


def _code_point(character: str) -> str:
    return f"U+{ord(character):04X} {name(character, '')}".rstrip()


def _folded(value: Value, differences: Iterable[Difference]) -> object:
    """The value without these differences; equal for values that have no others. Text, Decimal or float."""
    folded: object = value
    for difference in differences:
        folded = FOLDS[difference](folded)
    return folded


def _text(fold: Callable[[str], str]) -> Callable[[object], object]:
    return lambda value: fold(value) if isinstance(value, str) else value


def _as_number(value: object) -> object:
    if isinstance(value, float | int):
        return Decimal(str(value))
    return Decimal(value) if isinstance(value, str) and NUMBER.fullmatch(value) else value


def _as_boolean(value: object) -> object:
    return BOOLEANS[value] if isinstance(value, str) and value in BOOLEANS else _as_number(value)


def _without_blanks(text: str) -> str:
    return "".join(UNSEEN_TOO.sub("", INVISIBLE.sub("", text)).split())


NUMBER = re.compile(r"[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d{1,3})?", re.ASCII)
BOOLEANS = {"true": Decimal(1), "false": Decimal(0)}
UNSEEN_TOO = re.compile("[\u200c\u200d\ufe00-\ufe0f]")
"""Joiners and variants, which only other characters make visible."""

_LOOK_ALIKES = {
    "АВЕЗКМНОРСТУХІЈЅаеорсухіјѕһԁԛԝѵ": "ABE3KMHOPCTYXIJSaeopcyxijshdqwv",  # Cyrillic
    "ΑΒΕΖΗΙΚΜΝΟΡΤΥΧανικορυϲϳ": "ABEZHIKMNOPTYXavikopucj",  # Greek
    "‐‑‒–—−‘’ʼ": "------'''",  # dashes, apostrophes
}
LATIN = str.maketrans("".join(_LOOK_ALIKES), "".join(_LOOK_ALIKES.values()))

FOLDS: Mapping[Difference, Callable[[object], object]] = {
    Difference.BLANKS: _text(_without_blanks),
    Difference.UNICODE_FORM: _text(lambda text: normalize("NFKC", text)),
    Difference.LOOK_ALIKES: _text(lambda text: text.translate(LATIN)),
    Difference.CASE: _text(str.casefold),
    Difference.NUMBER: _as_number,
    Difference.BOOLEAN: _as_boolean,
}
ALL = tuple(Difference)
SUBSETS = [some for size in range(1, len(ALL) + 1) for some in combinations(ALL, size)]
"""All sets of differences, the smallest first."""
