"""The fast reading of events and the explaining one agree: on what is accepted, what it means, and what is refused."""

from __future__ import annotations

import json
from typing import Any

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sentryml_common.contracts.prediction import EventRow, InvalidEvents, PredictionEvent, parse_events, read_rows
from sentryml_common.errors import UndecodableMessage
from tests.unit.common.test_prediction import FIELDS, GOOD_EVENTS, JSON, LEAST

MICROSECOND = 1e-6
NEARLY_GOOD = st.builds(
    lambda event, changes: event | changes, GOOD_EVENTS, st.dictionaries(st.sampled_from([*FIELDS, "age"]), JSON)
)
BODIES = (
    st.one_of(JSON, NEARLY_GOOD, st.lists(NEARLY_GOOD, max_size=4), st.lists(GOOD_EVENTS, min_size=1, max_size=4))
    .map(lambda value: orjson.dumps(value, option=orjson.OPT_PASSTHROUGH_DATACLASS | orjson.OPT_NON_STR_KEYS))
    .filter(bool)
)


def outcome(read: Any, body: bytes) -> Any:
    try:
        return read(body)
    except UndecodableMessage as err:
        return err.reason
    except InvalidEvents as err:
        return err.errors


def assert_same(row: EventRow, event: PredictionEvent) -> None:
    assert (row.model_id, row.score, row.event_id) == (event.model_id, event.score, event.event_id)
    assert (row.version, row.segment) == (event.version, event.segment)
    assert row.prediction == event.prediction
    assert type(row.prediction) is type(event.prediction)
    assert (row.timestamp is None) == (event.timestamp is None)
    if event.timestamp is not None:
        assert row.seconds() == pytest.approx(event.timestamp.timestamp(), rel=0, abs=MICROSECOND)


def assert_agree(body: bytes) -> None:
    fast, slow = outcome(read_rows, body), outcome(parse_events, body)
    if isinstance(slow, list) and slow and isinstance(slow[0], PredictionEvent):
        for row, event in zip(fast, slow, strict=True):
            assert_same(row, event)
    else:
        assert fast == slow


@st.composite
def written_events(draw: st.DrawFn) -> tuple[str, set[str]]:
    """An event within the contract, written in any order with any blanks, and which of its fields it has twice."""
    event = draw(GOOD_EVENTS)
    twice = draw(st.sets(st.sampled_from(sorted(event)), max_size=2))
    blank, ascii_only = draw(st.sampled_from(["", " ", "\n\t"])), draw(st.booleans())
    fields = draw(st.permutations([*event, *twice]))
    pairs = [f'"{name}"{blank}:{blank}{json.dumps(event[name], ensure_ascii=ascii_only)}' for name in fields]
    return "{" + f"{blank},{blank}".join(pairs) + "}", twice


@given(st.lists(written_events(), min_size=1, max_size=4), st.booleans())
def test_fields_given_twice_are_found_and_no_others(written: list[tuple[str, set[str]]], alone: bool) -> None:
    written = written[:1] if alone else written
    body = written[0][0] if alone else f"[{','.join(text for text, _ in written)}]"
    expected = [(index, name) for index, (_, twice) in enumerate(written) for name in sorted(twice)]
    for read in (read_rows, parse_events):
        found = outcome(read, body.encode())
        if expected:
            assert [(error.index, error.field) for error in found] == expected
        else:
            assert len(found) == len(written)


@given(BODIES)
def test_both_readings_agree_on_any_body(body: bytes) -> None:
    assert_agree(body)


@pytest.mark.parametrize(
    "fields",
    [
        {"model_id": "m\n"}, {"model_id": ""}, {"model_id": "m" * 128}, {"model_id": "m" * 129}, {"model_id": "é"},
        {"prediction": True}, {"prediction": 1}, {"prediction": ""}, {"prediction": "x" * 129},
        {"prediction": None}, {"score": 7}, {"score": "0.5"}, {"score": True}, {"score": -0.0},
        {"timestamp": 0}, {"timestamp": -1}, {"timestamp": True}, {"timestamp": 1_795_425_300_000},
        {"timestamp": "2026-11-23T09:15:00Z"}, {"timestamp": "2026-11-23T09:15:00+05:30"},
        {"timestamp": "2026-11-23T09:15:00"}, {"timestamp": "2026-11-23 09:15:00Z"}, {"timestamp": "2026-11-23"},
        {"timestamp": "2026-11-23T09:15:00.1234567Z"}, {"timestamp": "2026-11-23t09:15:00z"},
        {"timestamp": "2026-11-23T24:00:00Z"}, {"timestamp": "2026-11-23T09:15:60Z"}, {"timestamp": "1795425300"},
        {"timestamp": "1900-01-01T00:00:00Z"}, {"timestamp": "2026-11-23T09:15Z"}, {"timestamp": ""},
        {"event_id": ""}, {"event_id": "e" * 65}, {"event_id": 5}, {"age": 42},
        {"version": "2.3"}, {"version": ""}, {"version": "v" * 64}, {"version": "v" * 65}, {"version": 2.3},
        {"version": "2.3\n"}, {"version": "\n"}, {"version": "\0"}, {"version": "\x85"}, {"version": "\u2028"},
        {"segment": "eu"}, {"segment": "日" * 64}, {"segment": "a\tb"}, {"segment": None}, {"segment": ["eu"]},
    ],
    ids=str,
)  # fmt: skip
def test_both_readings_agree_where_libraries_differ(fields: dict[str, Any]) -> None:
    assert_agree(orjson.dumps({**LEAST, **fields}))
    assert_agree(orjson.dumps([LEAST, {**LEAST, **fields}]))


@pytest.mark.parametrize(
    "body",
    [
        b"", b" ", b"null", b"1", b"[]", b"{}", b"[{}]", b"[[]]", b"{", b"\xff", b'{"model_id":"\xff","prediction":1}',
        b' {"model_id":"m","prediction":1}', b'\n[{"model_id":"m","prediction":1}] ',
        b'{"model_id":"m","prediction":1e999}',
        b'{"model_id":"m","prediction":123456789012345678901234567890}', b'{"model_id":"m","prediction":NaN}',
        b'{"model_id":"m","prediction":1,"prediction":2}', b'{"model_id":"m","prediction":"\\ud800"}',
        b'{"model_id":"m","prediction":1}{}', b'\xef\xbb\xbf[{"model_id":"m","prediction":1}]', b"\xef\xbb\xbf",
        b' {"model_id":"m","prediction":1,"score":1,"score":1}', b'[{"model_id":"m","prediction":1,"score":NaN}]',
        b'{"model_id":"m","prediction":1,"\\u0073core":null,"event_id":"\\"\\\\"}',
        b'{"model_id":"m","prediction":1,"score":null,"timestamp":null,"event_id":null}',
    ],
    ids=repr,
)  # fmt: skip
def test_both_readings_agree_on_odd_bytes(body: bytes) -> None:
    assert_agree(body)
