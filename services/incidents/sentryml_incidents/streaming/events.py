"""What the stream holds: transitions as the contract has them, and hints, which say that there is something to read."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from uuid import UUID

import orjson
from pydantic import BaseModel

from sentryml_common.contracts.delivery import DeliveryState
from sentryml_common.contracts.evaluation import InsufficientReason, Level
from sentryml_common.contracts.message import UtcDatetime, encode
from sentryml_common.contracts.transition import Transition


class EventKind(StrEnum):
    """What the stream holds."""

    TRANSITION = "transition"
    EVALUATION = "evaluation"
    MODEL = "model"
    DELIVERY = "delivery"


class EvaluationHint(BaseModel):
    """A model has a newer evaluation: what was found, in short."""

    model_id: str
    evaluation_id: UUID
    evaluated_at: UtcDatetime
    level: Level
    reason: InsufficientReason | None
    psi: float | None


class ModelHint(BaseModel):
    """A model was seen for the first time."""

    model_id: str
    first_seen: UtcDatetime


class DeliveryHint(BaseModel):
    """What has become of an alert has changed: it is among the incident's deliveries."""

    model_id: str
    incident_id: UUID
    transition_id: UUID
    delivery_id: UUID
    revision: int
    state: DeliveryState


HINTS: dict[EventKind, type[EvaluationHint | ModelHint | DeliveryHint]] = {
    EventKind.EVALUATION: EvaluationHint,
    EventKind.MODEL: ModelHint,
    EventKind.DELIVERY: DeliveryHint,
}


@dataclass(frozen=True, slots=True)
class Event:
    """One event with its JSON; only transitions have a number."""

    kind: EventKind
    model_id: str
    data: str
    number: int | None = None


def event_of(number: int, transition: Transition) -> Event:
    """A transition as it is published: in the form of the contract, with its number to resume from."""
    return Event(EventKind.TRANSITION, transition.model_id, encode(transition).decode(), number)


def hint_in(payload: str) -> Event:
    """The hint in a notification of PostgreSQL."""
    notified = orjson.loads(payload)
    kind = EventKind(notified["kind"])
    hint = HINTS[kind].model_validate(notified)
    return Event(kind, hint.model_id, hint.model_dump_json())
