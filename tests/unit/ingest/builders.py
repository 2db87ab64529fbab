"""Events, and a publisher that records: what tests of ingest are made of."""

from __future__ import annotations

from typing import Any

import orjson

from sentryml_common.contracts.monitor import Monitor
from sentryml_common.contracts.prediction import EventRow, read_rows
from sentryml_common.contracts.topics import MONITORS
from sentryml_common.kafka.follower import Follower
from sentryml_ingest.publisher import EventPublisher


def event(**changes: Any) -> dict[str, Any]:
    """An event as a sender writes it."""
    return {"model_id": "flights-delay", "prediction": "late", **changes}


def read(**changes: Any) -> EventRow:
    """An event as it was read."""
    [row] = read_rows(orjson.dumps(event(**changes)))
    return row


def known_monitors(*monitors: Monitor, caught_up: bool = True) -> Follower[Monitor]:
    """The monitors as they are after reading the topic."""
    follower = Follower(MONITORS, Monitor)
    follower.current.update({monitor.model_id: monitor for monitor in monitors})
    if caught_up:
        follower.caught_up.set()
    return follower


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
