"""What people read about where an alert went: true in every state, with what to do where something is to be done."""

from __future__ import annotations

from datetime import timedelta

import pytest

from sentryml_common.contracts.delivery import Attempt, Delivery, DeliveryState
from sentryml_incidents.web.view.deliveries import channel_name, latency, line_of
from sentryml_lifecycle.text.wording import clock
from tests.unit.incidents.builders import MONDAY, a_delivery, at

DOWN = "Slack is not available at the moment (503)."
ARCHIVED = "This Slack channel is archived. Unarchive it."


def tried_once(outcome: str, due_minutes: float, text: str = DOWN) -> Delivery:
    """One that waits after an attempt."""
    attempt = Attempt(at=MONDAY, outcome=outcome, reason="any", text=text, http_status=503)
    return a_delivery("pending", attempts=1, text=text, due_at=at(due_minutes), latest_attempts=(attempt,))


def reads(delivery: Delivery, minutes: float = 0) -> str:
    """The line as one reads it."""
    now = at(minutes)
    line = line_of(delivery, now)
    colon = ":" if line.why and line.where else ""
    parts = [f"{line.where}: " * bool(line.where) + line.what + colon, line.why or "", line.next_word]
    return " ".join(filter(None, [*parts, clock(line.next_at, now) if line.next_at else ""]))


@pytest.mark.parametrize(
    ("delivery", "text"),
    [
        (a_delivery(), "Slack: delivered after 1.2 s"),
        (a_delivery(latency_seconds=0.004), "Slack: delivered after 0.1 s"),
        (a_delivery(latency_seconds=754.4), "Slack: delivered after 12 min 34 s"),
        (a_delivery(possibly_repeated=True), "Slack: delivered after 1.2 s; possible duplicate"),
        (a_delivery(group_number=7), "Slack: delivered after 1.2 s, in alert group 7"),
        (a_delivery("pending"), "Slack: waiting to be sent"),
        (
            a_delivery("pending", due_at=at(10)),
            "Slack: waiting for others to be sent together, until 09:25:00 UTC",
        ),
        (
            a_delivery("pending", due_at=at(70), held_until=at(70), text="It was held by the schedule of its route."),
            "Slack: held by the schedule of the route slack, until 10:25:00 UTC",
        ),
        (a_delivery(latency_seconds=3600, held_until=at(60)), "Slack: delivered after 1 h, held by its route"),
        (a_delivery("sending", attempts=1), "Slack: being sent"),
        (a_delivery("parked", text=ARCHIVED), f"Slack: undeliverable: {ARCHIVED}"),
        (
            a_delivery("parked", parked_because="gave_up", text=DOWN, due_at=at(15)),
            f"Slack: undeliverable: {DOWN} Next attempt 09:30:00 UTC",
        ),
        (tried_once("not_accepted", 2), f"Slack: waiting: {DOWN} Next attempt 09:17:00 UTC"),
        (tried_once("not_accepted", -1), f"Slack: waiting: {DOWN} Next attempt any moment."),
        (tried_once("rate_limited", 3), "Slack: waiting: rate-limited by Slack until 09:18:00 UTC"),
        (tried_once("rate_limited", -1, "Asked (429)."), "Slack: waiting: Asked (429). Next attempt any moment."),
        (a_delivery("no_route", text="No route takes this alert."), "Nobody was notified. No route takes this alert."),
    ],
)
def test_every_state_in_words(delivery: Delivery, text: str) -> None:
    assert reads(delivery) == text


@pytest.mark.parametrize("state", DeliveryState)
def test_every_state_has_a_line(state: str) -> None:
    line = line_of(a_delivery(state), MONDAY)
    assert line.what
    assert line.tone == {
        "pending": "waiting",
        "sending": "waiting",
        "parked": "undeliverable",
        "no_route": "nobody",
        "not_sent": "over",
    }.get(state, "delivered")


def test_a_reminder_says_which_it_is() -> None:
    assert line_of(a_delivery(reminder=2), MONDAY).where == "Slack, reminder 2"
    assert line_of(a_delivery(reminder=1, long_drift_days=7), MONDAY).where == "Slack, reminder after 7 d"


def test_what_a_later_notifier_calls_its_channel_is_shown_all_the_same() -> None:
    assert channel_name("pager", "carrier_pigeon") == "pager (carrier_pigeon)"
    assert channel_name("ops", "slack_bot") == "ops (Slack)"
    assert channel_name("slack", "slack_webhook") == "Slack"
    assert channel_name("ops", "") == "ops"


def test_latency_is_never_nothing() -> None:
    assert [latency(seconds) for seconds in (0, 9.96, 10, 3661)] == ["0.1 s", "10.0 s", "10 s", "1 h 1 min"]


def test_a_time_of_another_day_has_its_date() -> None:
    assert clock(MONDAY, MONDAY + timedelta(hours=2)) == "09:15:00 UTC"
    assert clock(MONDAY, MONDAY + timedelta(days=1)) == "23 Nov 2026, 09:15:00 UTC"
