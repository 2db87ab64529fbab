"""The outboxes of the notifier: what becomes of deliveries, and alerts that no route took."""

from __future__ import annotations

from sentryml_common.contracts.topics import DELIVERIES, Topic
from sentryml_common.outbox import Outbox
from sentryml_common.relay import Outboxes, RelayMetrics
from sentryml_notifier.metrics import OUTBOX_OLDEST_SECONDS, OUTBOX_PENDING, PUBLISHED_TOTAL
from sentryml_notifier.store.outbox import CHANNEL, claim_deliveries, claim_unrouted, measure_outbox

METRICS = RelayMetrics(PUBLISHED_TOTAL, OUTBOX_PENDING, OUTBOX_OLDEST_SECONDS)


def outboxes(deliveries: Topic = DELIVERIES) -> Outboxes:
    """All outboxes of the service."""
    boxes = (Outbox(deliveries.name, claim_deliveries), Outbox(deliveries.name, claim_unrouted))
    return Outboxes(boxes, CHANNEL, measure_outbox)
