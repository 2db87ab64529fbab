"""Other spellings: which known value a new one is, in what it differs, and by which code points."""

from __future__ import annotations

from unicodedata import normalize

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sentryml_statistics.comparison.spelling import Difference, OtherSpelling, Value, other_spellings

BLANKS, FORM, LOOK_ALIKES, CASE, NUMBER, BOOLEAN = Difference


def the_spelling(new: Value, *known: Value) -> OtherSpelling:
    (found,) = other_spellings([new], known)
    assert found.new == new
    return found


@pytest.mark.parametrize(
    ("known", "new", "differences"),
    [
        ("Fraud", "fraud", [CASE]),
        ("true", "True", [CASE]),
        ("STRASSE", "straße", [CASE]),
        ("Нет", "нет", [CASE]),
        ("fraud ", "fraud", [BLANKS]),
        ("on time", "on  time", [BLANKS]),
        ("on time", "ontime", [BLANKS]),
        ("on time", "on\u00a0time", [BLANKS]),
        ("fraud", "fra\u200bud", [BLANKS]),
        ("ab", "a\u0000b", [BLANKS]),
        ("ok", "\u202eok", [BLANKS]),
        ("refus\u00e9", "refuse\u0301", [FORM]),
        ("fraud", "ｆｒａｕｄ", [FORM]),
        ("fraud", "fr\u0430ud", [LOOK_ALIKES]),  # a Cyrillic а
        ("Beta", "\u0392eta", [LOOK_ALIKES]),  # a Greek Β
        ("on-time", "on\u2013time", [LOOK_ALIKES]),
        ("Fraud", "fraud ", [BLANKS, CASE]),
        ("Refus\u00e9", "refuse\u0301", [FORM, CASE]),
        (1.0, "1", [NUMBER]),
        (1.0, "1.0", [NUMBER]),
        ("1", 1.0, [NUMBER]),
        ("1", "1.0", [NUMBER]),
        ("7", "007", [NUMBER]),
        (0.1, "1e-1", [NUMBER]),
        ("1", " 1", [BLANKS]),
        (-1.0, "\u22121", [LOOK_ALIKES, NUMBER]),
        ("true", 1.0, [BOOLEAN]),
        ("false", "0", [BOOLEAN]),
        ("true", "1.0", [BOOLEAN]),
        (1.0, "True", [CASE, BOOLEAN]),
    ],
)
def test_what_differs_is_named(known: Value, new: Value, differences: list[Difference]) -> None:
    found = the_spelling(new, "another", known, 3.0)
    assert (found.known, list(found.differences)) == (known, differences)


@pytest.mark.parametrize(
    ("known", "new"),
    [
        ("fraud", "frauds"),
        ("refusé", "refuse"),
        ("1", "10"),
        (1.0, "1,0"),
        ("true", "false"),
        ("nan", "infinity"),
        ("нет", "het"),
        ("12345678901234567890", "12345678901234567891"),
        ("1e9", "1_000_000_000"),
        ("=1+1", "2"),
        ("", "x"),
    ],
)
def test_other_values_are_no_spellings(known: Value, new: Value) -> None:
    assert other_spellings([new], [known]) == []


@pytest.mark.parametrize("value", ["fraud", "", 1.0, "true", "👨‍👩‍👧" * 30])
def test_a_known_value_is_not_new(value: Value) -> None:
    assert other_spellings([value], [value, "FRAUD", "1"]) == []


@pytest.mark.parametrize(
    ("known", "new", "known_code_points", "new_code_points"),
    [
        (
            "refus\u00e9",
            "refuse\u0301",
            ["U+00E9 LATIN SMALL LETTER E WITH ACUTE"],
            ["U+0065 LATIN SMALL LETTER E", "U+0301 COMBINING ACUTE ACCENT"],
        ),
        ("fraud ", "fraud", ["U+0020 SPACE"], []),
        ("fraud", "fra\u200bud", [], ["U+200B ZERO WIDTH SPACE"]),
        ("ab", "a\u0000b", [], ["U+0000"]),
        ("fraud", "fr\u0430ud", ["U+0061 LATIN SMALL LETTER A"], ["U+0430 CYRILLIC SMALL LETTER A"]),
        ("Fraud", "fraud", [], []),
        (1.0, "1", [], []),
    ],
)
def test_what_looks_alike_is_distinguished_by_code_points(
    known: Value, new: Value, known_code_points: list[str], new_code_points: list[str]
) -> None:
    found = the_spelling(new, known)
    assert list(found.known_code_points) == known_code_points
    assert list(found.new_code_points) == new_code_points


def test_of_several_spellings_the_one_with_the_fewest_differences_is_meant_and_of_equals_the_first() -> None:
    assert the_spelling("fraud", "FRAUD ", "Fraud", "FRAUD").known == "Fraud"
    assert the_spelling("1", "true", 1.0).known == 1.0


def test_every_new_value_is_looked_at() -> None:
    found = other_spellings(["True", "maybe", "False"], ["true", "false"])
    assert [(each.known, each.new) for each in found] == [("true", "True"), ("false", "False")]


@given(st.text(st.characters(max_codepoint=0x17F), max_size=20))
def test_a_text_in_another_form_case_or_with_blanks_is_found_or_equal(text: str) -> None:
    for other in (normalize("NFD", text), normalize("NFC", text), f" {text}\u200b", text.casefold()):
        found = other_spellings([other], [text])
        assert len(found) == (other != text)
        assert all(each.differences for each in found)
