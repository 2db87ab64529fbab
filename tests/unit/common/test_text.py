"""Text for people."""

from __future__ import annotations

from datetime import timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sentryml_common.text import INVISIBLE, cut, duration, sentence, visible


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (0, "0 s"),
        (45, "45 s"),
        (60, "1 min"),
        (18_720, "5 h 12 min"),
        (90_000, "1 d 1 h"),
        (86_401, "1 d"),
        (-5, "0 s"),
    ],
)
def test_duration_in_words(seconds: int, text: str) -> None:
    assert duration(timedelta(seconds=seconds)) == text


@given(st.text(max_size=400), st.integers(1, 100))
def test_cut_text_is_one_line_that_fits_and_reads_one_way(text: str, longest: int) -> None:
    shown = cut(text, longest)
    assert len(shown) <= longest
    assert not set(shown) & set("\n\r\t\x00\u202e\u2066")


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("exe.\u202egpj", "exe.[U+202E]gpj"),
        ("a\x1b[31mb", "a[U+001B][31mb"),
        ("no\x00thing", "no[U+0000]thing"),
        ("zero\u200bwidth", "zero[U+200B]width"),
        ("tag\U000e0041", "tag[U+E0041]"),
        ("half \ud800", "half [U+D800]"),
        ("two\nlines\tand a tab", "two\nlines\tand a tab"),
        ("Ω é 漢 👩\u200d🚀 می\u200cخواهم", "Ω é 漢 👩\u200d🚀 می\u200cخواهم"),
    ],
)
def test_what_cannot_be_seen_is_written_out_and_the_rest_stays(text: str, shown: str) -> None:
    assert visible(text) == shown


@given(st.text())
def test_visible_text_hides_nothing_and_stays_as_it_is(text: str) -> None:
    shown = visible(text)
    assert not INVISIBLE.search(shown)
    assert visible(shown) == shown


@pytest.mark.parametrize(
    ("text", "read"),
    [
        ("there is no incident 7", "There is no incident 7."),
        ("the AUC of McFly is on it.", "The AUC of McFly is on it."),
    ],
)
def test_a_message_is_read_as_a_sentence(text: str, read: str) -> None:
    assert sentence(text) == read
