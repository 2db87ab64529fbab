"""API keys: only their hash is kept, and a key is never deleted, so that the timeline's actors stay known."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Final

import asyncpg

from sentryml_common.contracts.api_key import ApiKey
from sentryml_common.contracts.transition import Actor
from sentryml_common.postgres.pool import Connection
from sentryml_incidents.store.wake import wake_relay

API_KEY_COLUMNS: Final = """
    api_key.key_id, api_key.name, api_key.key_hash, api_key.scopes, api_key.models, api_key.expires_at,
    api_key.revoked_at
"""


@dataclass(frozen=True, slots=True)
class StoredKey:
    """A key with what only people want to know of it."""

    key: ApiKey
    created_at: datetime
    created_by: Actor


def api_key_of(row: asyncpg.Record) -> ApiKey:
    """A row with API_KEY_COLUMNS as it is published."""
    return ApiKey.model_validate(dict(row.items()))


async def insert_api_key(connection: Connection, key: ApiKey, created_by: Actor, now: datetime) -> None:
    """Keep a new key."""
    await connection.execute(
        """
        INSERT INTO api_key (key_id, name, key_hash, scopes, models, expires_at, created_at, created_by)
        VALUES ($1, $2, $3, $4, $5, $6, $7, $8)
        """,
        key.key_id,
        key.name,
        key.key_hash,
        list(key.scopes),
        list(key.models),
        key.expires_at,
        now,
        created_by.model_dump(mode="json"),
    )
    await wake_relay(connection)


async def find_api_key(connection: Connection, key_id: str) -> ApiKey | None:
    """The key with this public id."""
    row = await connection.fetchrow(f"SELECT {API_KEY_COLUMNS} FROM api_key WHERE key_id = $1", key_id)
    return api_key_of(row) if row else None


async def list_api_keys(connection: Connection) -> list[StoredKey]:
    """All keys, newest first, the revoked ones too."""
    rows = await connection.fetch(
        f"SELECT {API_KEY_COLUMNS}, created_at, created_by FROM api_key ORDER BY created_at DESC, key_id"
    )
    return [StoredKey(api_key_of(row), row["created_at"], Actor.model_validate(row["created_by"])) for row in rows]


async def revoke_api_key(connection: Connection, key_id: str, now: datetime) -> bool:
    """Revoke a key and have it published anew; once revoked it stays so. False if there is none."""
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
