"""What comes in: transitions, and the deliveries they make. Taking the same transition again changes nothing."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime
from uuid import UUID, uuid5

from sentryml_common.contracts.monitor import Monitor
from sentryml_common.contracts.transition import Transition
from sentryml_common.postgres.pool import Connection
from sentryml_notifier.domain.routing import Route, urgency_of

DELIVERY_IDS = UUID("b6f4a8c1-3c55-5f0e-8a8e-6d1f6c9e2a70")


async def insert_transition(connection: Connection, transition: Transition, monitor: Monitor | None) -> bool:
    """Keep a transition; False if it was kept before."""
    status = await connection.execute(
        """
        INSERT INTO transition (transition_id, incident_id, incident_number, model_id, sequence, message, monitor,
                                state, at, alert)
        VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10)
            ON CONFLICT (transition_id) DO NOTHING
        """,
        transition.transition_id, transition.incident_id, transition.incident_number, transition.model_id,
        transition.sequence, transition.model_dump(mode="json", by_alias=True),
        monitor and monitor.model_dump(mode="json"), transition.to.state.value, transition.at, transition.alert,
    )  # fmt: skip
    return status == "INSERT 0 1"


async def insert_deliveries(
    connection: Connection, transition: Transition, routes: Iterable[Route], now: datetime
) -> None:
    """One delivery per route, due now, or parked where the channel is broken. Their ids follow from both.

    The share lock keeps the channel as it is until this is committed: none slips in while it is being parked.
    """
    for route in routes:
        await connection.execute(
            """
            INSERT INTO delivery (delivery_id, transition_id, route_id, channel_id, incident_id, sequence, kind,
                                  urgency, due_at, created_at, state, parked_because, last_words, was_stuck)
            SELECT $1, $2, $3, channel_id, $5, $6, $7, $8, $9, $9,
                   CASE state WHEN 'broken' THEN 'parked' ELSE 'pending' END,
                   CASE state WHEN 'broken' THEN 'channel_broken' END,
                   broken_words, state = 'broken'
              FROM channel
             WHERE channel_id = $4
               FOR SHARE
                ON CONFLICT ON CONSTRAINT delivery_once_per_route DO NOTHING
            """,
            delivery_id_of(transition.transition_id, route.route_id), transition.transition_id, route.route_id,
            route.channel_id, transition.incident_id, transition.sequence, transition.kind.value,
            int(urgency_of(transition)), now,
        )  # fmt: skip


def delivery_id_of(transition_id: UUID, route_id: UUID) -> UUID:
    """The id of the delivery of a transition by a route: the same on every replay."""
    return uuid5(DELIVERY_IDS, f"{transition_id}/{route_id}")
