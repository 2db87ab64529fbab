"""What people read about where an alert went: one line each, true as of the last word of the notifier. Pure."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum

from sentryml_common.contracts.delivery import LATEST_ATTEMPTS_MAX, Delivery, DeliveryState
from sentryml_common.text import duration

KINDS = {
    "slack": "Slack",
    "webhook": "Webhook",
    "email": "E-mail",
    "mail": "E-mail",
    "pagerduty": "PagerDuty",
    "alertmanager": "Alertmanager",
    "teams": "Microsoft Teams",
    "discord": "Discord",
}
"""Kinds of channels as people call them, by how their codes begin."""

AT_ONCE = timedelta(seconds=2)
"""What is due later after it was made waits for company."""

RATE_LIMITED, GAVE_UP = "rate_limited", "gave_up"


class Tone(StrEnum):
    """What a line is about, for its sign and its colour."""

    DELIVERED = "delivered"
    WAITING = "waiting"
    UNDELIVERABLE = "undeliverable"
    NOBODY = "nobody"
    OVER = "over"


@dataclass(frozen=True, slots=True)
class DeliveryLine:
    """`<where>: <what>`, then `why` in whole sentences, then `next_word` with the time `next_at` if there is one."""

    tone: Tone
    where: str
    what: str
    why: str | None = None
    next_word: str = ""
    next_at: datetime | None = None
    delivery: Delivery | None = None

    @property
    def older_left_out(self) -> bool:
        """Whether there were more attempts than the notifier tells."""
        return self.delivery is not None and self.delivery.attempts > LATEST_ATTEMPTS_MAX


UNKNOWN = DeliveryLine(Tone.WAITING, "", "The notifier has not reported yet where this was sent.")
"""For an alert without a known delivery."""


def line_of(delivery: Delivery, now: datetime) -> DeliveryLine:
    """A delivery in words."""
    where = channel_name(delivery.channel or "", delivery.channel_kind or "")
    if delivery.long_drift_days:
        where = f"{where}, reminder after {delivery.long_drift_days} d"
    elif delivery.reminder:
        where = f"{where}, reminder {delivery.reminder}"
    match delivery.state:
        case DeliveryState.NO_ROUTE:
            return DeliveryLine(Tone.NOBODY, "", "Nobody was notified.", delivery.text, delivery=delivery)
        case DeliveryState.DELIVERED:
            twice = "; possible duplicate" if delivery.possibly_repeated else ""
            group = f", in alert group {delivery.group_number}" if delivery.group_number else ""
            held = ", held by its route" if delivery.held_until else ""
            what = f"delivered after {latency(_took(delivery))}{held}{group}{twice}"
            return DeliveryLine(Tone.DELIVERED, where, what, delivery=delivery)
        case DeliveryState.PARKED:
            again = _again(delivery, now) if delivery.parked_because == GAVE_UP else ("", None)
            return DeliveryLine(Tone.UNDELIVERABLE, where, "undeliverable", delivery.text, *again, delivery)
        case DeliveryState.NOT_SENT:
            return DeliveryLine(Tone.OVER, where, "not sent", delivery.text, delivery=delivery)
        case DeliveryState.SENDING:
            return DeliveryLine(Tone.WAITING, where, "being sent", delivery=delivery)
        case DeliveryState.PENDING:
            return _waiting(delivery, where, now)


def _took(delivery: Delivery) -> float:
    """Seconds until it was delivered: from the transition, or from when it was time to remind."""
    if delivery.reminder and delivery.delivered_at is not None:
        return (delivery.delivered_at - delivery.created_at).total_seconds()
    return delivery.latency_seconds or 0.0


def channel_name(name: str, kind: str) -> str:
    """A channel as people call it: `Slack`, or `ops (Slack)` where it has a name of its own."""
    called = next((text for code, text in KINDS.items() if kind.startswith(code)), kind)
    return called if name.lower() == called.lower() else f"{name} ({called})" if called else name


def latency(seconds: float) -> str:
    """A time that one waits for, as exact as one cares."""
    return f"{max(seconds, 0.1):.1f} s" if seconds < 10 else duration(timedelta(seconds=seconds))


def _waiting(delivery: Delivery, where: str, now: datetime) -> DeliveryLine:
    if delivery.held_until is not None and delivery.held_until > now:
        what = f"held by the schedule of the route {delivery.route},"
        return DeliveryLine(Tone.WAITING, where, what, None, "until", delivery.held_until, delivery)
    at_once = max(now, delivery.created_at + AT_ONCE)
    if delivery.due_at is not None and delivery.due_at > at_once and not delivery.attempts:
        what = "waiting for others to be sent together,"
        return DeliveryLine(Tone.WAITING, where, what, None, "until", delivery.due_at, delivery)
    if not delivery.attempts or not delivery.text:
        return DeliveryLine(Tone.WAITING, where, "waiting to be sent", delivery=delivery)
    last = delivery.latest_attempts[-1] if delivery.latest_attempts else None
    limited = last is not None and last.outcome == RATE_LIMITED
    if limited and delivery.due_at is not None and delivery.due_at > now:
        what = f"waiting: rate-limited by {where}"
        return DeliveryLine(Tone.WAITING, where, what, None, "until", delivery.due_at, delivery)
    return DeliveryLine(Tone.WAITING, where, "waiting", delivery.text, *_again(delivery, now), delivery)


def _again(delivery: Delivery, now: datetime) -> tuple[str, datetime | None]:
    if delivery.due_at is None or delivery.due_at <= now:
        return "Next attempt any moment.", None
    return "Next attempt", delivery.due_at
