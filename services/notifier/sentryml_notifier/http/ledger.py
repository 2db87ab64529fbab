"""`/v1/deliveries` and `/v1/channels`: what was sent, what waits, what is stuck and how to mend it."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated
from uuid import UUID

from fastapi import APIRouter, Depends, Query, Request
from pydantic import BaseModel

from sentryml_common.contracts.api_key import ApiKey
from sentryml_common.errors import Unavailable
from sentryml_common.postgres.pool import Pool, transaction
from sentryml_notifier.domain.delivery import DeliveryState, Outcome, ParkedBecause
from sentryml_notifier.http.auth import ReadAccess
from sentryml_notifier.store.ledger import list_channels, list_deliveries

MOST_DELIVERIES = 500


class Attempt(BaseModel):
    """One attempt; deliveries told in one message share its `send_id`."""

    at: datetime
    send_id: UUID
    outcome: Outcome
    reason: str
    words: str
    http_status: int | None


class Delivery(BaseModel):
    """One transition on its way to one channel. `due_at` is the next attempt, or the end of the one under way."""

    delivery_id: UUID
    transition_id: UUID
    incident_id: UUID
    incident_number: int
    model_id: str
    sequence: int
    kind: str
    channel: str
    route: str
    state: DeliveryState
    due_at: datetime
    parked_because: ParkedBecause | None
    last_words: str | None
    created_at: datetime
    delivered_at: datetime | None
    attempts: list[Attempt]


class Channel(BaseModel):
    """A channel and its trouble. The secret itself is never shown."""

    channel_id: UUID
    name: str
    kind: str
    secret_setting: str
    state: str
    broken_words: str | None
    paused_until: datetime | None
    waiting: int
    parked: int
    oldest_at: datetime | None


class Ledger:
    """The pool, once PostgreSQL has answered."""

    def __init__(self) -> None:
        self.pool: Pool | None = None

    def opened(self) -> Pool:
        """The pool.

        Raises:
            Unavailable: the service is still waiting for PostgreSQL.
        """
        if self.pool is None:
            raise Unavailable("the notifier is still waiting for PostgreSQL")
        return self.pool


def ledger_routes(ledger: Ledger, access: ReadAccess) -> APIRouter:
    """The routes, all behind `access`."""
    router = APIRouter(prefix="/v1", dependencies=[Depends(access)])

    @router.get("/deliveries")
    async def deliveries(
        request: Request,
        state: DeliveryState | None = None,
        incident_id: UUID | None = None,
        limit: Annotated[int, Query(ge=1, le=MOST_DELIVERIES)] = 100,
    ) -> list[Delivery]:
        """The newest deliveries with their attempts, as far as they are about models that the key may read."""
        key: ApiKey = request.state.api_key
        async with transaction(ledger.opened()) as connection:
            rows = await list_deliveries(
                connection, state=state, incident_id=incident_id, models=key.models, limit=limit
            )
        return [Delivery.model_validate(dict(row)) for row in rows]

    @router.get("/channels")
    async def channels() -> list[Channel]:
        """The channels, with what waits on each and how to mend a broken one."""
        async with transaction(ledger.opened()) as connection:
            rows = await list_channels(connection)
        return [Channel.model_validate(dict(row)) for row in rows]

    return router
