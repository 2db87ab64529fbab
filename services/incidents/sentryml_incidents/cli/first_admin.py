"""The first admin, from the environment: made at start, and only while nobody has an account."""

from __future__ import annotations

import re
from datetime import datetime

from sentryml_common.errors import ConfigurationError
from sentryml_common.logging import get_logger
from sentryml_common.postgres.pool import Pool, transaction
from sentryml_incidents.domain.accounts import EMAIL_PATTERN
from sentryml_incidents.domain.roles import Role
from sentryml_incidents.passwords import PasswordTooWeak, check_strength, hash_in_thread
from sentryml_incidents.settings import IncidentsSettings
from sentryml_incidents.store.people.users import insert_user, lock_if_nobody_has_an_account

log = get_logger(__name__)


async def make_first_admin(pool: Pool, settings: IncidentsSettings, now: datetime) -> bool:
    """Make the account that the settings name, unless there is one already; returns whether it was made.

    Raises:
        ConfigurationError: the settings name no account that could be made.
    """
    email = settings.first_admin_email
    password = settings.first_admin_password.get_secret_value() if settings.first_admin_password else ""
    if not email and not password:
        return False
    if not email or not re.fullmatch(EMAIL_PATTERN, email):
        raise ConfigurationError("SENTRYML_FIRST_ADMIN_EMAIL: set it to an address like ana@example.org")
    async with transaction(pool) as connection:
        if not await lock_if_nobody_has_an_account(connection):
            return False
        try:
            check_strength(password, email)
        except PasswordTooWeak as err:
            raise ConfigurationError(f"SENTRYML_FIRST_ADMIN_PASSWORD: {err}; set another one") from err
        user_id = await insert_user(connection, email, Role.ADMIN, await hash_in_thread(password), now)
    log.info("first_admin_made", user_id=str(user_id))
    return True
