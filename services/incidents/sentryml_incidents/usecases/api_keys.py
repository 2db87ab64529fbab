"""Creating, rotating and revoking API keys: the one way for the API, for pages and for the command line.

A key's text is returned once, and kept nowhere.
"""

from __future__ import annotations

import secrets
from collections.abc import Callable
from datetime import datetime, timedelta
from typing import TypeAlias

from sentryml_common.contracts.api_key import ApiKey, Scope
from sentryml_common.contracts.transition import Actor
from sentryml_common.postgres.pool import Connection
from sentryml_incidents.domain.api_keys import RANDOM_BYTES, NotRotatable, StoredKey, make_api_key, rotate_api_key
from sentryml_incidents.store.people.api_keys import (
    find_api_key,
    insert_api_key,
    lock_api_key,
    revoke_api_key,
    set_expiry,
)
from sentryml_incidents.usecases.errors import ApiKeyNotRotatable, UnknownApiKey

MayManage: TypeAlias = Callable[[ApiKey], bool]
"""Whether somebody may see and end a key."""


def any_key(_: ApiKey) -> bool:
    """Admins among people manage all keys."""
    return True


async def create_key(
    connection: Connection,
    maker: Actor,
    name: str,
    scopes: tuple[Scope, ...],
    models: tuple[str, ...],
    expires_at: datetime | None,
    now: datetime,
) -> tuple[StoredKey, str]:
    """Create a key; return it with its text."""
    text, made = make_api_key(name, scopes, models, expires_at, secrets.token_bytes(RANDOM_BYTES))
    await insert_api_key(connection, made, maker, now)
    return StoredKey(made, now, maker), text


async def rotate_key(
    connection: Connection,
    maker: Actor,
    key_id: str,
    overlap: timedelta,
    now: datetime,
    may_manage: MayManage = any_key,
) -> tuple[StoredKey, str]:
    """Replace a key, which stays valid for `overlap`; return the new one with its text.

    Raises:
        UnknownApiKey: there is none that may be managed.
        ApiKeyNotRotatable: it is over, or rotated already.
    """
    old = await lock_api_key(connection, key_id)
    if old is None or not may_manage(old.key):
        raise UnknownApiKey(key_id)
    try:
        text, made, ends_at = rotate_api_key(old, now, overlap, secrets.token_bytes(RANDOM_BYTES))
    except NotRotatable as err:
        raise ApiKeyNotRotatable(str(err)) from err
    await insert_api_key(connection, made, maker, now, rotated_from=key_id)
    await set_expiry(connection, key_id, ends_at)
    return StoredKey(made, now, maker, rotated_from=key_id), text


async def revoke_key(connection: Connection, key_id: str, now: datetime, may_manage: MayManage = any_key) -> None:
    """End a key at once, for good.

    Raises:
        UnknownApiKey: there is none that may be managed.
    """
    key = await find_api_key(connection, key_id)
    if key is None or not may_manage(key):
        raise UnknownApiKey(key_id)
    await revoke_api_key(connection, key_id, now)
