"""`deliveries.v1`: the state of one alert on its way to one channel, as of one revision.

Each message is the whole state. Of the messages about a delivery the one with the highest revision is valid, in
whatever order and however often they come.
"""

from __future__ import annotations

from enum import StrEnum
from typing import Annotated, Self
from uuid import UUID

from pydantic import ConfigDict, Field, JsonValue, model_validator

from sentryml_common.contracts.message import Message, ModelId, Part, UtcDatetime
from sentryml_common.contracts.transition import TransitionKind

LATEST_ATTEMPTS_MAX = 20
"""The newest attempts that a message contains."""


EXAMPLE: dict[str, JsonValue] = {
    "v": 1,
    "delivery_id": "0f0c3c1e-7a50-5b83-9d0c-1d0a7c2f9a01",
    "revision": 2,
    "transition_id": "3d2f6a0e-40a1-5a86-8f29-8c1d6c2f9a01",
    "incident_id": "b6adcd7e-af2f-5ff4-8e48-fc82f236c3e4",
    "model_id": "flights-delay",
    "sequence": 1,
    "kind": "opened",
    "happened_at": "2026-11-23T09:15:00Z",
    "channel": "slack",
    "channel_kind": "slack_webhook",
    "route": "slack",
    "state": "delivered",
    "parked_because": None,
    "due_at": "2026-11-23T09:15:01.200000Z",
    "text": "Accepted by Slack.",
    "possibly_repeated": False,
    "reminder": 0,
    "long_drift_days": 0,
    "group_id": None,
    "group_number": None,
    "attempts": 1,
    "latest_attempts": [
        {
            "at": "2026-11-23T09:15:01.200000Z",
            "outcome": "delivered",
            "reason": "ok",
            "text": "Accepted by Slack.",
            "http_status": 200,
        }
    ],
    "created_at": "2026-11-23T09:15:00.800000Z",
    "delivered_at": "2026-11-23T09:15:01.200000Z",
    "latency_seconds": 1.2,
    "changed_at": "2026-11-23T09:15:01.210000Z",
}


class DeliveryState(StrEnum):
    """The state of a delivery."""

    PENDING = "pending"
    SENDING = "sending"
    DELIVERED = "delivered"
    PARKED = "parked"
    NO_ROUTE = "no_route"
    NOT_SENT = "not_sent"  # for good, and on purpose


class Attempt(Part):
    """One attempt to deliver: `outcome` and `reason` are codes, `text` a sentence for people."""

    at: UtcDatetime
    outcome: str
    reason: str
    text: str
    http_status: int | None


class Delivery(Message):
    """One transition on its way to one channel; in the state `no_route` there is none, and nobody was notified. With a
    `reminder` it is the n-th reminder of it; with `long_drift_days` it asks, after that time, what the drift is. With a
    `group_id` its incident is one of an alert group of that channel, which messages call by its `group_number`. With
    `held_until` the schedule of its route has held it, or does until then.

    `kind`, `sequence` and `happened_at` are those of the transition; `due_at` is the next attempt, or the end of the
    one under way; `text` says how the last attempt ended, or how to fix what blocks it; `latency_seconds` is the time
    between the transition and the channel's acceptance.
    """

    model_config = ConfigDict(json_schema_extra={"examples": [EXAMPLE]})

    delivery_id: UUID
    revision: Annotated[int, Field(ge=1)]
    transition_id: UUID
    incident_id: UUID
    model_id: ModelId
    sequence: Annotated[int, Field(ge=1)]
    kind: TransitionKind
    happened_at: UtcDatetime
    channel: str | None
    channel_kind: str | None
    route: str | None
    state: DeliveryState
    parked_because: str | None
    due_at: UtcDatetime | None
    text: str | None
    possibly_repeated: bool
    reminder: Annotated[int, Field(ge=0)] = 0
    long_drift_days: Annotated[int, Field(ge=0)] = 0
    held_until: Annotated[UtcDatetime | None, Field(exclude_if=lambda at: at is None)] = None
    group_id: UUID | None = None
    group_number: Annotated[int, Field(ge=1)] | None = None
    attempts: Annotated[int, Field(ge=0, description="How many there were.")]
    latest_attempts: Annotated[
        tuple[Attempt, ...], Field(max_length=LATEST_ATTEMPTS_MAX, description="The newest of them, oldest first.")
    ]
    created_at: UtcDatetime
    delivered_at: UtcDatetime | None
    latency_seconds: Annotated[float, Field(ge=0)] | None
    changed_at: UtcDatetime

    @model_validator(mode="after")
    def _state_fits(self) -> Self:
        delivered, parked = self.state is DeliveryState.DELIVERED, self.state is DeliveryState.PARKED
        if delivered != (self.delivered_at is not None) or delivered != (self.latency_seconds is not None):
            raise ValueError("delivered, and nothing else, says when and after how long")
        if (parked or self.state is DeliveryState.NOT_SENT) != (self.parked_because is not None):
            raise ValueError("what is parked or not sent, and nothing else, says why")
        if (self.state is DeliveryState.NO_ROUTE) != (self.channel is None):
            raise ValueError("no_route, and nothing else, has no channel")
        return self
