"""Deliveries that a route holds: how long, and letting go of them before their time."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from uuid import UUID

from sentryml_common.contracts.transition import Transition
from sentryml_common.postgres.pool import Connection
from sentryml_notifier.domain.routing import CLOSING, OPENING, Route, Urgency, step_of

HELD_TEXT = "It was held by the schedule of its route."


async def held_until(
    connection: Connection, transition: Transition, route: Route, now: datetime
) -> datetime | None:  # fmt: skip
    """Until when the delivery of a transition by a route is held; None if it is not."""
    if not route.hold.ever:
        return None
    step = step_of(transition)
    woke = transition.kind in CLOSING and await _woke_somebody(connection, transition, route.channel_id)
    return route.held_until(step, now, woke_somebody=woke)


async def _woke_somebody(connection: Connection, transition: Transition, channel_id: UUID) -> bool:
    """Whether a channel was sent a critical alert of an incident since that began."""
    found: bool = await connection.fetchval(
        """
        SELECT EXISTS (
            SELECT FROM delivery
             WHERE channel_id = $1 AND incident_id = $2 AND urgency = $3 AND held_until IS NULL AND sequence >= (
                SELECT coalesce(max(sequence), 0) FROM transition WHERE incident_id = $2 AND step_kind = ANY ($4)))
        """,
        channel_id, transition.incident_id, int(Urgency.CRITICAL_ALERT), list(OPENING),
    )  # fmt: skip
    return found


async def release_earlier(
    connection: Connection, transition: Transition, channel_id: UUID, now: datetime
) -> None:  # fmt: skip
    """Let go of what is held of an incident on a channel, since something newer of it is not: it goes along."""
    await connection.execute(
        """
        UPDATE delivery SET held_until = $4, due_at = least(due_at, $4)
         WHERE channel_id = $1 AND incident_id = $2 AND sequence < $3 AND held_until > $4
           AND state IN ('pending', 'parked')
        """,
        channel_id, transition.incident_id, transition.sequence, now,
    )  # fmt: skip


async def hold_again(connection: Connection, route: Route, now: datetime) -> int:
    """Hold what a route holds as its schedule is now; return how many deliveries are let go of."""
    rows = await connection.fetch(
        """
        SELECT d.delivery_id, d.urgency, t.model_id FROM delivery AS d JOIN transition AS t USING (transition_id)
         WHERE d.route_id = $1 AND d.held_until > $2 AND d.state IN ('pending', 'parked')
         ORDER BY d.delivery_id
           FOR UPDATE OF d
        """,
        route.route_id, now,
    )  # fmt: skip
    ends: dict[tuple[str, bool], datetime] = {}
    for row in rows:
        key = row["model_id"], row["urgency"] == Urgency.CRITICAL_ALERT
        if key not in ends:
            passes = key[1] and not route.hold.holds_critical
            ends[key] = (None if passes else route.hold.held_until(key[0], now)) or now
    until = [ends[row["model_id"], row["urgency"] == Urgency.CRITICAL_ALERT] for row in rows]
    await _set(connection, [row["delivery_id"] for row in rows], until)
    return sum(at <= now for at in until)


async def _set(connection: Connection, delivery_ids: Sequence[UUID], until: Sequence[datetime]) -> None:
    await connection.execute(
        """
        UPDATE delivery SET held_until = held.until, due_at = held.until
          FROM unnest($1::uuid[], $2::timestamptz[]) AS held (delivery_id, until)
         WHERE delivery.delivery_id = held.delivery_id
        """,
        list(delivery_ids), list(until),
    )  # fmt: skip
