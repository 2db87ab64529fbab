"""Events, and a publisher that records: what tests of ingest are made of."""

from __future__ import annotations

from typing import Any

from sentryml_common.contracts.prediction import PredictionEvent
from sentryml_ingest.publisher import EventPublisher


def event(**changes: Any) -> dict[str, Any]:
    """An event as a sender writes it."""
    return {"model_id": "flights-delay", "prediction": "late", **changes}


def parsed(**changes: Any) -> PredictionEvent:
    """An event as it was read."""
    return PredictionEvent(**event(**changes))


class RecordingPublisher(EventPublisher):
    """Takes every record, or raises `error` instead."""

    def __init__(self) -> None:
        super().__init__(seconds=1.0)
        self.records: list[bytes] = []
        self.error: Exception | None = None

    async def publish(self, record: bytes) -> None:
        if self.error is not None:
            raise self.error
        self.records.append(record)
