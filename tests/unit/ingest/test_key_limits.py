"""Limits of keys: averages hold in the long run, nothing is refused for good, and memory is bounded."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sentryml_ingest.domain import key_limits
from sentryml_ingest.domain.key_limits import BURST_SECONDS, Buckets, KeyLimits, Limit, LimitReached, Rate

NONE = {"events_per_second": 0.0, "bytes_per_second": 0.0, "new_models_per_hour": 0.0}


def limited(**changes: float) -> KeyLimits:
    return KeyLimits(**{**NONE, **changes})


def test_what_may_come_at_once_comes_at_once_and_then_evenly() -> None:
    found = limited(events_per_second=10)
    found.take_events("k", 100, [], now=0)
    with pytest.raises(LimitReached) as refused:
        found.take_events("k", 20, [], now=0)
    assert (refused.value.limit, refused.value.seconds) == (Limit.EVENTS, 2)
    found.take_events("k", 20, [], now=2)
    with pytest.raises(LimitReached):
        found.take_events("k", 1, [], now=2)


def test_what_was_refused_was_not_counted() -> None:
    found = limited(bytes_per_second=10)
    found.take_bytes("k", 95, now=0)
    for _ in range(5):
        with pytest.raises(LimitReached):
            found.take_bytes("k", 6, now=0)
    found.take_bytes("k", 5, now=0)


def test_keys_are_limited_apart() -> None:
    found = limited(events_per_second=1)
    found.take_events("a", 10, [], now=0)
    found.take_events("b", 10, [], now=0)


def test_more_than_ever_comes_at_once_is_let_through_once_nothing_is_owed_and_paid_off_then() -> None:
    found = limited(events_per_second=1)
    found.take_events("k", 50, [], now=0)
    with pytest.raises(LimitReached) as refused:
        found.take_events("k", 50, [], now=0)
    assert refused.value.seconds == 50
    found.take_events("k", 50, [], now=50)


def test_an_unlimited_key_sends_anything() -> None:
    found = limited()
    found.take_bytes("k", 10**12, now=0)
    found.take_events("k", 10**12, [f"m{number}" for number in range(10_000)], now=0)


def test_a_model_is_new_once_who_sends_it() -> None:
    found = limited(new_models_per_hour=3)
    found.take_events("a", 1, ["m1", "m2"], now=0)
    found.take_events("b", 1, ["m1", "m2", "m3", "m4"], now=0)
    found.take_events("a", 1, ["m1", "m2", "m3", "m4", "m5"], now=0)
    with pytest.raises(LimitReached) as refused:
        found.take_events("a", 1, ["m1", "m6"], now=0)
    assert (refused.value.limit, refused.value.seconds) == (Limit.NEW_MODELS, 1200)
    found.take_events("a", 1, ["m1", "m6"], now=1200)


def test_one_limit_that_is_reached_leaves_the_others_as_they_were() -> None:
    found = limited(events_per_second=1, new_models_per_hour=1)
    found.take_events("k", 1, ["m1"], now=0)
    for _ in range(20):
        with pytest.raises(LimitReached, match="new_models"):
            found.take_events("k", 9, ["m2"], now=0)
    found.take_events("k", 9, ["m1"], now=0)


def test_a_clock_that_is_set_back_neither_refills_nor_locks_out() -> None:
    found = limited(events_per_second=1)
    found.take_events("k", 5, [], now=10_000)
    found.take_events("k", 5, [], now=0)
    with pytest.raises(LimitReached):
        found.take_events("k", 1, [], now=0)
    found.take_events("k", 1, [], now=1)


@given(st.lists(st.tuples(st.integers(1, 30), st.floats(0, 5)), min_size=1, max_size=60))
def test_the_average_holds_whatever_is_sent_when(requests: list[tuple[int, float]]) -> None:
    """Never more than flowed in, what may come at once, and the one request that was let through in debt."""
    found, now, taken = limited(events_per_second=2), 0.0, 0
    waits: list[float] = []
    for amount, pause in requests:
        now += pause
        try:
            found.take_events("k", amount, [], now)
        except LimitReached as refused:
            waits.append(refused.seconds)
        else:
            taken += amount
    assert max(waits, default=0) <= (30 + 2 * BURST_SECONDS) / 2 + 1
    assert taken <= 2 * now + 2 * BURST_SECONDS + 30


def test_memory_is_bounded_in_keys_and_models(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(key_limits, "MOST_KEYS", 100)
    monkeypatch.setattr(key_limits, "MOST_MODELS", 100)
    buckets = Buckets(Limit.EVENTS, Rate(1, 10))
    for number in range(1_000):
        buckets.leave(f"k{number}", 0, now=0)
    assert len(buckets._levels) == 100
    assert buckets.level("k999", now=0) == 0
    assert buckets.level("k0", now=0) == 10
    found = limited(new_models_per_hour=1_000_000)
    for number in range(1_000):
        found.take_events("k", 1, ["often", f"m{number}"], now=0)
    assert len(found._counted) == 100
    assert "often" in found._counted, "what was sent recently is kept"
