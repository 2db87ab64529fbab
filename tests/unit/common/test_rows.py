"""Rows become values, and values rows, by the names of their fields."""

from __future__ import annotations

from dataclasses import dataclass

import pytest
from pydantic import ValidationError

from sentryml_common.contracts.transition import SYSTEM, Actor, State
from sentryml_common.postgres.rows import insert_into, names_of, reader_of, values_of


@dataclass(frozen=True, slots=True)
class Kept:
    state: State
    actors: tuple[Actor, ...]
    note: str | None = None


ROW = {"state": "open", "actors": [SYSTEM.model_dump(mode="json")], "position": 7}


def test_texts_become_enums_and_json_becomes_contracts_and_other_columns_are_left_out() -> None:
    assert reader_of(Kept)(ROW) == Kept(State.OPEN, (SYSTEM,))


def test_a_column_that_is_missing_is_named() -> None:
    with pytest.raises(ValidationError, match="actors"):
        reader_of(Kept)({"state": "open"})


def test_columns_marks_and_values_are_in_one_order() -> None:
    names = names_of(Kept, but=frozenset({"actors"}))
    assert insert_into("kept", names) == "INSERT INTO kept (state, note) VALUES ($1, $2)"
    assert values_of(Kept(State.CLOSED, (), "over"), names) == [State.CLOSED, "over"]
