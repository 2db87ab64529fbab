"""Metrics of incidents. Label sets are closed, and there from the start at zero."""

from __future__ import annotations

from prometheus_client import Counter, Gauge, Histogram

from sentryml_common.contracts.evaluation import InsufficientReason
from sentryml_common.contracts.transition import Severity, TransitionKind
from sentryml_lifecycle.decision import Outcome
from sentryml_lifecycle.snapshot import LIVE

EVALUATIONS_TOTAL = Counter(
    "sentryml_incidents_evaluations_total", "Evaluations taken in, by what became of them.", ["outcome"]
)
TRANSITIONS_TOTAL = Counter("sentryml_incidents_transitions_total", "Transitions of incidents, by kind.", ["kind"])
INCIDENT_TRANSITIONS_TOTAL = Counter(
    "sentryml_incident_transitions_total",
    "Transitions of incidents, by the states between which they lead and their cause; from none, where one opens.",
    ["from", "to", "cause"],
)
ACK_SECONDS = Histogram(
    "sentryml_incident_ack_seconds",
    "From the opening of an incident to its acknowledgement; one that has opened again is left out.",
    buckets=(30, 60, 300, 900, 1800, 3600, 2 * 3600, 4 * 3600, 8 * 3600, 24 * 3600),
)
FLAPPING = Gauge("sentryml_incident_flapping", "Live incidents that have opened again three times or more.")
MONITORS_PAUSED = Gauge(
    "sentryml_monitor_evaluation_paused",
    "Models whose newest evaluation could not be judged, by the reason.",
    ["reason"],
)
MODELS_SILENT = Gauge("sentryml_models_silent", "Monitored models whose predictions have stopped.")
MODELS_NOT_EVALUATED = Gauge(
    "sentryml_models_not_evaluated", "Monitored models of which three evaluations or more are missing."
)
LIVE_INCIDENTS = Gauge("sentryml_incidents_live", "Live incidents, by state and severity.", ["state", "severity"])
MODELS_REGISTERED_TOTAL = Counter("sentryml_incidents_models_registered_total", "Models seen for the first time.")
PUBLISHED_TOTAL = Counter("sentryml_incidents_published_total", "Outbox rows published, by topic.", ["topic"])
OUTBOX_PENDING = Gauge("sentryml_incidents_outbox_pending", "Transitions that Kafka has not got yet.")
OUTBOX_OLDEST_SECONDS = Gauge(
    "sentryml_incidents_outbox_oldest_seconds", "Age of the oldest transition that Kafka has not got yet."
)
STREAM_CLIENTS = Gauge("sentryml_incidents_stream_clients", "Clients that follow the stream.")
STREAM_OVERFLOWS_TOTAL = Counter(
    "sentryml_incidents_stream_overflows_total", "Streams that were ended because their client did not keep up."
)
LIVE_PAGES = Gauge("sentryml_incidents_live_pages", "Open pages that receive changes.")
LIVE_PAGES_REFUSED_TOTAL = Counter(
    "sentryml_incidents_live_pages_refused_total",
    "Pages that do not receive changes, since too many are open: in all, or in their session.",
    ["reason"],
)
SIGN_INS_TOTAL = Counter("sentryml_incidents_sign_ins_total", "Attempts of people to sign in, by outcome.", ["outcome"])

FULL, FULL_FOR_SESSION = "full", "full_for_session"
SIGNED_IN, REFUSED, THROTTLED = "signed_in", "refused", "throttled"

for sign_in in (SIGNED_IN, REFUSED, THROTTLED):
    SIGN_INS_TOTAL.labels(outcome=sign_in)
for full in (FULL, FULL_FOR_SESSION):
    LIVE_PAGES_REFUSED_TOTAL.labels(reason=full)
for outcome in Outcome:
    EVALUATIONS_TOTAL.labels(outcome=outcome)
for kind in TransitionKind:
    TRANSITIONS_TOTAL.labels(kind=kind)
for reason in InsufficientReason:
    MONITORS_PAUSED.labels(reason=reason)
for state in LIVE:
    for severity in Severity:
        LIVE_INCIDENTS.labels(state=state, severity=severity)
