"""The commands of `sentryml-admin` about API keys."""

from __future__ import annotations

import argparse
import re
from datetime import datetime, timedelta
from functools import partial

from sentryml_common.clock import system_clock
from sentryml_common.contracts.api_key import Scope, holds_key
from sentryml_common.contracts.api_key_usage import KEY_ID_PATTERN
from sentryml_common.contracts.transition import SYSTEM
from sentryml_common.postgres.pool import Pool, transaction
from sentryml_incidents.cli.command import Command, Refused
from sentryml_incidents.domain.api_keys import (
    MODEL_PATTERN,
    MODELS_MAX,
    NAME_LENGTH_MAX,
    OVERLAP_DEFAULT,
    OVERLAP_MAX,
    StoredKey,
)
from sentryml_incidents.store.people.api_keys import list_api_keys
from sentryml_incidents.usecases.api_keys import create_key, revoke_key, rotate_key

LIFETIME_DAYS_MAX = 36_500
COLUMNS = ("KEY ID", "NAME", "SCOPES", "MODELS", "STATE", "LAST USED")


async def _create(
    pool: Pool, name: str, scopes: tuple[Scope, ...], models: tuple[str, ...], lifetime: timedelta | None
) -> str:
    """Create a key, and say it."""
    now = system_clock()
    async with transaction(pool) as connection:
        expires_at = now + lifetime if lifetime else None
        _, text = await create_key(connection, SYSTEM, name, scopes, models, expires_at, now)
    return text


async def _rotate(pool: Pool, key_id: str, overlap: timedelta) -> str:
    """Replace a key, and say the new one.

    Raises:
        UnknownApiKey: there is none with this id.
        ApiKeyNotRotatable: it is over, or rotated already.
    """
    async with transaction(pool) as connection:
        _, text = await rotate_key(connection, SYSTEM, key_id, overlap, system_clock())
    return text


async def _revoke(pool: Pool, key_id: str) -> str:
    """End a key for good, and say so.

    Raises:
        UnknownApiKey: there is none with this id.
    """
    async with transaction(pool) as connection:
        await revoke_key(connection, key_id, system_clock())
    return f"API key {key_id} revoked"


async def _list(pool: Pool) -> str:
    """A table of the keys, newest first. No key is in it: none is known."""
    async with transaction(pool) as connection:
        found = await list_api_keys(connection)
    rows = [COLUMNS, *(_row(stored, system_clock()) for stored in found)]
    widths = [max(len(row[column]) for row in rows) for column in range(len(COLUMNS))]
    return "\n".join("  ".join(map(str.ljust, row, widths)).rstrip() for row in rows)


def _row(stored: StoredKey, now: datetime) -> tuple[str, ...]:
    key, used = stored.key, stored.last_used_at
    scopes, models = ",".join(key.scopes), ",".join(key.models) or "all"
    last = f"{_minute(used)} ({stored.last_used_by})" if used else "never"
    return key.key_id, key.name, scopes, models, _state(stored, now), last


def _state(stored: StoredKey, now: datetime) -> str:
    key, successor = stored.key, f", replaced by {stored.replaced_by}" if stored.replaced_by else ""
    if key.revoked_at:
        return f"revoked {_minute(key.revoked_at)}{successor}"
    if key.expires_at is None:
        return "valid"
    return f"{'valid until' if now < key.expires_at else 'expired'} {_minute(key.expires_at)}{successor}"


def _minute(at: datetime) -> str:
    return f"{at:%Y-%m-%dT%H:%MZ}"


def add_key_commands(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """create-api-key, rotate-api-key, revoke-api-key, list-api-keys."""
    create = commands.add_parser("create-api-key", help="make an API key and print it; it is never shown again")
    create.add_argument("--name", required=True, help="what it is for; shown on timelines")
    create.add_argument(
        "--scope", dest="scopes", action="append", required=True, choices=[str(scope) for scope in Scope],
        help="what it may do; may be repeated",
    )  # fmt: skip
    create.add_argument(
        "--model", dest="models", action="append", default=[], metavar="PATTERN",
        help="a model it may access, like fraud-*; may be repeated; none means all",
    )  # fmt: skip
    create.add_argument("--expires-in-days", type=int, metavar="DAYS", help="when it ends; never, if left out")
    create.set_defaults(requested=_requested_key)
    rotate = commands.add_parser("rotate-api-key", help="replace an API key, and print the new one")
    rotate.add_argument("key_id", help="the key's public id: the 12 characters after sml_")
    rotate.add_argument(
        "--overlap-seconds", type=float, default=OVERLAP_DEFAULT.total_seconds(), metavar="SECONDS",
        help="how long the old key stays valid; a day, if left out",
    )  # fmt: skip
    rotate.set_defaults(requested=_requested_rotation)
    revoke = commands.add_parser("revoke-api-key", help="end an API key at once, for good")
    revoke.add_argument("key_id", help="the key's public id: the 12 characters after sml_")
    revoke.set_defaults(requested=lambda asked: partial(_revoke, key_id=_key_id(asked.key_id)))
    shown = commands.add_parser("list-api-keys", help="all API keys, without their secrets")
    shown.set_defaults(requested=lambda _: _list)


def _requested_key(asked: argparse.Namespace) -> Command:
    name, days = asked.name.strip(), asked.expires_in_days
    if not 1 <= len(name) <= NAME_LENGTH_MAX:
        raise Refused(f"--name has 1 to {NAME_LENGTH_MAX} characters")
    if holds_key(name) or any(map(holds_key, asked.models)):
        raise Refused("--name or --model holds an API key, which would be kept and shown with it: take it out")
    for pattern in asked.models:
        if not re.match(MODEL_PATTERN, pattern):
            raise Refused(f"--model {pattern!r} is no pattern of model ids like fraud-*")
    if len(asked.models) > MODELS_MAX:
        raise Refused(f"--model may be repeated {MODELS_MAX} times: use patterns like fraud-*")
    if days is not None and not 1 <= days <= LIFETIME_DAYS_MAX:
        raise Refused(f"--expires-in-days lies between 1 and {LIFETIME_DAYS_MAX}")
    scopes, models = dict.fromkeys(Scope(scope) for scope in asked.scopes), dict.fromkeys(asked.models)
    lifetime = timedelta(days=days) if days else None
    return partial(_create, name=name, scopes=tuple(scopes), models=tuple(models), lifetime=lifetime)


def _requested_rotation(asked: argparse.Namespace) -> Command:
    longest = OVERLAP_MAX.total_seconds()
    if not 0 <= asked.overlap_seconds <= longest:
        raise Refused(f"--overlap-seconds lies between 0 and {longest:.0f}")
    return partial(_rotate, key_id=_key_id(asked.key_id), overlap=timedelta(seconds=asked.overlap_seconds))


def _key_id(given: str) -> str:
    if holds_key(given):
        raise Refused("give the key's public id, the 12 characters after sml_, never the key itself")
    if not re.fullmatch(KEY_ID_PATTERN, given):
        raise Refused(f"{given!r} is no id of an API key: it has 12 small letters and digits; list-api-keys shows them")
    return given
