"""What requests hold and no service can use: refused with 422, naming the field, before any server is asked."""

from __future__ import annotations

import base64
import json
from datetime import UTC, datetime
from typing import Any
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import AwareDatetime, TypeAdapter, ValidationError

from sentryml_common.http.bodies import check_json
from sentryml_common.http.paging import from_cursor, to_cursor
from sentryml_common.http.problems import Problem
from sentryml_common.http.times import WithOffset

PLACE = TypeAdapter(tuple[AwareDatetime, int, UUID])
TIME: TypeAdapter[datetime] = TypeAdapter(WithOffset)
HERE = (datetime(2026, 11, 23, tzinfo=UTC), 7, UUID(int=1))

json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
)


def refusal(body: bytes) -> tuple[str, str]:
    with pytest.raises(Problem) as refused:
        check_json(body)
    assert refused.value.status == 422
    (error,) = refused.value.extra["errors"]
    return error["field"], error["reason"]


@pytest.mark.parametrize(
    ("body", "field"),
    [
        (b'{"name": 1, "name": 1}', "body.name"),
        (b'[{"a": {"deep": 1, "b": 2, "deep": 3}}]', "body.deep"),
        (b'{"n\\u0061me": 1, "name": 2}', "body.name"),
    ],
)
def test_a_field_given_twice_is_named(body: bytes, field: str) -> None:
    assert refusal(body) == (field, "is given twice: send it once")


@pytest.mark.parametrize(
    ("body", "field"),
    [
        (b'{"a": [0, "\\ud800"]}', "body.a.1"),
        (b'{"a": {"b\\udfff": 1}}', "body.a"),
        (b'"\\udfff\\ud800"', "body"),
    ],
)
def test_half_of_a_surrogate_pair_is_named_by_its_place(body: bytes, field: str) -> None:
    assert refusal(body)[0] == field


@given(json_values.map(json.dumps))
def test_any_other_json_passes(text: str) -> None:
    check_json(text.encode())


@pytest.mark.parametrize("body", [b"", b"{", b"\xff", b"[" * 100_000, b"1" * 10_000, b'"\\ud83d\\ude00"'])
def test_what_is_no_json_is_left_to_who_reads_it(body: bytes) -> None:
    check_json(body)


def test_a_cursor_leads_back_to_its_position() -> None:
    assert from_cursor(to_cursor(HERE), PLACE) == HERE
    assert from_cursor(None, PLACE) is None


@pytest.mark.parametrize(
    "position",
    [
        ("0001-01-01T00:00:00+14:00", 7, str(UUID(int=1))),
        ("9999-12-31T23:59:59-14:00", 7, str(UUID(int=1))),
        (HERE[0].isoformat(), 2**63, str(UUID(int=1))),
        (HERE[0].isoformat(), -(2**63) - 1, str(UUID(int=1))),
        (HERE[0].isoformat(), 7),
        "a",
        {},
    ],
)
def test_a_position_that_no_row_can_have_is_no_cursor(position: Any) -> None:
    cursor = base64.urlsafe_b64encode(json.dumps(position).encode()).decode()
    with pytest.raises(Problem) as refused:
        from_cursor(cursor, PLACE)
    assert (refused.value.status, refused.value.kind) == (422, "invalid-cursor")


@pytest.mark.parametrize("cursor", ["é", "\x00", "%", "A", "bnVsbA", base64.urlsafe_b64encode(b'"a\\u0000"').decode()])
def test_what_is_no_cursor_is_refused(cursor: str) -> None:
    with pytest.raises(Problem):
        from_cursor(cursor, TypeAdapter(str))


@pytest.mark.parametrize(
    "given_time", ["0001-01-01T00:00:00+14:00", "9999-12-31T23:59:59-14:00", "2026-11-23T00:00:00", "1763856000"]
)
def test_a_time_that_utc_cannot_hold_or_without_an_offset_is_refused(given_time: str) -> None:
    with pytest.raises(ValidationError):
        TIME.validate_python(given_time)


def test_a_time_is_kept_as_utc() -> None:
    assert TIME.validate_python("2026-11-23T02:00:00+02:00").isoformat() == "2026-11-23T00:00:00+00:00"
