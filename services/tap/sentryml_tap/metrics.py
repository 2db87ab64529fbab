"""Metrics of the tap. Labels come from small closed sets: what is tapped is named in the settings."""

from __future__ import annotations

from prometheus_client import Counter, Gauge

KSERVE = "kserve"
"""The source that is no topic."""

EVENTS = Counter("sentryml_tap_events_total", "Events that ingest has accepted, by source.", ["source"])
DROPPED = Counter(
    "sentryml_tap_dropped_total", "Events, or messages without a usable one, that were dropped.", ["source", "reason"]
)
INGEST_AWAY = Gauge("sentryml_tap_ingest_away", "1 while ingest takes no events of the tap, else 0.")
