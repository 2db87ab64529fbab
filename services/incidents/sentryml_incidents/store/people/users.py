"""People: who may sign in, and as what. Only a password's slow hash is kept."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Final
from uuid import UUID

import asyncpg

from sentryml_common.postgres.pool import Connection
from sentryml_common.postgres.rows import reader_of
from sentryml_incidents.domain.roles import Role

USER_COLUMNS: Final = """
    app_user.user_id, app_user.email, app_user.name, app_user.role, app_user.created_at AS user_created_at,
    app_user.last_signed_in_at, app_user.disabled_at, app_user.initial_password_until, app_user.checklist_hidden_at
"""


@dataclass(frozen=True, slots=True)
class User:
    """A person with an account. `initial_password_until` is set until they have chosen a password of their own;
    `checklist_hidden_at` if they do not want to see the checklist of a new installation."""

    user_id: UUID
    email: str
    name: str
    role: Role
    created_at: datetime
    last_signed_in_at: datetime | None
    disabled_at: datetime | None
    initial_password_until: datetime | None
    checklist_hidden_at: datetime | None


_read = reader_of(User)


def user_of(row: asyncpg.Record) -> User:
    """A row with USER_COLUMNS as a person."""
    return _read({**row, "created_at": row["user_created_at"]})


class EmailTaken(Exception):
    """There is an account with this address already."""


async def insert_user(
    connection: Connection,
    email: str,
    role: Role,
    password_hash: str,
    now: datetime,
    initial_password_until: datetime | None = None,
) -> UUID:
    """Make an account; people are called by their address until they say otherwise.

    Raises:
        EmailTaken: the address has an account, however it is written.
    """
    try:
        user_id: UUID = await connection.fetchval(
            """
            INSERT INTO app_user (email, name, role, password_hash, created_at, initial_password_until)
            VALUES ($1, $1, $2, $3, $4, $5)
            RETURNING user_id
            """,
            email,
            role,
            password_hash,
            now,
            initial_password_until,
        )
    except asyncpg.UniqueViolationError as err:
        raise EmailTaken(email) from err
    return user_id


async def lock_if_nobody_has_an_account(connection: Connection) -> bool:
    """Whether there is no account at all; if so, none can be made by others until the transaction ends."""
    await connection.execute("LOCK TABLE app_user IN SHARE ROW EXCLUSIVE MODE")
    return bool(await connection.fetchval("SELECT NOT EXISTS (SELECT FROM app_user)"))


async def find_user(connection: Connection, user_id: UUID) -> User | None:
    """An account by its id."""
    row = await connection.fetchrow(f"SELECT {USER_COLUMNS} FROM app_user WHERE user_id = $1", user_id)
    return user_of(row) if row else None


async def find_user_by_email(connection: Connection, email: str) -> User | None:
    """The account of an address, however it is written."""
    row = await connection.fetchrow(
        f"SELECT {USER_COLUMNS} FROM app_user WHERE lower(email) = lower($1)", email
    )  # fmt: skip
    return user_of(row) if row else None


async def find_credentials(connection: Connection, email: str) -> tuple[User, str] | None:
    """The account of an address, and the hash of its password."""
    row = await connection.fetchrow(
        f"SELECT {USER_COLUMNS}, password_hash FROM app_user WHERE lower(email) = lower($1)", email
    )
    return (user_of(row), row["password_hash"]) if row else None


async def list_users(connection: Connection) -> list[User]:
    """All accounts, by address; the disabled ones last."""
    rows = await connection.fetch(f"SELECT {USER_COLUMNS} FROM app_user ORDER BY disabled_at IS NOT NULL, lower(email)")
    return [user_of(row) for row in rows]


async def lock_admins(connection: Connection) -> set[UUID]:
    """The admins who may sign in; nobody else can change who they are until the transaction ends."""
    rows = await connection.fetch(
        """
        SELECT user_id
          FROM app_user
         WHERE role = 'admin' AND disabled_at IS NULL
         ORDER BY user_id
           FOR UPDATE
        """
    )
    return {row["user_id"] for row in rows}


async def record_sign_in(
    connection: Connection, user_id: UUID, verified_hash: str, better_hash: str | None, now: datetime
) -> bool:
    """Write down that a person has signed in; False if meanwhile the account was disabled or its password changed.

    `better_hash` replaces the hash that was verified, when what a hash costs has changed.
    """
    return bool(
        await connection.fetchval(
            """
            UPDATE app_user
               SET last_signed_in_at = $4, password_hash = coalesce($3, password_hash)
             WHERE user_id = $1 AND password_hash = $2 AND disabled_at IS NULL
            RETURNING TRUE
            """,
            user_id,
            verified_hash,
            better_hash,
            now,
        )
    )


async def change_password(connection: Connection, user_id: UUID, verified_hash: str, password_hash: str) -> bool:
    """Give an account the password that its owner has chosen; False if it is no longer the one that was verified."""
    return bool(
        await connection.fetchval(
            """
            UPDATE app_user
               SET password_hash = $3, initial_password_until = NULL
             WHERE user_id = $1 AND password_hash = $2 AND disabled_at IS NULL
            RETURNING TRUE
            """,
            user_id,
            verified_hash,
            password_hash,
        )
    )


async def reset_password(connection: Connection, user_id: UUID, password_hash: str, until: datetime) -> None:
    """Give an account an initial password, which opens until then."""
    await connection.execute(
        "UPDATE app_user SET password_hash = $2, initial_password_until = $3 WHERE user_id = $1",
        user_id,
        password_hash,
        until,
    )


async def rename_user(connection: Connection, user_id: UUID, name: str) -> None:
    """Change what a person is called on timelines from now on."""
    await connection.execute("UPDATE app_user SET name = $2 WHERE user_id = $1", user_id, name)


async def change_role(connection: Connection, user_id: UUID, role: Role) -> None:
    """Change what a person may do."""
    await connection.execute("UPDATE app_user SET role = $2 WHERE user_id = $1", user_id, role)


async def disable_user(connection: Connection, user_id: UUID, now: datetime) -> None:
    """Keep a person out; the account stays, since timelines name it."""
    await connection.execute(
        "UPDATE app_user SET disabled_at = coalesce(disabled_at, $2) WHERE user_id = $1", user_id, now
    )


async def hide_checklist(connection: Connection, user_id: UUID, hidden_at: datetime | None) -> None:
    """Hide the checklist of a new installation from a person; None: show it again."""
    await connection.execute("UPDATE app_user SET checklist_hidden_at = $2 WHERE user_id = $1", user_id, hidden_at)


async def enable_user(connection: Connection, user_id: UUID) -> None:
    """Let a person in again."""
    await connection.execute("UPDATE app_user SET disabled_at = NULL WHERE user_id = $1", user_id)
