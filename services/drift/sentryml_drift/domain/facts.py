"""What is known of a model beside its counts: first and last seen, events left out, the last events as they came."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import orjson

from sentryml_common.errors import UndecodableMessage

RECENT_EVENTS = 20

Recent = tuple[float, str | float | bool, float | None, str | None]
"""timestamp (epoch seconds), prediction, score, event_id."""


@dataclass(frozen=True, slots=True)
class ModelFacts:
    """Facts that add up: earliest and latest event time, and the earliest of an event with a score (epoch seconds;
    None before the first counted one), events left out as late or future, and the newest events."""

    first_seen: float | None = None
    first_score: float | None = None
    last_seen: float | None = None
    late: int = 0
    future: int = 0
    recent: tuple[Recent, ...] = ()

    def __add__(self, other: ModelFacts) -> ModelFacts:
        return merge_facts([self, other])

    def pack(self) -> bytes:
        """The facts as bytes."""
        packed = orjson.dumps([self.first_seen, self.last_seen, self.late, self.future, self.recent, self.first_score])
        return bytes(memoryview(packed))  # orjson's own bytes keep the 4 KB they were written in

    @classmethod
    def unpack(cls, packed: bytes) -> ModelFacts:
        """Read back what `pack` made. Facts of before the first score was noted count as if there had always been one.

        Raises:
            UndecodableMessage: these are not facts.
        """
        try:
            first_seen, last_seen, late, future, recent, *later = orjson.loads(packed)
            events = tuple((at, prediction, score, event_id) for at, prediction, score, event_id in recent)
        except (orjson.JSONDecodeError, ValueError, TypeError) as err:
            raise UndecodableMessage("not_facts", f"packed facts cannot be decoded: {err}") from err
        return cls(first_seen, later[0] if later else first_seen, last_seen, late, future, events)


def merge_facts(parts: Sequence[ModelFacts]) -> ModelFacts:
    """The sum of many facts."""
    return ModelFacts(
        first_seen=min((part.first_seen for part in parts if part.first_seen is not None), default=None),
        first_score=min((part.first_score for part in parts if part.first_score is not None), default=None),
        last_seen=max((part.last_seen for part in parts if part.last_seen is not None), default=None),
        late=sum(part.late for part in parts),
        future=sum(part.future for part in parts),
        recent=newest([event for part in parts for event in part.recent]),
    )


def newest(events: list[Recent]) -> tuple[Recent, ...]:
    """The last events by their own time, oldest first; ties fall the same way whatever the order of arrival."""
    if len({event[0] for event in events}) == len(events):
        return tuple(sorted(events, key=_time_of)[-RECENT_EVENTS:])
    return tuple(sorted(events, key=lambda event: (event[0], orjson.dumps(event[1:])))[-RECENT_EVENTS:])


def _time_of(event: Recent) -> float:
    return event[0]
