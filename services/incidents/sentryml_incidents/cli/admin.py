"""`sentryml-admin`: API keys and the first admin, straight into PostgreSQL.

Works before the service has ever run: migrations are applied first. The service's relay publishes what is made
here. What was asked for goes to standard output, alone; everything else that is said goes to standard error.
"""

from __future__ import annotations

import argparse
import asyncio
import re
import sys
from collections.abc import Sequence
from functools import partial

from sentryml_common.clock import system_clock
from sentryml_common.errors import SentryMLError
from sentryml_common.health import Health
from sentryml_common.logging import configure_logging
from sentryml_common.postgres.migrate import migrate, read_migrations
from sentryml_common.postgres.pool import Pool, open_pool, transaction
from sentryml_common.settings import load_settings_or_exit
from sentryml_incidents.cli.admin_keys import add_key_commands
from sentryml_incidents.cli.command import Command, Refused
from sentryml_incidents.domain.accounts import EMAIL_PATTERN
from sentryml_incidents.domain.roles import Role
from sentryml_incidents.passwords import PasswordTooWeak, check_strength, hash_password
from sentryml_incidents.settings import SCHEMA, AdminSettings
from sentryml_incidents.store.people.users import EmailTaken, insert_user

CONNECT_SECONDS = 30.0


async def _create_admin(pool: Pool, email: str, password_hash: str) -> str:
    """Make an admin's account, and say so.

    Raises:
        Refused: the address has an account.
    """
    try:
        async with transaction(pool) as connection:
            await insert_user(connection, email, Role.ADMIN, password_hash, system_clock())
    except EmailTaken as err:
        raise Refused(f"there is an account for {email} already") from err
    return f"admin {email} made"


def main(arguments: Sequence[str] | None = None) -> None:
    """Entry point of `sentryml-admin`."""
    asked = _parser().parse_args(arguments)
    try:
        command: Command = asked.requested(asked)
        settings = load_settings_or_exit(AdminSettings)
        configure_logging("sentryml-admin", settings)
        said = asyncio.run(_run(settings, command))
    except (Refused, SentryMLError) as err:
        sys.exit(f"sentryml-admin: {err}")
    sys.stdout.write(f"{said}\n")


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="sentryml-admin", description="API keys and the first admin.")
    commands = parser.add_subparsers(dest="command", required=True)
    add_key_commands(commands)
    admin = commands.add_parser("create-admin", help="make an admin's account")
    admin.add_argument("--email", required=True)
    admin.add_argument(
        "--password-stdin", action="store_true", required=True, help="read the password from standard input"
    )
    admin.set_defaults(requested=_requested_admin)
    return parser


def _requested_admin(asked: argparse.Namespace) -> Command:
    email = asked.email.strip()
    if not re.fullmatch(EMAIL_PATTERN, email):
        raise Refused(f"--email {email!r} is not an address like ana@example.org")
    password = sys.stdin.readline().rstrip("\r\n")
    try:
        check_strength(password, email)
    except PasswordTooWeak as err:
        raise Refused(str(err)) from err
    return partial(_create_admin, email=email, password_hash=hash_password(password))


async def _run(settings: AdminSettings, command: Command) -> str:
    try:
        async with asyncio.timeout(CONNECT_SECONDS), open_pool(settings, SCHEMA, Health()) as pool:
            await migrate(pool, SCHEMA, read_migrations("sentryml_incidents"))
            return await command(pool)
    except TimeoutError as err:
        raise Refused(
            f"PostgreSQL did not answer within {CONNECT_SECONDS:.0f} s: is it running, is SENTRYML_POSTGRES_URL right?"
        ) from err


if __name__ == "__main__":
    main()
