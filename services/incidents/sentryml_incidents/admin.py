"""`sentryml-admin`: the first key and the first admin, straight into PostgreSQL.

Works before the service has ever run: migrations are applied first. The service's relay publishes what is made
here. The key goes to standard output, alone; everything else that is said goes to standard error.
"""

from __future__ import annotations

import argparse
import asyncio
import re
import secrets
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta

from sentryml_common.clock import system_clock
from sentryml_common.contracts.api_key import Scope
from sentryml_common.contracts.transition import SYSTEM
from sentryml_common.errors import SentryMLError
from sentryml_common.http.health import Health
from sentryml_common.logging import configure_logging
from sentryml_common.postgres.migrate import migrate, read_migrations
from sentryml_common.postgres.pool import Pool, open_pool, transaction
from sentryml_common.service import load_settings_or_exit
from sentryml_incidents.domain.access import MODEL_PATTERN, NAME_LENGTH_MAX, RANDOM_BYTES, make_api_key
from sentryml_incidents.domain.accounts import EMAIL_PATTERN
from sentryml_incidents.domain.roles import Role
from sentryml_incidents.passwords import PasswordTooWeak, hash_password
from sentryml_incidents.settings import SCHEMA, AdminSettings
from sentryml_incidents.store.api_keys import insert_api_key
from sentryml_incidents.store.users import EmailTaken, insert_user

CONNECT_SECONDS = 30.0
LIFETIME_DAYS_MAX = 36_500


class Refused(Exception):
    """What was asked for cannot be; the message says why and what would do."""


@dataclass(frozen=True, slots=True)
class WantedKey:
    """An API key that can be made."""

    name: str
    scopes: tuple[Scope, ...]
    models: tuple[str, ...]
    lifetime: timedelta | None


@dataclass(frozen=True, slots=True)
class WantedAdmin:
    """An admin's account that can be made, unless the address has one."""

    email: str
    password_hash: str


def main(arguments: Sequence[str] | None = None) -> None:
    """Entry point of `sentryml-admin`."""
    asked = _parser().parse_args(arguments)
    try:
        wanted = _wanted_key(asked) if asked.command == "create-api-key" else _wanted_admin(asked, sys.stdin.readline())
        settings = load_settings_or_exit(AdminSettings)
        configure_logging("sentryml-admin", settings)
        said = asyncio.run(_run(settings, wanted))
    except (Refused, SentryMLError) as err:
        sys.exit(f"sentryml-admin: {err}")
    sys.stdout.write(f"{said}\n")


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="sentryml-admin", description="Make API keys and the first admin.")
    commands = parser.add_subparsers(dest="command", required=True)
    key = commands.add_parser("create-api-key", help="make an API key and print it; it is never shown again")
    key.add_argument("--name", required=True, help="what it is for; shown on timelines")
    key.add_argument(
        "--scope", dest="scopes", action="append", required=True, choices=[str(scope) for scope in Scope],
        help="what it may do; may be repeated",
    )  # fmt: skip
    key.add_argument(
        "--model", dest="models", action="append", default=[], metavar="PATTERN",
        help="a model it may speak for, like fraud-*; may be repeated; none means all",
    )  # fmt: skip
    key.add_argument("--expires-in-days", type=int, metavar="DAYS", help="when it ends; never, if left out")
    admin = commands.add_parser("create-admin", help="make an admin's account")
    admin.add_argument("--email", required=True)
    admin.add_argument(
        "--password-stdin", action="store_true", required=True, help="read the password from standard input"
    )
    return parser


def _wanted_key(asked: argparse.Namespace) -> WantedKey:
    name, days = asked.name.strip(), asked.expires_in_days
    if not 1 <= len(name) <= NAME_LENGTH_MAX:
        raise Refused(f"--name has 1 to {NAME_LENGTH_MAX} characters")
    for pattern in asked.models:
        if not re.match(MODEL_PATTERN, pattern):
            raise Refused(f"--model {pattern!r} is no pattern of model ids like fraud-*")
    if days is not None and not 1 <= days <= LIFETIME_DAYS_MAX:
        raise Refused(f"--expires-in-days lies between 1 and {LIFETIME_DAYS_MAX}")
    scopes = tuple(dict.fromkeys(Scope(scope) for scope in asked.scopes))
    return WantedKey(name, scopes, tuple(asked.models), timedelta(days=days) if days else None)


def _wanted_admin(asked: argparse.Namespace, line: str) -> WantedAdmin:
    email = asked.email.strip()
    if not re.fullmatch(EMAIL_PATTERN, email):
        raise Refused(f"--email {email!r} is not an address like ana@example.org")
    try:
        return WantedAdmin(email, hash_password(line.rstrip("\r\n")))
    except PasswordTooWeak as err:
        raise Refused(str(err)) from err


async def _run(settings: AdminSettings, wanted: WantedKey | WantedAdmin) -> str:
    try:
        async with asyncio.timeout(CONNECT_SECONDS), open_pool(settings, SCHEMA, Health()) as pool:
            await migrate(pool, SCHEMA, read_migrations("sentryml_incidents"))
            if isinstance(wanted, WantedKey):
                return await _create_api_key(pool, wanted)
            return await _create_admin(pool, wanted)
    except TimeoutError as err:
        raise Refused(
            f"PostgreSQL did not answer within {CONNECT_SECONDS:.0f} s: is it running, is SENTRYML_POSTGRES_URL right?"
        ) from err


async def _create_api_key(pool: Pool, wanted: WantedKey) -> str:
    now = system_clock()
    expires_at = now + wanted.lifetime if wanted.lifetime else None
    randomness = secrets.token_bytes(RANDOM_BYTES)
    text, made = make_api_key(wanted.name, wanted.scopes, wanted.models, expires_at, randomness)
    async with transaction(pool) as connection:
        await insert_api_key(connection, made, SYSTEM, now)
    return text


async def _create_admin(pool: Pool, wanted: WantedAdmin) -> str:
    try:
        async with transaction(pool) as connection:
            await insert_user(connection, wanted.email, Role.ADMIN, wanted.password_hash, system_clock())
    except EmailTaken as err:
        raise Refused(f"there is an account for {wanted.email} already") from err
    return f"admin {wanted.email} made"


if __name__ == "__main__":
    main()
