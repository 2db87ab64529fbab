"""Settings of ingest."""

from __future__ import annotations

from pydantic import Field

from sentryml_common.settings import ServiceSettings

MOST_EVENTS = 5_000
"""The most events in a record that ingest writes; consumers may rely on it."""


class IngestSettings(ServiceSettings):
    """What ingest needs beside the common settings."""

    ingest_processes: int = Field(
        1,
        ge=1,
        le=64,
        description="Processes that share the port: one for each core that ingest may use. The limits of API keys are "
        "those of each process.",
    )
    max_body_bytes: int = Field(
        500_000,
        ge=1_000,
        le=900_000,
        description="Largest body; it fits one Kafka record, so it is accepted or refused as a whole.",
    )
    max_events: int = Field(
        MOST_EVENTS, ge=1, le=MOST_EVENTS, description="Most events in one request, and so in one Kafka record."
    )
    future_limit_seconds: float = Field(
        300.0, ge=0, le=366 * 86_400, description="Events with a timestamp further ahead than this are refused."
    )
    longest_window_seconds: float = Field(
        35 * 86_400,
        gt=0,
        description="Events older than this are refused, like those that the windows of their model's monitor do not "
        "reach; use the same value for drift.",
    )
    publish_seconds: float = Field(
        5.0, gt=0, le=60, description="Time limit for Kafka's acknowledgement; then the answer is 503."
    )
    key_events_per_second: float = Field(
        50_000,
        ge=0,
        le=1e9,
        description="Events per second that one API key may send to one process, on average; a burst may have ten "
        "seconds' worth. 0: no limit.",
    )
    key_bytes_per_second: float = Field(
        10_000_000,
        ge=0,
        le=1e12,
        description="Bytes of bodies per second that one API key may send to one process, on average; a burst may have "
        "ten seconds' worth. 0: no limit.",
    )
    key_new_models_per_hour: float = Field(
        5_000,
        ge=0,
        le=1e9,
        description="New models (without a monitor) per hour that one API key may send to one process. 0: no limit.",
    )
