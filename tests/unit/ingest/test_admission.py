"""Admission: every admitted event has a time at which it counts, and what is encoded reads back the same."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta, timezone
from typing import Any

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sentryml_common.contracts.prediction import MOST_ERRORS, EventRow, InvalidEvents, read_rows
from sentryml_ingest.domain.admission import TimeLimits, admit, encode_events, models_of
from tests.unit.common.keys import NOW
from tests.unit.ingest.builders import event, read

DAY = 86_400.0
REACHES = {"short": 3_600.0, "longer-than-is-counted": 100 * DAY}
LIMITS = TimeLimits(300.0, 35 * DAY, lambda model_id: REACHES.get(model_id, 35 * DAY))
ZONES = st.integers(-23 * 60, 23 * 60).map(lambda minutes: timezone(timedelta(minutes=minutes)))
TIMES = st.builds(
    lambda seconds, zone: datetime.fromtimestamp(seconds, UTC).astimezone(zone), st.integers(90_000, 2**32), ZONES
)
EVENTS = st.builds(
    EventRow,
    model_id=st.sampled_from(["flights-delay", "fraud:v2"]),
    prediction=st.text(max_size=128) | st.booleans() | st.floats(allow_nan=False, allow_infinity=False),
    score=st.none() | st.floats(allow_nan=False, allow_infinity=False),
    timestamp=TIMES | st.floats(0, 2**32),
    event_id=st.none() | st.text(max_size=64),
    version=st.none() | st.sampled_from(["2.3", "é"]),
    segment=st.none() | st.sampled_from(["eu"]),
)


def test_an_event_without_a_time_gets_the_time_of_receipt() -> None:
    earlier = NOW - timedelta(days=30)
    first, second = admit([read(), read(timestamp=earlier)], now=NOW, limits=LIMITS)
    assert first.timestamp == NOW
    assert second.seconds() == earlier.timestamp()
    assert (first.model_id, first.prediction, first.score, first.event_id) == ("flights-delay", "late", None, None)


def test_the_limit_itself_is_admitted() -> None:
    at_limit = read(timestamp=NOW + timedelta(seconds=LIMITS.future_seconds))
    assert admit([at_limit], now=NOW, limits=LIMITS) == [at_limit]


def test_what_lies_further_ahead_is_refused_by_index_with_what_to_check() -> None:
    ahead = read(timestamp=NOW + timedelta(hours=1))
    with pytest.raises(InvalidEvents) as refused:
        admit([read(), ahead, read(), ahead], now=NOW, limits=LIMITS)
    assert [(error.index, error.field) for error in refused.value.errors] == [(1, "timestamp"), (3, "timestamp")]
    assert refused.value.errors[0].reason == "is 3600 s in the future, more than 300 s: check the sender's clock"


def test_without_any_tolerance_the_present_is_admitted() -> None:
    limits = replace(LIMITS, future_seconds=0)
    assert admit([read(timestamp=NOW)], now=NOW, limits=limits)
    with pytest.raises(InvalidEvents):
        admit([read(timestamp=NOW + timedelta(microseconds=1))], now=NOW, limits=limits)


@pytest.mark.parametrize(
    ("model_id", "reach", "says"),
    [
        (
            "short",
            3_600,
            "the monitor's windows reach back 3600 s (1 h); leave it out, or lengthen them first",
        ),
        (
            "flights-delay",
            35 * DAY,
            "events of the last 3024000 s (35 d) are (SENTRYML_LONGEST_WINDOW_SECONDS); leave it out",
        ),
        ("longer-than-is-counted", 35 * DAY, "events of the last 3024000 s (35 d) are"),
    ],
)
def test_what_is_too_old_to_count_is_refused_by_index_with_the_limit(model_id: str, reach: float, says: str) -> None:
    at_limit = read(model_id=model_id, timestamp=NOW - timedelta(seconds=reach))
    too_old = read(model_id=model_id, timestamp=NOW - timedelta(seconds=reach + 1))
    assert admit([at_limit], now=NOW, limits=LIMITS) == [at_limit]
    with pytest.raises(InvalidEvents) as refused:
        admit([at_limit, too_old], now=NOW, limits=LIMITS)
    [error] = refused.value.errors
    assert (error.index, error.field) == (1, "timestamp")
    assert error.reason.startswith(f"is {reach + 1:.0f} s old and would not be counted: ")
    assert says in error.reason


@pytest.mark.parametrize("timestamp", ["0001-01-01T00:00:00+10:00", "0001-01-01T00:00:00Z", 0])
def test_times_at_the_start_of_the_calendar_are_refused(timestamp: Any) -> None:
    with pytest.raises(InvalidEvents, match="s old and would not be counted"):
        admit([read(timestamp=timestamp)], now=NOW, limits=LIMITS)


def test_at_most_a_hundred_events_out_of_time_are_named() -> None:
    with pytest.raises(InvalidEvents) as refused:
        admit([read(timestamp=0) for _ in range(500)], now=NOW, limits=LIMITS)
    assert [error.index for error in refused.value.errors] == list(range(MOST_ERRORS))


def test_times_at_the_end_of_the_calendar_are_refused() -> None:
    with pytest.raises(InvalidEvents, match="check the sender's clock"):
        admit([read(timestamp="9999-12-31T23:59:59-10:00")], now=NOW, limits=LIMITS)


def test_a_record_is_an_array_with_what_was_sent_and_a_time() -> None:
    admitted = admit([read(score=0.5), read(prediction=True)], now=NOW, limits=LIMITS)
    assert orjson.loads(encode_events(admitted)) == [
        {"model_id": "flights-delay", "prediction": "late", "score": 0.5, "timestamp": "2026-11-23T09:15:00Z"},
        {"model_id": "flights-delay", "prediction": True, "timestamp": "2026-11-23T09:15:00Z"},
    ]


@given(st.lists(EVENTS, min_size=1, max_size=5))
def test_what_is_encoded_reads_back_the_same(events: list[EventRow]) -> None:
    again = read_rows(encode_events(events))
    assert again == events
    assert [type(event.prediction) for event in again] == [type(event.prediction) for event in events]


@pytest.mark.parametrize(
    ("timestamp", "written"),
    [
        ("2026-11-23T10:15:00+01:00", "2026-11-23T10:15:00+01:00"),
        (1_795_425_300.25, 1_795_425_300.25),
    ],
)
def test_a_time_keeps_its_meaning_on_the_way(timestamp: Any, written: Any) -> None:
    [sent] = orjson.loads(encode_events(read_rows(orjson.dumps(event(timestamp=timestamp)))))
    assert sent["timestamp"] == written


def test_models_are_named_once_and_in_order() -> None:
    assert models_of([read(model_id="b"), read(model_id="a"), read(model_id="b")]) == ["a", "b"]
