"""Which events are admitted, and how they go on: complete with a time, as one array."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta

import orjson

from sentryml_common.contracts.prediction import BadField, InvalidEvents, PredictionEvent


def admit(events: Sequence[PredictionEvent], *, now: datetime, future_limit_seconds: float) -> list[PredictionEvent]:
    """Give each event without a timestamp the time of receipt.

    Raises:
        InvalidEvents: some lie further ahead of `now` than the limit; each is named.
    """
    limit = now + timedelta(seconds=future_limit_seconds)
    ahead = [
        BadField(
            index=index,
            field="timestamp",
            reason=f"lies {(event.timestamp - now).total_seconds():.0f} s ahead, more than {future_limit_seconds:g} s: "
            "check the sender's clock",
        )
        for index, event in enumerate(events)
        if event.timestamp is not None and event.timestamp > limit
    ]
    if ahead:
        raise InvalidEvents(ahead)
    return [event if event.timestamp is not None else event.model_copy(update={"timestamp": now}) for event in events]


def encode_events(events: Sequence[PredictionEvent]) -> bytes:
    """The events as one Kafka record: a JSON array, with fields that were not sent left out."""
    return orjson.dumps([event.model_dump(exclude_none=True) for event in events], option=orjson.OPT_UTC_Z)


def models_of(events: Sequence[PredictionEvent]) -> list[str]:
    """The models that a request speaks for, each once, in the order of their names."""
    return sorted({event.model_id for event in events})
