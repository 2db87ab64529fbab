"""Making, changing and deleting channels. Each takes the channel's lock first."""

from __future__ import annotations

from datetime import datetime
from uuid import UUID

from sentryml_common.postgres.pool import Connection
from sentryml_notifier.domain.delivery import OVER
from sentryml_notifier.store.channels import StoredChannel, list_stored_channels, lock_channel


async def lock_stored_channel(connection: Connection, channel_id: UUID) -> StoredChannel | None:
    """A channel that is not deleted, locked until the transaction ends."""
    await lock_channel(connection, channel_id)
    found = await list_stored_channels(connection, channel_id)
    return found[0] if found else None


async def insert_channel(connection: Connection, stored: StoredChannel, hint: str | None, now: datetime) -> None:
    """Keep a new channel.

    Raises:
        UniqueViolationError: another one has its name.
    """
    await connection.execute(
        """
        INSERT INTO channel (channel_id, name, kind, settings, secret, secret_hint, fingerprint, created_at)
        VALUES ($1, $2, $3, $4, $5, $6, $7, $8)
        """,
        stored.channel_id, stored.name, stored.kind, stored.settings, stored.secret, hint, stored.fingerprint, now,
    )  # fmt: skip


async def update_channel(connection: Connection, stored: StoredChannel, hint: str | None) -> None:
    """Keep a changed channel, which is no longer broken: who changed it has checked it. A `hint` of None keeps the
    old one.

    Raises:
        UniqueViolationError: another one has its name.
    """
    await connection.execute(
        """
        UPDATE channel
           SET name = $2, settings = $3, secret = $4, secret_hint = coalesce($5, secret_hint), fingerprint = $6,
               secret_setting = NULL, version = version + 1,
               state = 'active', broken_reason = NULL, retry_at = NULL, paused_until = NULL, failures = 0
         WHERE channel_id = $1
        """,
        stored.channel_id, stored.name, stored.settings, stored.secret, hint, stored.fingerprint,
    )  # fmt: skip


async def repair_channel(connection: Connection, channel_id: UUID) -> bool:
    """A broken channel works, or is to be retried; False if it was not broken."""
    status = await connection.execute(
        """
        UPDATE channel SET state = 'active', broken_reason = NULL, retry_at = NULL, failures = 0
         WHERE channel_id = $1 AND state = 'broken'
        """,
        channel_id,
    )
    return status == "UPDATE 1"


async def routes_to(connection: Connection, channel_id: UUID) -> list[str]:
    """The names of the routes that lead to a channel."""
    rows = await connection.fetch(
        "SELECT name FROM route WHERE channel_id = $1 AND deleted_at IS NULL ORDER BY name", channel_id
    )
    return [row["name"] for row in rows]


async def count_waiting(connection: Connection, channel_id: UUID) -> int:
    """How many deliveries are not delivered yet."""
    count: int = await connection.fetchval(
        """
        SELECT count(*) FROM delivery
         WHERE channel_id = $1 AND state <> 'delivered' AND (parked_because = ANY ($2)) IS NOT TRUE
        """,
        channel_id, OVER,
    )  # fmt: skip
    return count


async def delete_channel(connection: Connection, channel_id: UUID, text: str, now: datetime) -> None:
    """Mark a channel as deleted, forget its secret, and end what waits on it, visibly, with `text`."""
    await connection.execute(
        """
        UPDATE delivery
           SET state = 'parked', parked_because = 'channel_deleted', send_id = NULL, last_text = $2
         WHERE channel_id = $1 AND state <> 'delivered' AND (parked_because = ANY ($3)) IS NOT TRUE
        """,
        channel_id, text, OVER,
    )  # fmt: skip
    await connection.execute(
        "UPDATE channel SET deleted_at = $2, secret = NULL, secret_hint = NULL WHERE channel_id = $1", channel_id, now
    )
