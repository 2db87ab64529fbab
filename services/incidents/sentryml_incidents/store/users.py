"""People: who may sign in, and as what. Only a password's slow hash is kept."""

from __future__ import annotations

from datetime import datetime
from enum import StrEnum

import asyncpg

from sentryml_common.postgres.pool import Connection


class Role(StrEnum):
    """What a person may do."""

    VIEWER = "viewer"
    RESPONDER = "responder"
    ADMIN = "admin"


class EmailTaken(Exception):
    """There is an account with this address already."""


async def insert_user(connection: Connection, email: str, role: Role, password_hash: str, now: datetime) -> None:
    """Make an account; people are called by their address until they say otherwise.

    Raises:
        EmailTaken: the address has an account, however it is written.
    """
    try:
        await connection.execute(
            "INSERT INTO app_user (email, name, role, password_hash, created_at) VALUES ($1, $1, $2, $3, $4)",
            email,
            role,
            password_hash,
            now,
        )
    except asyncpg.UniqueViolationError as err:
        raise EmailTaken(email) from err
