"""API keys: only their hash is kept, and a key is never deleted, so that the timeline's actors stay known."""

from __future__ import annotations

from collections.abc import Collection
from datetime import datetime
from typing import Final

import asyncpg

from sentryml_common.contracts.api_key import ApiKey
from sentryml_common.contracts.api_key_usage import ApiKeyUsage
from sentryml_common.contracts.transition import Actor
from sentryml_common.postgres.pool import Connection
from sentryml_common.postgres.rows import insert_into, reader_of, values_of
from sentryml_incidents.domain.api_keys import StoredKey
from sentryml_incidents.store.wake import wake_relay

_NAMES: Final = ("key_id", "name", "key_hash", "scopes", "models", "expires_at")
API_KEY_COLUMNS: Final = ", ".join(f"api_key.{name}" for name in (*_NAMES, "revoked_at"))


_stored_of = reader_of(StoredKey)


def api_key_of(row: asyncpg.Record) -> ApiKey:
    """A row with API_KEY_COLUMNS as it is published."""
    return ApiKey.model_validate(dict(row.items()))


async def insert_api_key(
    connection: Connection, key: ApiKey, created_by: Actor, now: datetime, rotated_from: str | None = None
) -> None:
    """Keep a new key; `rotated_from` is the id of the one that it replaces."""
    insert = insert_into("api_key", (*_NAMES, "created_at", "created_by", "rotated_from"))
    await connection.execute(insert, *values_of(key, _NAMES), now, created_by, rotated_from)
    await wake_relay(connection)


async def find_api_key(connection: Connection, key_id: str) -> ApiKey | None:
    """The key with this public id."""
    row = await connection.fetchrow(f"SELECT {API_KEY_COLUMNS} FROM api_key WHERE key_id = $1", key_id)
    return api_key_of(row) if row else None


async def lock_api_key(connection: Connection, key_id: str) -> StoredKey | None:
    """The key with this public id, locked, so that what is decided about it holds."""
    locked = await connection.fetchval("SELECT key_id FROM api_key WHERE key_id = $1 FOR NO KEY UPDATE", key_id)
    found = await list_api_keys(connection, key_id) if locked else []
    return found[0] if found else None


async def list_api_keys(connection: Connection, key_id: str | None = None) -> list[StoredKey]:
    """All keys, newest first, the revoked ones too; or the one with `key_id`."""
    rows = await connection.fetch(
        f"""
        SELECT {API_KEY_COLUMNS}, api_key.created_at, api_key.created_by, api_key.rotated_from,
               successor.key_id AS replaced_by, api_key_usage.used_at AS last_used_at,
               api_key_usage.service AS last_used_by
          FROM api_key
          LEFT JOIN api_key AS successor ON successor.rotated_from = api_key.key_id
          LEFT JOIN api_key_usage ON api_key_usage.key_id = api_key.key_id
         WHERE $1::text IS NULL OR api_key.key_id = $1
         ORDER BY api_key.created_at DESC, api_key.key_id
        """,
        key_id,
    )
    return [_stored_of({**row, "key": api_key_of(row)}) for row in rows]


async def set_expiry(connection: Connection, key_id: str, expires_at: datetime) -> None:
    """Let a key end at `expires_at`, and have it published again."""
    await connection.execute(
        "UPDATE api_key SET expires_at = $2, published_at = NULL WHERE key_id = $1", key_id, expires_at
    )
    await wake_relay(connection)


async def revoke_api_key(connection: Connection, key_id: str, now: datetime) -> bool:
    """Revoke a key and have it published again; once revoked it stays so. False if there is none."""
    found = await connection.fetchval(
        """
        UPDATE api_key
           SET revoked_at = coalesce(revoked_at, $2),
               published_at = CASE WHEN revoked_at IS NULL THEN NULL ELSE published_at END
         WHERE key_id = $1
        RETURNING key_id
        """,
        key_id,
        now,
    )
    await wake_relay(connection)
    return found is not None


async def save_usage(connection: Connection, usage: ApiKeyUsage) -> None:
    """Keep the newest use of a key; an older one, or one of a key that is not ours, changes nothing."""
    await connection.execute(
        """
        INSERT INTO api_key_usage (key_id, used_at, service)
        SELECT key_id, $2, $3 FROM api_key WHERE key_id = $1
        ON CONFLICT (key_id) DO UPDATE SET used_at = excluded.used_at, service = excluded.service
              WHERE api_key_usage.used_at < excluded.used_at
        """,
        usage.key_id,
        usage.used_at,
        usage.service,
    )


async def find_spent_keys(connection: Connection, key_ids: Collection[str], now: datetime) -> set[str]:
    """Those of `key_ids` that were revoked or have expired."""
    rows = await connection.fetch(
        "SELECT key_id FROM api_key WHERE key_id = ANY ($1::text[]) AND (revoked_at IS NOT NULL OR expires_at <= $2)",
        list(key_ids),
        now,
    )
    return {row["key_id"] for row in rows}
