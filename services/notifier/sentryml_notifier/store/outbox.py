"""The outbox: deliveries whose change Kafka has not got yet, and alerts that no route took.

A claim locks rows of the outbox alone, so senders never wait for Kafka. What it publishes is each delivery in its
current state, once however often it has changed; order does not matter, since the highest revision holds.
"""

from __future__ import annotations

from datetime import datetime
from typing import Any
from uuid import UUID, uuid5

import asyncpg

from sentryml_common.contracts.delivery import LATEST_ATTEMPTS_MAX, Delivery, DeliveryState
from sentryml_common.contracts.transition import Transition
from sentryml_common.outbox import Claim
from sentryml_common.postgres.pool import Connection
from sentryml_notifier.domain.delivery import OVER
from sentryml_notifier.store.inbox import DELIVERY_IDS
from sentryml_notifier.store.ledger import age_seconds

CHANNEL = "sentryml_notifier_outbox"
"""What the triggers notify."""

CLAIM_ROWS = 100
OF_DELIVERIES = ("channel", "channel_kind", "route", "parked_because", "due_at", "delivered_at", "latency_seconds")
"""What an alert that no route took does not have."""


async def claim_deliveries(connection: Connection, now: datetime) -> list[Claim]:
    """Claim changed deliveries in their current state; they are out of the outbox if the caller commits."""
    rows = await connection.fetch(
        """
        WITH taken AS (
            DELETE FROM delivery_outbox
             WHERE outbox_id IN
                   (SELECT outbox_id FROM delivery_outbox ORDER BY outbox_id LIMIT $1 FOR UPDATE SKIP LOCKED)
            RETURNING delivery_id
        )
        SELECT d.*, d.last_text AS text, d.possibly_sent AS possibly_repeated, c.name AS channel,
               c.kind AS channel_kind, r.name AS route, t.message AS transition,
               CASE WHEN g.reported_at IS NOT NULL THEN g.group_number END AS group_number,
               (SELECT coalesce(json_agg(newest ORDER BY newest.attempt_id), '[]')
                  FROM (SELECT attempt_id, at, outcome, reason, text, http_status
                          FROM attempt
                         WHERE attempt.delivery_id = d.delivery_id
                         ORDER BY attempt_id DESC
                         LIMIT $2) AS newest) AS latest_attempts
          FROM delivery AS d
          JOIN channel AS c USING (channel_id)
          JOIN route AS r USING (route_id)
          JOIN transition AS t USING (transition_id)
          LEFT JOIN alert_group AS g USING (group_id)
         WHERE d.delivery_id IN (SELECT delivery_id FROM taken)
        """,
        CLAIM_ROWS,
        LATEST_ATTEMPTS_MAX,
    )
    return [_claim(_delivery_of(row)) for row in rows]


async def claim_unrouted(connection: Connection, now: datetime) -> list[Claim]:
    """Claim alerts of which nobody was notified, and mark them: the mark holds if the caller commits."""
    rows = await connection.fetch(
        """
        WITH taken AS (
            SELECT transition_id FROM unrouted WHERE published_at IS NULL ORDER BY at LIMIT $1 FOR UPDATE SKIP LOCKED
        )
        UPDATE unrouted
           SET published_at = $2
          FROM taken, transition
         WHERE unrouted.transition_id = taken.transition_id AND transition.transition_id = taken.transition_id
        RETURNING transition.message AS transition, unrouted.text, unrouted.at
        """,
        CLAIM_ROWS,
        now,
    )
    return [_claim(_unrouted_of(row)) for row in rows]


async def insert_unrouted(connection: Connection, transition_id: UUID, text: str, now: datetime) -> None:
    """Note that no route took an alert; `text` says what to do about it."""
    await connection.execute(
        "INSERT INTO unrouted (transition_id, text, at) VALUES ($1, $2, $3) ON CONFLICT DO NOTHING",
        transition_id,
        text,
        now,
    )


async def measure_outbox(connection: Connection, now: datetime) -> tuple[int, float]:
    """(changes that Kafka has not got yet, age of the oldest in seconds)."""
    row = await connection.fetchrow(
        """
        SELECT count(*) AS pending, min(at) AS oldest
          FROM (SELECT at FROM delivery_outbox UNION ALL SELECT at FROM unrouted WHERE published_at IS NULL) AS waiting
        """
    )
    assert row is not None
    return row["pending"], age_seconds(row["oldest"], now)


def _claim(delivery: Delivery) -> Claim:
    return Claim(delivery.model_id, delivery)


def _delivery_of(row: asyncpg.Record) -> Delivery:
    """A row whose columns are called as the fields of the contract."""
    transition, delivered_at = Transition.model_validate(row["transition"]), row["delivered_at"]
    return Delivery(
        **{
            **dict(row.items()),
            **_about(transition),
            "state": DeliveryState.NOT_SENT if row["parked_because"] in OVER else DeliveryState(row["state"]),
            "latency_seconds": max(0.0, (delivered_at - transition.at).total_seconds()) if delivered_at else None,
        }
    )


def _unrouted_of(row: asyncpg.Record) -> Delivery:
    transition = Transition.model_validate(row["transition"])
    return Delivery(
        delivery_id=uuid5(DELIVERY_IDS, f"{transition.transition_id}/no_route"),
        revision=1,
        **_about(transition),
        **dict.fromkeys(OF_DELIVERIES),
        state=DeliveryState.NO_ROUTE,
        text=row["text"],
        possibly_repeated=False,
        attempts=0,
        latest_attempts=(),
        created_at=row["at"],
        changed_at=row["at"],
    )


def _about(transition: Transition) -> dict[str, Any]:
    names = {"transition_id", "incident_id", "model_id", "sequence", "kind"}
    return {**transition.model_dump(include=names), "happened_at": transition.at}
