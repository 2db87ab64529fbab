"""Text for people."""

from __future__ import annotations

from datetime import timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sentryml_common.text import cut, duration


@pytest.mark.parametrize(
    ("seconds", "words"),
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
def test_duration_in_words(seconds: int, words: str) -> None:
    assert duration(timedelta(seconds=seconds)) == words


@given(st.text(max_size=400), st.integers(1, 100))
def test_cut_text_is_one_line_that_fits_and_reads_one_way(text: str, longest: int) -> None:
    shown = cut(text, longest)
    assert len(shown) <= longest
    assert not set(shown) & set("\n\r\t\x00\u202e\u2066")
