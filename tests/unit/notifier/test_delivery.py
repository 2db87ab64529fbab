"""What each outcome means for a delivery, and what is reported together."""

from __future__ import annotations

from datetime import timedelta
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sentryml_common.contracts.transition import TransitionKind
from sentryml_notifier.domain.delivery import (
    GIVE_UP_AFTER,
    LONGEST_BACKOFF_SECONDS,
    Delivered,
    DeliveryState,
    Outcome,
    Parked,
    ParkedBecause,
    RetryState,
    SendResult,
    TryAgain,
    Waiting,
    decide,
    next_batch,
)
from tests.unit.notifier.builders import NIGHT

FRESH = RetryState()
TIRED = RetryState(failures=4, failing_since=NIGHT - timedelta(minutes=1))
DOUBTFUL = RetryState(failures=1, failing_since=NIGHT, possibly_sent=True)
PLAIN = RetryState(plain=True)
EXHAUSTED = RetryState(failures=300, failing_since=NIGHT - GIVE_UP_AFTER)


def result(outcome: Outcome, retry_after: float | None = None) -> SendResult:
    return SendResult(outcome, "reason", "Words.", retry_after_seconds=retry_after)


def later(seconds: float, retry_state: RetryState) -> TryAgain:
    return TryAgain(NIGHT + timedelta(seconds=seconds), retry_state)


def undeliverable(because: ParkedBecause, retry_state: RetryState, minutes: float) -> Parked:
    return Parked(because, retry_state, NIGHT + timedelta(minutes=minutes))


@pytest.mark.parametrize(
    ("outcome", "retry_state", "expected"),
    [
        (Outcome.DELIVERED, FRESH, Delivered(NIGHT, FRESH)),
        (Outcome.DELIVERED, EXHAUSTED, Delivered(NIGHT, EXHAUSTED)),
        (Outcome.NOT_ACCEPTED, FRESH, later(0.5, RetryState(1, NIGHT))),
        (Outcome.NOT_ACCEPTED, TIRED, later(8, RetryState(5, TIRED.failing_since))),
        (Outcome.NOT_ACCEPTED, DOUBTFUL, later(1, RetryState(2, NIGHT, possibly_sent=True))),
        (Outcome.UNCERTAIN, FRESH, later(0.5, RetryState(1, NIGHT, possibly_sent=True))),
        (Outcome.INTERRUPTED, FRESH, later(0.5, RetryState(1, NIGHT, possibly_sent=True))),
        (Outcome.MESSAGE_REFUSED, FRESH, later(0, PLAIN)),
        (Outcome.MESSAGE_REFUSED, PLAIN, undeliverable(ParkedBecause.MESSAGE_REFUSED, PLAIN, 0)),
        (Outcome.CHANNEL_REFUSED, TIRED, undeliverable(ParkedBecause.CHANNEL_BROKEN, TIRED, 15)),
        (
            Outcome.NOT_ACCEPTED,
            EXHAUSTED,
            undeliverable(ParkedBecause.GAVE_UP, RetryState(301, EXHAUSTED.failing_since), 15),
        ),
    ],
)
def test_outcome_decides(outcome: Outcome, retry_state: RetryState, expected: object) -> None:
    assert decide(result(outcome), retry_state, now=NIGHT, jitter=0.5) == expected


@pytest.mark.parametrize(
    ("retry_after", "seconds"), [(7.0, 7.35), (0.0, 0.0), (None, 31.5), (-3.0, 0.0), (1e12, 3780.0)]
)
def test_rate_limit_pauses_the_channel_and_counts_as_no_failure(retry_after: float | None, seconds: float) -> None:
    limited = decide(result(Outcome.RATE_LIMITED, retry_after), TIRED, now=NIGHT, jitter=0.5)
    assert limited == later(seconds, TIRED)


@given(st.integers(0, 5000), st.floats(0, 1, exclude_max=True))
def test_back_off_is_never_longer_than_five_minutes_nor_before_now(failures: int, jitter: float) -> None:
    again = decide(result(Outcome.NOT_ACCEPTED), RetryState(failures=failures), now=NIGHT, jitter=jitter)
    assert isinstance(again, TryAgain)
    assert NIGHT <= again.at <= NIGHT + timedelta(seconds=LONGEST_BACKOFF_SECONDS)
    assert again.retry_state.failures == failures + 1


@given(st.sampled_from(Outcome), st.booleans(), st.booleans())
def test_nothing_is_dropped_and_a_doubt_is_never_forgotten(outcome: Outcome, doubt: bool, plain: bool) -> None:
    decided = decide(result(outcome), RetryState(possibly_sent=doubt, plain=plain), now=NIGHT, jitter=0.0)
    assert isinstance(decided, Delivered | TryAgain | Parked)
    assert decided.retry_state.possibly_sent or not doubt


def queue(*kinds: str) -> list[Waiting]:
    """A queue from words like `opened`, `opened!` and `opened?`, where ! means parked and ? that it was once; with `+`
    before it, it is a reminder, with `~` one of long drift."""
    return [
        Waiting(
            UUID(int=number), number, TransitionKind(kind.strip("+~!?")),
            DeliveryState.PARKED if kind.endswith("!") else DeliveryState.PENDING, kind.endswith("?"),
            kind[0] in "+~", kind[0] == "~",
        )
        for number, kind in enumerate(kinds)
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("kinds", "count"),
    [
        ((), 0),
        (("opened!",), 0),
        (("opened",), 1),
        (("opened", "escalated"), 1),
        (("opened", "worsened"), 1),
        (("opened", "worsened", "resolved"), 3),
        (("opened", "resolved"), 2),
        (("opened", "escalated", "resolved"), 3),
        (("opened", "resolved", "reopened"), 2),
        (("opened", "resolved", "reopened", "resolved"), 4),
        (("escalated", "closed"), 2),
        (("resolved",), 1),
        (("resolved", "reopened", "resolved"), 1),
        (("opened!", "escalated"), 2),
        (("opened!", "resolved"), 2),
        (("opened!", "escalated", "resolved"), 3),
        (("monitor_changed", "resolved"), 1),
        (("opened?", "escalated"), 2),
        (("opened?", "resolved?", "reopened?", "monitor_changed"), 4),
        (("opened!", "resolved?", "reopened"), 3),
        (("opened", "reopened?"), 1),
        (("+opened", "+opened"), 2),
        (("+opened", "escalated"), 2),
        (("+opened", "~opened"), 2),
        (("~opened", "~opened"), 2),
        (("~opened!", "~opened"), 2),
        (("acknowledged", "~opened"), 1),
        (("opened?", "escalated", "~opened"), 2),
        (("opened!", "~opened"), 2),
        (("opened", "resolved", "~opened"), 2),
    ],
)
def test_what_is_reported_in_one_message(kinds: tuple[str, ...], count: int) -> None:
    waiting = queue(*kinds)
    assert next_batch(waiting) == tuple(waiting[:count]) or next_batch(waiting) == waiting[:count]


@given(
    st.lists(
        st.sampled_from(
            ["opened", "escalated", "worsened", "reopened", "resolved", "closed", "opened!", "resolved!", "opened?"]
        )
    )
)
def test_a_queue_is_reported_from_its_start_without_gaps(kinds: list[str]) -> None:
    """Whatever is reported is a prefix, so order holds; and it tells something unless all is parked."""
    waiting = queue(*kinds)
    reported = list(next_batch(waiting))
    assert reported == waiting[: len(reported)]
    assert bool(reported) == any(each.state is not DeliveryState.PARKED for each in waiting)
