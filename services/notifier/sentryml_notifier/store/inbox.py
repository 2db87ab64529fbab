"""What comes in: transitions, and the deliveries they make. Taking the same transition again changes nothing."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta
from uuid import UUID, uuid5

from sentryml_common.contracts.transition import Transition, TransitionKind
from sentryml_common.postgres.pool import Connection
from sentryml_notifier.domain.routing import ALERTING, OPENING, Notified, Past, Route, notified_by, urgency_of
from sentryml_notifier.store.holds import HELD_TEXT, held_until, release_earlier

DELIVERY_IDS = UUID("b6f4a8c1-3c55-5f0e-8a8e-6d1f6c9e2a70")


async def insert_transition(connection: Connection, transition: Transition, now: datetime) -> bool:
    """Keep a transition; False if it was kept before."""
    status = await connection.execute(
        """
        INSERT INTO transition (transition_id, incident_id, incident_number, model_id, sequence, message,
                                step_kind, to_state, happened_at, alert, taken_in_at)
        VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11)
            ON CONFLICT (transition_id) DO NOTHING
        """,
        transition.transition_id, transition.incident_id, transition.incident_number, transition.model_id,
        transition.sequence, transition.model_dump(mode="json", by_alias=True), transition.kind.value,
        transition.to.state.value, transition.at, transition.alert, now,
    )  # fmt: skip
    return status == "INSERT 0 1"


async def find_transition(connection: Connection, transition_id: UUID) -> Transition | None:
    """A transition that was taken in."""
    row = await connection.fetchrow("SELECT message FROM transition WHERE transition_id = $1", transition_id)
    return Transition.model_validate(row["message"]) if row else None


async def read_notified(connection: Connection, transition: Transition) -> Notified | None:
    """Who was notified of the alert that a transition follows; None for an alert, and if its beginning is not known."""
    if transition.kind in ALERTING:
        return None
    # The message may hold U+0000, so PostgreSQL cannot look into it.
    rows = await connection.fetch(
        """
        SELECT t.message,
               coalesce(array_agg(d.route_id) FILTER (WHERE d.route_id IS NOT NULL), '{}') AS routes,
               coalesce(array_agg(d.channel_id) FILTER (WHERE d.route_id IS NOT NULL), '{}') AS channels
          FROM transition AS t
          LEFT JOIN delivery AS d ON d.transition_id = t.transition_id AND d.reminder = 0
         WHERE t.incident_id = $1 AND t.sequence < $2
         GROUP BY t.transition_id
         ORDER BY t.sequence
        """,
        transition.incident_id, transition.sequence,
    )  # fmt: skip
    return notified_by(
        [
            Past(TransitionKind(row["message"]["kind"]), tuple(zip(row["routes"], row["channels"], strict=True)))
            for row in rows
        ]
    )


@dataclass(frozen=True, slots=True)
class Wait:
    """How long opening alerts wait for company, on channels of which kinds: from when they happened, but so long that
    others which come as late can join them."""

    wait: timedelta
    kinds: list[str]

    def until(self, happened_at: datetime, now: datetime) -> datetime:
        """Until when."""
        return min(max(happened_at + self.wait, now + self.wait / 2), now + self.wait)


async def insert_deliveries(
    connection: Connection, transition: Transition, routes: Iterable[Route], now: datetime, wait: Wait | None = None
) -> int:
    """One delivery per route, due now, after the wait for company, when the route's hold ends, or parked where the
    channel is broken; return how many. Their ids follow from both. What waits for company already is due with them: it
    is to be judged again.

    The share lock keeps the channel as it is until this is committed: none slips in while it is being parked.
    """
    made = 0
    for route in routes:
        opens = await _opens(connection, transition, route.channel_id)
        waits_until, waiting_kinds = (wait.until(transition.at, now), wait.kinds) if wait and opens else (now, [])
        held = await held_until(connection, transition, route, now)
        status = await connection.execute(
            """
            INSERT INTO delivery (delivery_id, transition_id, route_id, channel_id, incident_id, sequence, kind,
                                  urgency, due_at, created_at, reminding, state, parked_because, last_text,
                                  was_undeliverable, opens, held_until)
            SELECT $1, $2, $3, channel_id, $5, $6, $7, $8,
                   coalesce($14, CASE WHEN kind = ANY ($12::text[]) THEN $11::timestamptz ELSE $9::timestamptz END),
                   $9, $10, CASE state WHEN 'broken' THEN 'parked' ELSE 'pending' END,
                   CASE state WHEN 'broken' THEN 'channel_broken' END,
                   coalesce(broken_reason, CASE WHEN $14 IS NOT NULL THEN $15 END), state = 'broken', $13, $14
              FROM channel
             WHERE channel_id = $4 AND deleted_at IS NULL
               FOR SHARE
                ON CONFLICT ON CONSTRAINT delivery_once_per_route DO NOTHING
            """,
            delivery_id_of(transition.transition_id, route.route_id), transition.transition_id, route.route_id,
            route.channel_id, transition.incident_id, transition.sequence, transition.kind.value,
            int(urgency_of(transition)), now, transition.kind in ALERTING, waits_until, waiting_kinds, opens, held,
            HELD_TEXT,
        )  # fmt: skip
        made += status == "INSERT 0 1"
        if held is None and transition.alert and transition.sequence > 1:
            await release_earlier(connection, transition, route.channel_id, now)
            if wait is not None:
                await _judge_again(connection, transition, route.channel_id, waits_until)
    return made


async def _opens(connection: Connection, transition: Transition, channel_id: UUID) -> bool:
    """Whether it is the first alert of its incident on a channel, since that began."""
    if transition.kind not in ALERTING or transition.kind in OPENING:
        return transition.kind in OPENING
    known: bool = await connection.fetchval(
        """
        SELECT EXISTS (
            SELECT FROM delivery
             WHERE channel_id = $1 AND incident_id = $2 AND opens AND sequence >= (
                SELECT coalesce(max(sequence), 0) FROM transition WHERE incident_id = $2 AND step_kind = ANY ($3)))
        """,
        channel_id, transition.incident_id, list(OPENING),
    )  # fmt: skip
    return not known


async def _judge_again(connection: Connection, transition: Transition, channel_id: UUID, due_at: datetime) -> None:
    await connection.execute(
        """
        UPDATE delivery SET due_at = $4
         WHERE channel_id = $1 AND incident_id = $2 AND sequence < $3 AND due_at > $4
           AND state = 'pending' AND attempts = 0
        """,
        channel_id, transition.incident_id, transition.sequence, due_at,
    )  # fmt: skip


def delivery_id_of(transition_id: UUID, route_id: UUID) -> UUID:
    """The id of the delivery of a transition by a route: the same on every replay."""
    return uuid5(DELIVERY_IDS, f"{transition_id}/{route_id}")
