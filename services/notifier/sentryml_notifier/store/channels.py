"""Channels: their configuration, entering those of the settings, breaking and fixing."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from types import MappingProxyType
from typing import Any
from uuid import UUID

from sentryml_common.postgres.pool import Connection
from sentryml_notifier.domain.delivery import OVER
from sentryml_notifier.store.fallback import settle_delivered_elsewhere
from sentryml_notifier.store.routes import enter_first_route


@dataclass(frozen=True, slots=True)
class StoredChannel:
    """A channel's configuration. `secret` is encrypted; where it is kept in a setting, `secret_setting` names that.
    `version` counts what people changed, the fallback too."""

    channel_id: UUID
    name: str
    kind: str
    settings: dict[str, Any]
    secret_setting: str | None
    secret: bytes | None
    fingerprint: str
    version: int = 1


async def list_stored_channels(connection: Connection, channel_id: UUID | None = None) -> list[StoredChannel]:
    """The channels that are not deleted, in a fixed order; or the one with `channel_id`."""
    rows = await connection.fetch(
        """
        SELECT channel_id, name, kind, settings, secret_setting, secret, fingerprint, version
          FROM channel
         WHERE deleted_at IS NULL AND ($1::uuid IS NULL OR channel_id = $1)
         ORDER BY name
        """,
        channel_id,
    )
    return [StoredChannel(**dict(row.items())) for row in rows]


async def register_channel(
    connection: Connection,
    name: str,
    kind: str,
    setting: str,
    fingerprint: str,
    settings: Mapping[str, object] = MappingProxyType({}),
) -> UUID:
    """Enter a channel of the settings with a route for every model, or take it up again; return its id.

    The route is made with the channel and never again: people may have changed or deleted it.

    Who starts the notifier has checked the settings, so a broken channel is retried at the cost of one
    message.
    """
    row = await connection.fetchrow(
        """
        INSERT INTO channel (name, kind, secret_setting, fingerprint, settings)
        VALUES ($1, $2, $3, $4, $5)
            ON CONFLICT (name) WHERE deleted_at IS NULL DO UPDATE
           SET kind = excluded.kind, secret_setting = excluded.secret_setting, fingerprint = excluded.fingerprint,
               settings = excluded.settings, secret = NULL, secret_hint = NULL, state = 'active', broken_reason = NULL,
               retry_at = NULL, failures = 0,
               version = channel.version
                 + ((channel.kind, channel.secret_setting, channel.fingerprint, channel.settings) IS DISTINCT FROM
                    (excluded.kind, excluded.secret_setting, excluded.fingerprint, excluded.settings))::integer
        RETURNING channel_id, xmax = 0 AS is_new
        """,
        name, kind, setting, fingerprint, dict(settings),
    )  # fmt: skip
    assert row is not None
    if row["is_new"]:
        await enter_first_route(connection, name, row["channel_id"])
    return UUID(str(row["channel_id"]))


async def replace_secret(connection: Connection, channel_id: UUID, before: bytes, sealed: bytes) -> bool:
    """Keep the same secret, re-encrypted; False if it has been changed meanwhile. The channel stays as it is."""
    status = await connection.execute(
        "UPDATE channel SET secret = $3 WHERE channel_id = $1 AND secret = $2", channel_id, before, sealed
    )
    return status == "UPDATE 1"


async def break_channel(
    connection: Connection, channel_id: UUID, fingerprint: str, text: str, retry_at: datetime | None
) -> bool:
    """Mark a channel broken and park what waits on it; False if its configuration has been replaced meanwhile."""
    status = await connection.execute(
        """
        UPDATE channel SET state = 'broken', broken_reason = $3, retry_at = $4
         WHERE channel_id = $1 AND fingerprint = $2
        """,
        channel_id, fingerprint, text, retry_at,
    )  # fmt: skip
    if status != "UPDATE 1":
        return False
    await connection.execute(
        """
        UPDATE delivery
           SET state = 'parked', parked_because = 'channel_broken', last_text = $2, was_undeliverable = true
         WHERE channel_id = $1 AND state = 'pending'
        """,
        channel_id, text,
    )  # fmt: skip
    return True


async def park_if_broken(connection: Connection, channel_id: UUID) -> None:
    """Park what has come back to a channel that has broken while it was under way."""
    await connection.execute(
        """
        UPDATE delivery
           SET state = 'parked', parked_because = 'channel_broken', last_text = broken_reason, was_undeliverable = true
          FROM channel
         WHERE channel.channel_id = $1 AND channel.state = 'broken'
           AND delivery.channel_id = channel.channel_id AND delivery.state = 'pending'
        """,
        channel_id,
    )


async def revive_parked(connection: Connection, channel_id: UUID, fingerprint: str, now: datetime) -> int:
    """Give a broken channel, and deliveries that were given up, another try if it is time; return how many."""
    status = await connection.execute(
        """
        UPDATE channel SET state = 'active', broken_reason = NULL, retry_at = NULL
         WHERE channel_id = $1 AND fingerprint = $2 AND state = 'broken' AND retry_at <= $3
        """,
        channel_id, fingerprint, now,
    )  # fmt: skip
    if status == "UPDATE 1":
        return await release_waiting(connection, channel_id, now)
    status = await connection.execute(
        """
        UPDATE delivery SET state = 'pending', parked_because = NULL
         WHERE channel_id = $1 AND state = 'parked' AND parked_because = 'gave_up' AND due_at <= $2
        """,
        channel_id, now,
    )  # fmt: skip
    return int(status.rpartition(" ")[2])


async def release_waiting(connection: Connection, channel_id: UUID, now: datetime) -> int:
    """Make all that is parked or backing off on a channel due now; return how many deliveries that are.

    What another channel has delivered meanwhile, and is over, is settled instead.
    """
    await settle_delivered_elsewhere(connection, channel_id, now)
    status = await connection.execute(
        """
        UPDATE delivery
           SET state = 'pending', due_at = greatest($2, held_until), parked_because = NULL, failures = 0,
               failing_since = NULL
         WHERE channel_id = $1 AND (state = 'parked' OR (state = 'pending' AND due_at > $2))
           AND (parked_because = ANY ($3)) IS NOT TRUE
        """,
        channel_id, now, OVER,
    )  # fmt: skip
    return int(status.rpartition(" ")[2])


async def pause_channel(connection: Connection, channel_id: UUID, until: datetime) -> None:
    """Let nothing leave before `until`, or before a later time already set."""
    await connection.execute(
        "UPDATE channel SET paused_until = greatest(paused_until, $2) WHERE channel_id = $1", channel_id, until
    )


async def count_failure(connection: Connection, channel_id: UUID) -> None:
    """One more failed attempt in a row."""
    await connection.execute("UPDATE channel SET failures = failures + 1 WHERE channel_id = $1", channel_id)


async def count_success(connection: Connection, channel_id: UUID) -> int:
    """The channel works; return how many attempts had failed in a row."""
    failures: int = await connection.fetchval(
        """
        UPDATE channel SET failures = 0
          FROM (SELECT failures AS before FROM channel WHERE channel_id = $1) AS old
         WHERE channel_id = $1
        RETURNING old.before
        """,
        channel_id,
    )
    return failures


async def lock_channel(connection: Connection, channel_id: UUID) -> None:
    """Take one's turn on a channel until the transaction ends. The weaker lock lets foreign keys refer to it."""
    await connection.execute("SELECT true FROM channel WHERE channel_id = $1 FOR NO KEY UPDATE", channel_id)


async def broken_channels(connection: Connection) -> dict[UUID, str]:
    """Why channels are broken, by id."""
    rows = await connection.fetch(
        "SELECT channel_id, broken_reason FROM channel WHERE state = 'broken' AND deleted_at IS NULL"
    )
    return {row["channel_id"]: row["broken_reason"] for row in rows}
