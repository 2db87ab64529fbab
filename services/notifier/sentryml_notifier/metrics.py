"""Metrics of the notifier. Labels are closed sets: channels are few, reasons are codes."""

from __future__ import annotations

from prometheus_client import Counter, Gauge, Histogram

from sentryml_common.contracts.transition import TransitionKind

REMINDER = "reminder"
"""Counted beside the kinds of transitions."""

DELIVERY_TOTAL = Counter(
    "sentryml_delivery_total",
    "Attempts to deliver, by channel, kind of transition, outcome and reason.",
    ["channel", "kind", "outcome", "reason"],
)
DELIVERY_LATENCY_SECONDS = Histogram(
    "sentryml_delivery_latency_seconds",
    "From the transition to the channel's acceptance; without reminders and what a route has held.",
    ["channel"],
    buckets=(0.5, 1, 2, 5, 10, 30, 60, 300, 900, 3600, 6 * 3600, 24 * 3600),
)
DELIVERY_DUPLICATE_TOTAL = Counter(
    "sentryml_delivery_duplicate_total", "Messages sent that were marked as a possible duplicate.", ["channel"]
)
CONVERSATION_EDIT_TOTAL = Counter(
    "sentryml_conversation_edit_total",
    "Edits of the root messages of conversations, by channel, outcome and reason.",
    ["channel", "outcome", "reason"],
)
RESENT_TOTAL = Counter(
    "sentryml_resent_total",
    "Times that live incidents were sent again to a channel that would forget them, by channel, outcome and reason.",
    ["channel", "outcome", "reason"],
)
HEARTBEATS = Counter(
    "sentryml_heartbeats_total", "Calls of SENTRYML_HEARTBEAT_URL that were due, by outcome.", ["outcome"]
)
SLACK_PRESS_TOTAL = Counter(
    "sentryml_slack_press_total", "Clicks on buttons in Slack, by action and outcome.", ["action", "outcome"]
)
SLACK_SOCKET = Gauge("sentryml_slack_socket_open", "1 if the channel's Socket Mode is connected, else 0.", ["channel"])
CHANNEL_STATE = Gauge("sentryml_channel_state", "1 if the channel is in this state, else 0.", ["channel", "state"])
DELIVERIES = Gauge("sentryml_deliveries", "Undelivered deliveries, by channel and state.", ["channel", "state"])
DELIVERY_OLDEST_SECONDS = Gauge(
    "sentryml_delivery_oldest_seconds",
    "How long the oldest undelivered delivery has been due; 0 if there is none.",
    ["channel"],
)
PUBLISHED_TOTAL = Counter("sentryml_notifier_published_total", "Changes of deliveries published, by topic.", ["topic"])
OUTBOX_PENDING = Gauge("sentryml_notifier_outbox_pending", "Changes of deliveries that are not published to Kafka yet.")
OUTBOX_OLDEST_SECONDS = Gauge(
    "sentryml_notifier_outbox_oldest_seconds",
    "Age of the oldest change of a delivery that is not published to Kafka yet.",
)

LAST_SUCCESSFUL_AUDIT = Gauge(
    "sentryml_last_successful_audit_timestamp",
    "When each alert was last found delivered, scheduled or parked with a reason, in seconds since 1970.",
)
AUDIT_FINDINGS = Gauge("sentryml_audit_findings", "Faults that the last audit found, by kind.", ["fault"])
ALERTS_WITHOUT_ROUTE = Gauge("sentryml_alerts_without_route", "Alerts of the last day that no route has taken.")
DEAD_LETTERS = Gauge("sentryml_dlt_depth", "Records in the dead-letter topic.")


def expose_zero(channel: str) -> None:
    """Let the series of a channel exist from the start, so that a rate over the first event is right."""
    for kind in (*TransitionKind, REMINDER):
        DELIVERY_TOTAL.labels(channel=channel, kind=kind, outcome="delivered", reason="ok")
    DELIVERY_DUPLICATE_TOTAL.labels(channel=channel)
    DELIVERY_LATENCY_SECONDS.labels(channel=channel)
