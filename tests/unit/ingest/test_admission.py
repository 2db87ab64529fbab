"""Admission: every admitted event has a time at which it counts, and what is encoded reads back the same."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from typing import Any

import orjson
import pytest

from sentryml_common.contracts.monitor import Monitor
from sentryml_common.contracts.prediction import MOST_ERRORS, InvalidEvents
from sentryml_ingest.domain.admission import TimeLimits, admit
from tests.unit.common.keys import NOW
from tests.unit.ingest.builders import event, read

DAY = 86_400.0
MONITORS = {
    model_id: Monitor(
        model_id=model_id, version=1, baseline_seconds=0.9 * reach, current_seconds=0.1 * reach, every_seconds=60
    )
    for model_id, reach in {"short": 3_600.0, "flights-delay": 40 * DAY, "longer-than-is-counted": 100 * DAY}.items()
}
LIMITS = TimeLimits(300.0, 35 * DAY, MONITORS)


def test_an_event_without_a_time_gets_the_time_of_receipt() -> None:
    earlier = NOW - timedelta(days=30)
    admitted = admit(read({}, {"timestamp": earlier}, {"timestamp": None}), now=NOW, limits=LIMITS)
    assert [each.timestamp for each in admitted.events] == [NOW, earlier, NOW]
    assert orjson.loads(admitted.record) == [
        event(timestamp="2026-11-23T09:15:00Z"),
        event(timestamp="2026-10-24T09:15:00Z"),
        event(timestamp="2026-11-23T09:15:00Z"),
    ]


def test_the_limit_itself_is_admitted() -> None:
    at_limit = read({"timestamp": NOW + timedelta(seconds=LIMITS.future_seconds)})
    assert admit(at_limit, now=NOW, limits=LIMITS) is at_limit


def test_what_lies_further_ahead_is_refused_by_index_with_what_to_check() -> None:
    ahead = {"timestamp": NOW + timedelta(hours=1)}
    with pytest.raises(InvalidEvents) as refused:
        admit(read({}, ahead, {}, ahead), now=NOW, limits=LIMITS)
    assert [(error.index, error.field) for error in refused.value.errors] == [(1, "timestamp"), (3, "timestamp")]
    assert refused.value.errors[0].reason == "is 3600 s in the future, more than 300 s: check the sender's clock"


def test_without_any_tolerance_the_present_is_admitted() -> None:
    limits = replace(LIMITS, future_seconds=0)
    assert admit(read({"timestamp": NOW}), now=NOW, limits=limits)
    with pytest.raises(InvalidEvents):
        admit(read({"timestamp": NOW + timedelta(microseconds=1)}), now=NOW, limits=limits)


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
    at_limit = {"model_id": model_id, "timestamp": NOW - timedelta(seconds=reach)}
    too_old = {"model_id": model_id, "timestamp": NOW - timedelta(seconds=reach + 1)}
    assert admit(read(at_limit), now=NOW, limits=LIMITS)
    with pytest.raises(InvalidEvents) as refused:
        admit(read(at_limit, too_old), now=NOW, limits=LIMITS)
    [error] = refused.value.errors
    assert (error.index, error.field) == (1, "timestamp")
    assert error.reason.startswith(f"is {reach + 1:.0f} s old and would not be counted: ")
    assert says in error.reason


@pytest.mark.parametrize("timestamp", ["0001-01-01T00:00:00+10:00", "0001-01-01T00:00:00Z", 0])
def test_times_at_the_start_of_the_calendar_are_refused(timestamp: Any) -> None:
    with pytest.raises(InvalidEvents, match="s old and would not be counted"):
        admit(read({"timestamp": timestamp}), now=NOW, limits=LIMITS)


def test_at_most_a_hundred_events_out_of_time_are_named() -> None:
    with pytest.raises(InvalidEvents) as refused:
        admit(read(*[{"timestamp": 0}] * 500), now=NOW, limits=LIMITS)
    assert [error.index for error in refused.value.errors] == list(range(MOST_ERRORS))


def test_times_at_the_end_of_the_calendar_are_refused() -> None:
    with pytest.raises(InvalidEvents, match="check the sender's clock"):
        admit(read({"timestamp": "9999-12-31T23:59:59-10:00"}), now=NOW, limits=LIMITS)


def test_the_age_of_an_event_is_that_of_its_own_model() -> None:
    """Not that of the model that reaches back least."""
    old = {"timestamp": NOW - timedelta(days=2)}
    both = read(old, {"model_id": "short", "timestamp": NOW})
    assert admit(both, now=NOW, limits=LIMITS) is both
    with pytest.raises(InvalidEvents) as refused:
        admit(read(old, old | {"model_id": "short"}), now=NOW, limits=LIMITS)
    assert [error.index for error in refused.value.errors] == [1]


def test_times_of_both_forms_are_admitted_together() -> None:
    both = read({"timestamp": NOW}, {"timestamp": NOW.timestamp()})
    assert admit(both, now=NOW, limits=LIMITS) is both
