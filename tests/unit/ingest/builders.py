"""Keys, a clock that stands, and a publisher that records: what tests of ingest are made of."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

from sentryml_common.contracts.api_key import ApiKey, Scope, form_key, hash_key
from sentryml_common.contracts.prediction import PredictionEvent
from sentryml_common.contracts.topics import API_KEYS
from sentryml_common.kafka.follower import Follower
from sentryml_ingest.publisher import EventPublisher

NOW = datetime(2026, 11, 23, 9, 15, tzinfo=UTC)
KEY_ID = "k7m2p9q4r1s8"
KEY = form_key(KEY_ID, "s" * 43)


def clock() -> datetime:
    return NOW


def api_key(**changes: Any) -> ApiKey:
    known = {"key_id": KEY_ID, "name": "flights", "key_hash": hash_key(KEY), "scopes": [Scope.EVENTS_WRITE]}
    return ApiKey(**{**known, **changes})


def known_keys(*keys: ApiKey, caught_up: bool = True) -> Follower[ApiKey]:
    """The keys as they are after reading the topic."""
    follower = Follower(API_KEYS, ApiKey)
    follower.current.update({key.key_id: key for key in keys})
    if caught_up:
        follower.caught_up.set()
    return follower


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
