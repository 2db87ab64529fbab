"""Admission: every admitted event has a time, none lies too far ahead, and what is encoded reads back the same."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta, timezone
from typing import Any

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sentryml_common.contracts.prediction import InvalidEvents, PredictionEvent, parse_events
from sentryml_ingest.domain.admission import admit, encode_events, models_of
from tests.unit.common.keys import NOW
from tests.unit.ingest.builders import event, parsed

LIMIT = 300.0
ZONES = st.integers(-23 * 60, 23 * 60).map(lambda minutes: timezone(timedelta(minutes=minutes)))
TIMES = st.builds(
    lambda seconds, zone: datetime.fromtimestamp(seconds, UTC).astimezone(zone), st.integers(90_000, 2**32), ZONES
)
EVENTS = st.builds(
    PredictionEvent,
    model_id=st.sampled_from(["flights-delay", "fraud:v2"]),
    prediction=st.text(max_size=128) | st.booleans() | st.floats(allow_nan=False, allow_infinity=False),
    score=st.none() | st.floats(allow_nan=False, allow_infinity=False),
    timestamp=TIMES,
    event_id=st.none() | st.text(max_size=64),
)


def test_an_event_without_a_time_gets_the_time_of_receipt() -> None:
    earlier = NOW - timedelta(days=30)
    first, second = admit([parsed(), parsed(timestamp=earlier)], now=NOW, future_limit_seconds=LIMIT)
    assert first.timestamp == NOW
    assert second.timestamp == earlier
    assert first.model_dump(exclude={"timestamp"}) == parsed().model_dump(exclude={"timestamp"})


def test_the_limit_itself_is_admitted() -> None:
    at_limit = parsed(timestamp=NOW + timedelta(seconds=LIMIT))
    assert admit([at_limit], now=NOW, future_limit_seconds=LIMIT) == [at_limit]


def test_what_lies_further_ahead_is_refused_by_index_with_what_to_check() -> None:
    ahead = parsed(timestamp=NOW + timedelta(hours=1))
    with pytest.raises(InvalidEvents) as refused:
        admit([parsed(), ahead, parsed(), ahead], now=NOW, future_limit_seconds=LIMIT)
    assert [(error.index, error.field) for error in refused.value.errors] == [(1, "timestamp"), (3, "timestamp")]
    assert refused.value.errors[0].reason == "lies 3600 s ahead, more than 300 s: check the sender's clock"


def test_without_any_tolerance_the_present_is_admitted() -> None:
    assert admit([parsed(timestamp=NOW)], now=NOW, future_limit_seconds=0)
    with pytest.raises(InvalidEvents):
        admit([parsed(timestamp=NOW + timedelta(microseconds=1))], now=NOW, future_limit_seconds=0)


@pytest.mark.parametrize("timestamp", ["0001-01-01T00:00:00+10:00", "0001-01-01T00:00:00Z"])
def test_times_at_the_start_of_the_calendar_are_admitted_to_be_counted_as_late(timestamp: str) -> None:
    events = parse_events(orjson.dumps(event(timestamp=timestamp)))
    assert admit(events, now=NOW, future_limit_seconds=LIMIT) == events


def test_times_at_the_end_of_the_calendar_are_refused() -> None:
    events = parse_events(orjson.dumps(event(timestamp="9999-12-31T23:59:59-10:00")))
    with pytest.raises(InvalidEvents, match="check the sender's clock"):
        admit(events, now=NOW, future_limit_seconds=LIMIT)


def test_a_record_is_an_array_with_what_was_sent_and_a_time() -> None:
    admitted = admit([parsed(score=0.5), parsed(prediction=True)], now=NOW, future_limit_seconds=LIMIT)
    assert orjson.loads(encode_events(admitted)) == [
        {"model_id": "flights-delay", "prediction": "late", "score": 0.5, "timestamp": "2026-11-23T09:15:00Z"},
        {"model_id": "flights-delay", "prediction": True, "timestamp": "2026-11-23T09:15:00Z"},
    ]


@given(st.lists(EVENTS, min_size=1, max_size=5))
def test_what_is_encoded_reads_back_the_same(events: list[PredictionEvent]) -> None:
    again = parse_events(encode_events(events))
    assert again == events
    assert [type(event.prediction) for event in again] == [type(event.prediction) for event in events]


@pytest.mark.parametrize(
    ("timestamp", "written"),
    [
        ("2026-11-23T10:15:00+01:00", "2026-11-23T10:15:00+01:00"),
        (1_795_425_300.25, "2026-11-23T09:15:00.250000Z"),
    ],
)
def test_a_time_keeps_its_meaning_on_the_way(timestamp: Any, written: str) -> None:
    [sent] = orjson.loads(encode_events(parse_events(orjson.dumps(event(timestamp=timestamp)))))
    assert sent["timestamp"] == written


def test_models_are_named_once_and_in_order() -> None:
    assert models_of([parsed(model_id="b"), parsed(model_id="a"), parsed(model_id="b")]) == ["a", "b"]
