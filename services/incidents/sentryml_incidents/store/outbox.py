"""The outbox: rows that Kafka has not got yet, claimed in order per key, marked when it has.

Head of line: rows of a key can only be claimed with its oldest unpublished row, and that only by one relay at a time
(SKIP LOCKED). So rows of a key leave in order however many relays run; `position > last` would lose rows, since
positions are given before commit.
"""

from __future__ import annotations

from datetime import datetime

import asyncpg

from sentryml_common.outbox import Claim
from sentryml_common.postgres.pool import Connection
from sentryml_incidents.store.monitors import monitor_of
from sentryml_incidents.store.people.api_keys import API_KEY_COLUMNS, api_key_of
from sentryml_incidents.store.references import reference_of
from sentryml_incidents.store.timeline import TRANSITION_COLUMNS, transition_of

CLAIM_ROWS = 100


async def claim_transitions(connection: Connection, now: datetime, public_url: str) -> list[Claim]:
    """Claim unpublished transitions, of each model the oldest ones and in their order, and mark them: the mark holds if
    the caller commits. Who holds a model's head of line has its whole line: nobody else can claim what is behind.
    """
    rows = await connection.fetch(
        f"""
        WITH head AS (
            SELECT model_id
              FROM transition AS candidate
             WHERE published_at IS NULL
               AND NOT EXISTS (
                   SELECT FROM transition AS earlier
                    WHERE earlier.model_id = candidate.model_id
                      AND earlier.position < candidate.position
                      AND earlier.published_at IS NULL)
             ORDER BY position
             LIMIT $1
               FOR UPDATE SKIP LOCKED
        ), line AS (
            SELECT transition_id
              FROM transition JOIN head USING (model_id)
             WHERE published_at IS NULL
             ORDER BY position
             LIMIT $1
        )
        UPDATE transition
           SET published_at = $2
          FROM line, incident
         WHERE transition.transition_id = line.transition_id AND incident.incident_id = transition.incident_id
        RETURNING {TRANSITION_COLUMNS}, transition.position
        """,
        CLAIM_ROWS,
        now,
    )
    in_order = sorted(rows, key=lambda row: row["position"])
    return [Claim(row["model_id"], transition_of(row, public_url)) for row in in_order]


async def claim_monitors(connection: Connection, now: datetime) -> list[Claim]:
    """Claim the oldest message of each monitor, likewise; here the row goes when Kafka has it. A deletion waits for the
    model's transitions: that its incident has ended is published before anything is freed."""
    rows = await _claim_messages(
        connection,
        "monitor_message",
        """
        candidate.message IS NOT NULL OR NOT EXISTS (
            SELECT FROM transition
             WHERE transition.model_id = candidate.model_id AND transition.published_at IS NULL)
        """,
    )
    return [Claim(row["model_id"], monitor_of(row["message"])) for row in rows]


async def claim_references(connection: Connection, now: datetime) -> list[Claim]:
    """Claim the oldest reference of each model, or its deletion, likewise."""
    rows = await _claim_messages(connection, "reference_message")
    return [Claim(row["model_id"], reference_of(row["message"])) for row in rows]


async def _claim_messages(connection: Connection, table: str, ready: str = "TRUE") -> list[asyncpg.Record]:
    """The oldest message of each model, where it is `ready`: taken out of its table."""
    return await connection.fetch(
        f"""
        WITH head AS (
            SELECT position
              FROM {table} AS candidate
             WHERE NOT EXISTS (
                   SELECT FROM {table} AS earlier
                    WHERE earlier.model_id = candidate.model_id AND earlier.position < candidate.position)
               AND ({ready})
             ORDER BY position
             LIMIT $1
               FOR UPDATE SKIP LOCKED
        )
        DELETE FROM {table}
         USING head
         WHERE {table}.position = head.position
        RETURNING model_id, message
        """,
        CLAIM_ROWS,
    )


async def claim_api_keys(connection: Connection, now: datetime) -> list[Claim]:
    """Claim API keys that were made or revoked since they were last published, likewise."""
    rows = await connection.fetch(
        f"""
        WITH head AS (
            SELECT key_id FROM api_key WHERE published_at IS NULL ORDER BY key_id LIMIT $1
               FOR NO KEY UPDATE SKIP LOCKED
        )
        UPDATE api_key
           SET published_at = $2
          FROM head
         WHERE api_key.key_id = head.key_id
        RETURNING {API_KEY_COLUMNS}
        """,
        CLAIM_ROWS,
        now,
    )
    return [Claim(row["key_id"], api_key_of(row)) for row in rows]


async def oldest_unpublished(connection: Connection) -> datetime | None:
    """When the oldest transition happened that Kafka has not got yet; None if there is none."""
    oldest: datetime | None = await connection.fetchval("SELECT min(at) FROM transition WHERE published_at IS NULL")
    return oldest


async def measure_outbox(connection: Connection, now: datetime) -> tuple[int, float]:
    """(unpublished transitions, age of the oldest in seconds)."""
    row = await connection.fetchrow(
        "SELECT count(*) AS pending, min(at) AS oldest FROM transition WHERE published_at IS NULL"
    )
    assert row is not None
    age = max(0.0, (now - row["oldest"]).total_seconds()) if row["oldest"] else 0.0
    return row["pending"], age
