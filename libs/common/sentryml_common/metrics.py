"""Metrics that every service has. Labels come from small closed sets, never from model ids."""

from __future__ import annotations

import os
from datetime import UTC, datetime

from prometheus_client import REGISTRY, CollectorRegistry, Counter, Gauge, generate_latest
from prometheus_client.multiprocess import MultiProcessCollector

METRICS_FOLDER = "PROMETHEUS_MULTIPROC_DIR"
"""The variable by which prometheus_client knows of other processes of the same service, and where their metrics are."""

CONSUMED_TOTAL = Counter("sentryml_consumed_total", "Records consumed from Kafka.", ["topic"])
DEAD_LETTERS_TOTAL = Counter(
    "sentryml_dead_letters_total", "Records that were dead-lettered, by topic and reason.", ["topic", "reason"]
)
CONSUMER_LAG = Gauge(
    "sentryml_consumer_lag", "Records not yet consumed, by topic and partition.", ["topic", "partition"]
)
RETRIES_TOTAL = Counter(
    "sentryml_consumer_retries_total", "Batches retried because a server was unavailable, by topic.", ["topic"]
)
HTTP_TIMEOUTS = Counter("sentryml_http_timeouts_total", "Requests that took too long to arrive, by part.", ["part"])
KAFKA_ANSWERED = Gauge(
    "sentryml_kafka_last_answer_timestamp_seconds",
    "When Kafka last answered this process (of several behind one port: one of them), asked every 15 s.",
    multiprocess_mode="livemax",
)


def exposed_metrics() -> bytes:
    """The metrics as Prometheus reads them: of this process, or of all behind its port together."""
    if METRICS_FOLDER not in os.environ:
        return generate_latest()
    registry = CollectorRegistry()
    MultiProcessCollector(registry)  # type: ignore[no-untyped-call]
    return generate_latest(registry)


def kafka_answered_at() -> datetime | None:
    """When Kafka last answered this process; None if it has not yet."""
    at = REGISTRY.get_sample_value("sentryml_kafka_last_answer_timestamp_seconds")
    return datetime.fromtimestamp(at, UTC) if at else None
