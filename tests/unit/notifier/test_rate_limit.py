"""The token bucket: never more than was allowed, and never slower than that either."""

from __future__ import annotations

from datetime import datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sentryml_notifier.channels.base import Paced
from sentryml_notifier.channels.kinds import KINDS
from sentryml_notifier.domain.rate_limit import Rate
from tests.unit.notifier.builders import NIGHT


def sent(rate: Rate, asked: list[float]) -> list[float]:
    """When messages leave that somebody would like to send at these seconds, each as soon as it may."""
    full_at: datetime | None = None
    left, now = [], NIGHT
    for second in asked:
        now = rate.free_at(full_at, max(now, NIGHT + timedelta(seconds=second)))
        full_at = rate.full_after(full_at, now)
        left.append((now - NIGHT).total_seconds())
    return left


def test_a_full_bucket_lets_a_burst_go_then_one_at_a_time() -> None:
    assert sent(Rate(1.0, 3), [0.0] * 6) == [0, 0, 0, 1, 2, 3]


def test_what_was_not_used_is_kept_up_to_the_burst() -> None:
    assert sent(Rate(2.0, 2), [0, 0, 0, 100, 100, 100]) == [0, 0, 0.5, 100, 100, 100.5]


rates = st.builds(Rate, st.floats(0.1, 50), st.integers(1, 5))


@given(rates, st.lists(st.floats(0, 60), max_size=40).map(sorted))
def test_no_stretch_of_time_holds_more_than_burst_and_rate_allow(rate: Rate, asked: list[float]) -> None:
    left = sent(rate, asked)
    for first, start in enumerate(left):
        for last, end in enumerate(left[first:], first):
            # A microsecond for each message: times are whole ones.
            assert last - first + 1 <= rate.burst + (end - start) * rate.per_second + 1e-3


@given(rates, st.integers(2, 40))
def test_a_long_queue_leaves_at_the_full_rate(rate: Rate, count: int) -> None:
    assert sent(rate, [0.0] * count)[-1] == pytest.approx(max(0, count - rate.burst) / rate.per_second, abs=1e-3)


def test_a_bucket_from_a_slower_time_is_full_soon() -> None:
    slow, fast = Rate(0.001, 5), Rate(10.0, 1)
    full_at = slow.full_after(None, NIGHT)
    assert fast.free_at(full_at, NIGHT) <= NIGHT + timedelta(seconds=0.1)


def test_slack_gets_one_message_a_second_by_default_and_what_is_set_otherwise() -> None:
    webhook = KINDS["slack_webhook"]
    assert webhook.rate({}) == Rate(1.0, 3)
    assert webhook.rate({"messages_per_second": 20, "burst": 1}) == Rate(20.0, 1)
    assert Paced().rate.per_second < 10, "Slack asks for less than others"
