"""The events of a request: read as the contract says, each field once, and the record reads back the same."""

from __future__ import annotations

import json
from typing import Any

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sentryml_common.contracts.prediction import InvalidEvents, parse_events, read_rows
from sentryml_ingest.domain.sent_events import FEW_BYTES, Sent, read_sent
from tests.unit.common.test_event_rows import BODIES, assert_same, outcome, written_events
from tests.unit.ingest.builders import event, read

QUOTE = "\\u0022"


def sent(body: bytes) -> Sent:
    return read_sent(body, most_events=1_000)


@given(BODIES)
def test_the_fast_reading_agrees_with_the_explaining_one(body: bytes) -> None:
    fast, slow = outcome(sent, body), outcome(parse_events, body)
    if isinstance(fast, Sent):
        for row, each in zip(read_rows(fast.record), slow, strict=True):
            assert_same(row, each)
        assert fast.models == {each.model_id for each in slow}
    else:
        assert fast == slow


@given(st.lists(written_events(), min_size=1, max_size=4), st.integers(0, 1))
def test_fields_given_twice_are_found_and_no_others(written: list[tuple[str, set[str]]], length: int) -> None:
    body = f"[{','.join(text for text, _ in written)}]{' ' * length * FEW_BYTES}".encode()
    expected = [(index, name) for index, (_, twice) in enumerate(written) for name in sorted(twice)]
    found = outcome(sent, body)
    if expected:
        assert [(error.index, error.field) for error in found] == expected
    else:
        assert len(found.events) == len(written)


def test_quotes_written_as_numbers_hide_no_field_that_is_given_twice() -> None:
    """Two such quotes, and two that got lost with the first score: as many in the record as in the body."""
    twice = f'{{"model_id":"m","prediction":"{QUOTE}{QUOTE}","score":1,"score":2}}'
    with pytest.raises(InvalidEvents, match="score: is given more than once"):
        sent(twice.encode())
    once = f'{{"model_id":"m","prediction":"{QUOTE}{QUOTE}","score":1}}'
    assert json.loads(sent(once.encode()).record)[0]["prediction"] == '""'


@pytest.mark.parametrize(
    "written",
    [
        event(score=0.5, timestamp="2026-11-23T10:15:00+01:00", event_id="a", version="2.3", segment="eu"),
        event(score=None, timestamp=1_795_425_300.25),
        event(prediction=True),
        event(event_id=None, version=None, segment=None, timestamp=None),
    ],
)
def test_a_record_has_what_was_sent_and_nothing_else(written: dict[str, Any]) -> None:
    assert orjson.loads(read(written).record) == [written]


def test_models_are_named_once() -> None:
    assert read({"model_id": "b"}, {"model_id": "a"}, {"model_id": "b"}).models == {"a", "b"}


AT = '"timestamp":"2026-11-23T10:15:00.500+01:00"'


@pytest.mark.parametrize(
    "body",
    [
        f'[{{"model_id":"m","prediction":0.10,{AT}}},{{"prediction":7,{AT},"model_id":"m"}}]',
        f'[{{"model_id": "m", "prediction": "a:b", {AT}}}, {{"model_id": "m", "prediction": "}}", {AT}}}]',
        '[{"model_id":"m","prediction":1,"score":null}]',
    ],
    ids=["compact", "with blanks", "null"],
)
def test_an_array_of_events_with_the_same_fields_goes_on_as_it_came(body: str) -> None:
    assert sent(f" {body}\n".encode()).record == body.encode()


@pytest.mark.parametrize(
    "body",
    [
        '[{"model_id":"m","prediction":1,"score":1},{"model_id":"m","prediction":1}]',
        '[{"model_id":"m","prediction":1},{"model_id":"m","prediction":1,"score":1}]',
        '[{"model_id":"m","prediction":":x"}]',
        '[{"model_id" : "m","prediction":"x"}]',
    ],
    ids=["one less", "one more", "a colon that begins a text", "a blank before a colon"],
)
def test_other_arrays_are_written_again_with_the_same_meaning(body: str) -> None:
    record = sent(body.encode()).record
    assert orjson.loads(record) == orjson.loads(body)


@pytest.mark.parametrize(
    "events",
    [
        '{"model_id":"m","prediction":1,"score":1,"score":2}',
        '{"model_id":"m","prediction":1,"score" :1,"score":2}',
        '{"model_id":"m","prediction":1,"score":2},{"model_id":"m","prediction":1,"score":1,"score":2}',
        '{"model_id":"m","prediction":":","score" :1,"score":2}',
        '{"model_id":"m","prediction":1,"score":1,"sc\\u006fre":2}',
    ],
)
def test_nothing_hides_a_field_that_is_given_twice(events: str) -> None:
    with pytest.raises(InvalidEvents, match="score: is given more than once"):
        sent(f"[{events}]".encode())
