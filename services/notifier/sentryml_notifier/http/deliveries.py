"""`/v1/deliveries`: what was sent, what waits, what is parked and how to fix it."""

from __future__ import annotations

from typing import Annotated
from uuid import UUID

from fastapi import APIRouter, Query
from pydantic import ConfigDict, Field, JsonValue, TypeAdapter

from sentryml_common.contracts.delivery import EXAMPLE as PUBLISHED
from sentryml_common.contracts.internal.notifier_api import AttemptResponse, DeliveryResponse
from sentryml_common.contracts.message import MODEL_ID_PATTERN, UtcDatetime
from sentryml_common.contracts.transition import TransitionKind
from sentryml_common.http.paging import Cursor, Limit, Page, from_cursor, next_cursor
from sentryml_common.http.problems import Problem, problem_answers
from sentryml_common.http.times import WithOffset
from sentryml_notifier.domain.delivery import DeliveryState, Outcome, ParkedBecause
from sentryml_notifier.http.auth import Reader
from sentryml_notifier.http.context import WithContext
from sentryml_notifier.store.ledger import DeliveryFilter, Position, list_deliveries

router = APIRouter(prefix="/v1/deliveries", tags=["deliveries"])

UNKNOWN = problem_answers((404, "There is no such delivery."))

States = Annotated[list[DeliveryState] | None, Query(alias="state", description="Only these; may be repeated.")]
ModelQuery = Annotated[str | None, Query(pattern=MODEL_ID_PATTERN, description="Only about this model.")]
ChannelQuery = Annotated[
    str | None, Query(max_length=64, pattern=r"^[^\x00]*$", description="Only to the channel of this name.")
]
Undeliverable = Annotated[bool, Query(description="Only parked deliveries, without those that are given up for good.")]
Since = Annotated[WithOffset | None, Query(description="Only those made since.", examples=["2026-11-23T00:00:00Z"])]

_CURSOR = TypeAdapter(tuple[UtcDatetime, Annotated[int, Field(ge=1, lt=2**31)], UUID])


class AttemptView(AttemptResponse):
    """One attempt; deliveries sent in one message share its `send_id`."""

    outcome: Outcome


EXAMPLE: dict[str, JsonValue] = {
    **{name: value for name, value in PUBLISHED.items() if name in DeliveryResponse.model_fields},
    "incident_number": 42,
    "held_until": None,
    "group_incidents": 0,
    "last_text": PUBLISHED["text"],
    "attempts": [
        {
            "at": "2026-11-23T09:15:01.200000Z",
            "send_id": "5a7c1e0b-1a2f-4b02-9f39-1f0c3c1e7a52",
            "outcome": "delivered",
            "reason": "ok",
            "text": "Accepted by Slack.",
            "http_status": 200,
        }
    ],
}


class DeliveryView(DeliveryResponse):
    """One transition on its way to one channel."""

    model_config = ConfigDict(json_schema_extra={"examples": [EXAMPLE]})

    kind: TransitionKind
    state: DeliveryState
    parked_because: ParkedBecause | None
    attempts: tuple[AttemptView, ...] = Field(description="Oldest first.")


@router.get("")
async def list_all(
    context: WithContext,
    asker: Reader,
    states: States = None,
    incident_id: UUID | None = None,
    model: ModelQuery = None,
    channel: ChannelQuery = None,
    since: Since = None,
    undeliverable: Undeliverable = False,
    cursor: Cursor = None,
    limit: Limit = 100,
) -> Page[DeliveryView]:
    """Deliveries with their attempts, newest first, as far as they are about models that the key may read."""
    requested = DeliveryFilter(
        tuple(states or ()) or None,
        incident_id,
        model,
        channel,
        since,
        patterns=asker.models,
        undeliverable=undeliverable,
    )
    position = from_cursor(cursor, _CURSOR)
    async with context.transaction() as connection:
        rows = await list_deliveries(connection, requested, Position(*position) if position else None, limit)
    items = [DeliveryView.model_validate(dict(row)) for row in rows]
    after = next_cursor(items, limit, lambda last: (last.created_at.isoformat(), last.sequence, last.delivery_id))
    return Page(items=items, next_cursor=after)


@router.get("/{delivery_id:uuid}", responses=UNKNOWN)
async def show(context: WithContext, asker: Reader, delivery_id: UUID) -> DeliveryView:
    """One delivery with its attempts."""
    async with context.transaction() as connection:
        rows = await list_deliveries(connection, DeliveryFilter(delivery_id=delivery_id), None, 1)
    if not rows or not asker.may_see(rows[0]["model_id"]):
        raise unknown_delivery(delivery_id)
    return DeliveryView.model_validate(dict(rows[0]))


def unknown_delivery(delivery_id: UUID) -> Problem:
    """404, and where to look."""
    return Problem(404, "unknown-delivery", f"there is no delivery {delivery_id}: GET /v1/deliveries lists them")
