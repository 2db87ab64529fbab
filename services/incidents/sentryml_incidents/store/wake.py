"""The wake-up call of the relay: only a hint that saves a second of polling, never the truth."""

from __future__ import annotations

from sentryml_common.postgres.pool import Connection

CHANNEL = "sentryml_incidents_outbox"


async def wake_relay(connection: Connection) -> None:
    """Tell the relays that there is something to publish, once this transaction commits."""
    await connection.execute("SELECT pg_notify($1, '')", CHANNEL)
