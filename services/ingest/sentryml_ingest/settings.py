"""Settings of ingest."""

from __future__ import annotations

from pydantic import Field

from sentryml_common.settings import ServiceSettings


class IngestSettings(ServiceSettings):
    """What ingest needs beside the common settings."""

    max_body_bytes: int = Field(
        500_000, ge=1_000, le=900_000, description="Largest body; it fits one Kafka record, so it is taken as a whole."
    )
    max_events: int = Field(5_000, ge=1, le=100_000, description="Most events in one request.")
    future_limit_seconds: float = Field(
        300.0, ge=0, le=366 * 86_400, description="Events with a timestamp further ahead than this are refused."
    )
    publish_seconds: float = Field(
        5.0, gt=0, le=60, description="Longest time Kafka may take to acknowledge before the answer is 503."
    )
