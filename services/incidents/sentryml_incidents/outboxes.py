"""The outboxes of incidents: API keys, transitions, references, monitors, each to its topic and in order per key."""

from __future__ import annotations

from functools import partial

from sentryml_common.contracts.topics import API_KEYS, MONITORS, REFERENCES, TRANSITIONS, Topic
from sentryml_common.outbox import Outbox
from sentryml_common.relay import Outboxes, RelayMetrics
from sentryml_incidents.metrics import OUTBOX_OLDEST_SECONDS, OUTBOX_PENDING, PUBLISHED_TOTAL
from sentryml_incidents.store.outbox import (
    claim_api_keys,
    claim_monitors,
    claim_references,
    claim_transitions,
    measure_outbox,
)
from sentryml_incidents.store.wake import CHANNEL

METRICS = RelayMetrics(PUBLISHED_TOTAL, OUTBOX_PENDING, OUTBOX_OLDEST_SECONDS)


def outboxes(
    public_url: str,
    *,
    transitions: Topic = TRANSITIONS,
    monitors: Topic = MONITORS,
    references: Topic = REFERENCES,
    api_keys: Topic = API_KEYS,
) -> Outboxes:
    """All outboxes of the service."""
    boxes = (
        Outbox(api_keys.name, claim_api_keys),  # first: a revocation waits for no storm of transitions
        Outbox(transitions.name, partial(claim_transitions, public_url=public_url)),
        Outbox(references.name, claim_references),  # before the monitor that names it
        Outbox(monitors.name, claim_monitors),
    )
    return Outboxes(boxes, CHANNEL, measure_outbox)
