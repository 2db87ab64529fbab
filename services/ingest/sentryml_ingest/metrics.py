"""Metrics of ingest. Labels come from small closed sets, never from model ids."""

from __future__ import annotations

from prometheus_client import Counter, Histogram

from sentryml_ingest.domain.key_limits import Limit

REQUESTS = Counter("sentryml_ingest_requests_total", "Requests to POST /v1/events, by status.", ["status"])
EVENTS_ACCEPTED = Counter("sentryml_ingest_events_accepted_total", "Events that Kafka has acknowledged.")
EVENTS_REFUSED = Counter("sentryml_ingest_events_refused_total", "Events in refused requests, by reason.", ["reason"])
REQUESTS_LIMITED = Counter("sentryml_ingest_requests_limited_total", "Requests answered 429, by limit.", ["limit"])
PUBLISH_SECONDS = Histogram(
    "sentryml_ingest_publish_seconds", "Time from the sending of a record to Kafka's acknowledgement."
)

for status in ("202", "400", "401", "403", "413", "415", "422", "429", "500", "503"):
    REQUESTS.labels(status=status)
for limit in Limit:
    REQUESTS_LIMITED.labels(limit=limit.value)
