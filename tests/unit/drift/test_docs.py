"""The worked example of docs/drift.md is true: its lines are run, and print what the page says."""

from __future__ import annotations

import doctest
from pathlib import Path

PAGE = Path(__file__).parents[3] / "docs" / "drift.md"


def test_the_worked_example_is_what_the_code_does() -> None:
    failed, run = doctest.testfile(str(PAGE), module_relative=False, optionflags=doctest.NORMALIZE_WHITESPACE)
    assert run >= 10
    assert failed == 0
