"""Whether alerts reach people, as far as one notifier can tell: only then it gives a sign of life."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta

KAFKA_LATE = timedelta(seconds=60)
"""It is asked every 15 s."""
CONSUMER_IDLE_SECONDS = 60.0
"""It reads at least every half second."""
AUDIT_LATE = timedelta(seconds=60)
"""It is made every 5 s."""


@dataclass(frozen=True, slots=True)
class Observed:
    """What a notifier knows of itself: `waiting_for` is that of `/readyz`, `found` a fault that the last audit
    found, `all_broken` whether no channel works that system alerts go to."""

    waiting_for: Mapping[str, str]
    kafka_answered_at: datetime | None
    consumer_idle_seconds: float
    audited_at: datetime | None
    found: str | None
    all_broken: bool


def why_withheld(observed: Observed, now: datetime) -> str | None:
    """Why there is no sign of life; None if there is one."""
    for what, why in observed.waiting_for.items():
        return f"{what}: {why}"
    if observed.kafka_answered_at is None or now - observed.kafka_answered_at >= KAFKA_LATE:
        return "Kafka does not answer"
    if observed.consumer_idle_seconds >= CONSUMER_IDLE_SECONDS:
        return "transitions are not taken in: see consumer_replaced, batch_tried_again and commit_failed in the log"
    if observed.audited_at is None or now - observed.audited_at >= AUDIT_LATE:
        return "deliveries cannot be audited: is PostgreSQL there?"
    if observed.found is not None:
        return f"the audit of deliveries has found a fault: {observed.found} (docs/metrics.md)"
    return "no channel works that system alerts go to" if observed.all_broken else None
