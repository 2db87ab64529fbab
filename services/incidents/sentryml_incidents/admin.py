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
from sentryml_incidents.app import SCHEMA
from sentryml_incidents.domain.access import MODEL_PATTERN, NAME_LENGTH_MAX, RANDOM_BYTES, make_api_key
from sentryml_incidents.passwords import PasswordTooWeak, hash_password
from sentryml_incidents.settings import AdminSettings
from sentryml_incidents.store.api_keys import insert_api_key
from sentryml_incidents.store.users import EmailTaken, Role, insert_user

CONNECT_SECONDS = 30.0


class Refused(Exception):
    """What was asked for cannot be; the message says why and what would do."""


def main(arguments: Sequence[str] | None = None) -> None:
    """Entry point of `sentryml-admin`."""
    asked = _parser().parse_args(arguments)
    settings = load_settings_or_exit(AdminSettings)
    configure_logging("sentryml-admin", settings)
    password = sys.stdin.readline().rstrip("\r\n") if asked.command == "create-admin" else ""
    try:
        said = asyncio.run(_run(settings, asked, password))
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


async def _run(settings: AdminSettings, asked: argparse.Namespace, password: str) -> str:
    try:
        async with asyncio.timeout(CONNECT_SECONDS):
            return await _with_database(settings, asked, password)
    except TimeoutError as err:
        raise Refused(
            f"PostgreSQL did not answer within {CONNECT_SECONDS:.0f} s: is it running, is SENTRYML_POSTGRES_URL right?"
        ) from err


async def _with_database(settings: AdminSettings, asked: argparse.Namespace, password: str) -> str:
    async with open_pool(settings, SCHEMA, Health()) as pool:
        await migrate(pool, SCHEMA, read_migrations("sentryml_incidents"))
        if asked.command == "create-api-key":
            return await _create_api_key(pool, asked)
        return await _create_admin(pool, asked.email, password)


async def _create_api_key(pool: Pool, asked: argparse.Namespace) -> str:
    now, days = system_clock(), asked.expires_in_days
    if not 1 <= len(asked.name.strip()) <= NAME_LENGTH_MAX:
        raise Refused(f"--name has 1 to {NAME_LENGTH_MAX} characters")
    for pattern in asked.models:
        if not re.match(MODEL_PATTERN, pattern):
            raise Refused(f"--model {pattern!r} is no pattern of model ids like fraud-*")
    if days is not None and not 1 <= days <= 36_500:
        raise Refused("--expires-in-days lies between 1 and 36500")
    expires_at = now + timedelta(days=days) if days else None
    scopes = tuple(dict.fromkeys(Scope(scope) for scope in asked.scopes))
    text, made = make_api_key(
        asked.name.strip(), scopes, tuple(asked.models), expires_at, secrets.token_bytes(RANDOM_BYTES)
    )
    async with transaction(pool) as connection:
        await insert_api_key(connection, made, SYSTEM, now)
    return text


async def _create_admin(pool: Pool, email: str, password: str) -> str:
    name, _, host = email.strip().partition("@")
    if not name or not host or any(letter.isspace() for letter in email.strip()):
        raise Refused(f"--email {email!r} is not an address like ana@example.org")
    try:
        hashed = hash_password(password)
    except PasswordTooWeak as err:
        raise Refused(str(err)) from err
    try:
        async with transaction(pool) as connection:
            await insert_user(connection, email.strip(), Role.ADMIN, hashed, system_clock())
    except EmailTaken as err:
        raise Refused(f"there is an account for {email.strip()} already") from err
    return f"admin {email.strip()} made"


if __name__ == "__main__":
    main()
