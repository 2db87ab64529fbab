"""Metrics of incidents. Label sets are closed, and there from the start at zero."""

from __future__ import annotations

from prometheus_client import Counter, Gauge

from sentryml_common.contracts.transition import Severity, TransitionKind
from sentryml_incidents.domain.decision import Outcome
from sentryml_incidents.domain.snapshot import LIVE

EVALUATIONS_TOTAL = Counter(
    "sentryml_incidents_evaluations_total", "Evaluations taken in, by what became of them.", ["outcome"]
)
TRANSITIONS_TOTAL = Counter("sentryml_incidents_transitions_total", "Steps of incidents, by kind.", ["kind"])
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
SIGN_INS_TOTAL = Counter("sentryml_incidents_sign_ins_total", "Attempts of people to sign in, by outcome.", ["outcome"])

SIGNED_IN, REFUSED, THROTTLED = "signed_in", "refused", "throttled"

for sign_in in (SIGNED_IN, REFUSED, THROTTLED):
    SIGN_INS_TOTAL.labels(outcome=sign_in)
for outcome in Outcome:
    EVALUATIONS_TOTAL.labels(outcome=outcome)
for kind in TransitionKind:
    TRANSITIONS_TOTAL.labels(kind=kind)
for state in LIVE:
    for severity in Severity:
        LIVE_INCIDENTS.labels(state=state, severity=severity)
