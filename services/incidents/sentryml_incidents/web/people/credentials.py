"""Checking a password, with everything that keeps others from guessing it, and beginning a session."""

from __future__ import annotations

import math
import secrets
from dataclasses import dataclass
from datetime import timedelta
from uuid import UUID

from fastapi import Request

from sentryml_common.logging import get_logger
from sentryml_common.postgres.pool import Connection
from sentryml_common.text import duration
from sentryml_incidents.domain.sessions import SECRET_BYTES, hash_secret, is_secret, make_secret, new_session
from sentryml_incidents.domain.throttle import Attempt, account_hash, network_of
from sentryml_incidents.metrics import REFUSED, SIGN_INS_TOTAL, THROTTLED
from sentryml_incidents.passwords import verify_in_thread
from sentryml_incidents.store.people.sessions import insert_session
from sentryml_incidents.store.people.sign_ins import take_attempt
from sentryml_incidents.store.people.users import User, find_credentials
from sentryml_incidents.usecases.context import Context
from sentryml_incidents.web.people.session import cookie_name

log = get_logger(__name__)


class CredentialsRefused(Exception):
    """The message says why, as far as the caller may know; `wait` is how long to, if that is the reason."""

    def __init__(self, text: str, wait: timedelta | None = None) -> None:
        super().__init__(text)
        self.status = 403 if wait is None else 429
        self.headers = {} if wait is None else {"Retry-After": str(math.ceil(wait.total_seconds()))}


@dataclass(frozen=True, slots=True)
class Verified:
    """A person whose password fits `verified_hash`; `better_hash` is to be kept in its place."""

    user: User
    verified_hash: str
    better_hash: str | None


async def check_credentials(request: Request, context: Context, email: str, password: str) -> Verified:
    """Who has this address and this password.

    Raises:
        CredentialsRefused: nobody, or they may not sign in, or have to wait first.
        Unavailable: PostgreSQL is away.
    """
    now = context.now()
    async with context.transaction() as connection:
        wait = await take_attempt(connection, attempt_of(request, context, email), now)
        found = None if wait else await find_credentials(connection, email)
    if wait:
        SIGN_INS_TOTAL.labels(outcome=THROTTLED).inc()
        log.warning("sign_in_throttled", address=address_of(request), seconds=wait.total_seconds())
        # A whole second is the least that anybody can wait for.
        wait = timedelta(seconds=math.ceil(wait.total_seconds()))
        raise CredentialsRefused(f"Too many attempts. Try again in {duration(wait)}.", wait)
    user, password_hash = found or (None, None)
    verdict = await verify_in_thread(password, password_hash)
    if user is None or password_hash is None or not verdict.fits:
        raise refused(request, "The address or the password is wrong.")
    if user.disabled_at is not None:
        raise refused(request, "This account is disabled. An admin can enable it.")
    if user.initial_password_until is not None and now >= user.initial_password_until:
        raise refused(request, "This initial password has expired. An admin can create another.")
    return Verified(user, password_hash, verdict.better_hash)


def attempt_of(request: Request, context: Context, email: str) -> Attempt:
    """Who tries to sign in to the account of an address."""
    cookie = request.cookies.get(cookie_name(context.public_url, "browser"), "")
    browser_hash = hash_secret(cookie) if is_secret(cookie) else None
    return Attempt(account_hash(email), network_of(address_of(request)), browser_hash)


def refused(request: Request, text: str) -> CredentialsRefused:
    """Count and log a refusal."""
    SIGN_INS_TOTAL.labels(outcome=REFUSED).inc()
    log.warning("sign_in_refused", address=address_of(request), why=text)
    return CredentialsRefused(text)


async def begin_session(connection: Connection, request: Request, context: Context, user_id: UUID) -> str:
    """Begin a session in this browser; returns its secret."""
    secret = make_secret(secrets.token_bytes(SECRET_BYTES))
    agent = request.headers.get("user-agent", "")
    await insert_session(connection, new_session(secret, user_id, address_of(request), agent, context.now()))
    return secret


def address_of(request: Request) -> str:
    """Where a request comes from; behind a trusted proxy, what that says."""
    return request.client.host if request.client else "unknown"
