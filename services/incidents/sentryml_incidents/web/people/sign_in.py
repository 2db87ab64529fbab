"""Signing in and out."""

from __future__ import annotations

import secrets
from typing import Annotated

from fastapi import APIRouter, Form, Query, Request, Response

from sentryml_common.logging import get_logger
from sentryml_incidents.domain.accounts import EMAIL_LENGTH_MAX
from sentryml_incidents.domain.sessions import SECRET_BYTES, hash_secret, is_secret, make_secret
from sentryml_incidents.domain.throttle import KNOWN_FOR
from sentryml_incidents.metrics import SIGN_INS_TOTAL, SIGNED_IN
from sentryml_incidents.passwords import LENGTH_MAX
from sentryml_incidents.store.people.sessions import end_session
from sentryml_incidents.store.people.sign_ins import remember_browser
from sentryml_incidents.store.people.users import record_sign_in
from sentryml_incidents.usecases.context import Context, WithContext
from sentryml_incidents.web.people.credentials import (
    CredentialsRefused,
    Verified,
    attempt_of,
    begin_session,
    check_credentials,
    refused,
)
from sentryml_incidents.web.people.session import (
    HOME,
    SIGN_IN,
    SignedIn,
    cookie_name,
    drop_session_cookie,
    find_visitor,
    safe_next,
    set_cookie,
    set_session_cookie,
)
from sentryml_incidents.web.rendering import PageRoute, go_to, render

router = APIRouter(include_in_schema=False, route_class=PageRoute)
log = get_logger(__name__)

Next = Annotated[str, Query(max_length=2000)]
EmailField = Annotated[str, Form(max_length=EMAIL_LENGTH_MAX, pattern=r"^[^\x00]*$")]
PasswordField = Annotated[str, Form(max_length=LENGTH_MAX)]
NextField = Annotated[str, Form(max_length=2000)]


@router.get("/sign-in")
async def show(request: Request, context: WithContext, next: Next = HOME) -> Response:
    """The form; who is signed in goes on."""
    if await find_visitor(request, context) is not None:
        return go_to(request, safe_next(next))
    return _form(request, safe_next(next))


@router.post("/sign-in")
async def sign_in(
    request: Request,
    context: WithContext,
    email: EmailField = "",
    password: PasswordField = "",
    next: NextField = HOME,
) -> Response:
    """Begin a session, and go to the page that required it."""
    page, email = safe_next(next), email.strip()
    try:
        secret, browser = await _begin(request, context, await check_credentials(request, context, email, password))
    except CredentialsRefused as err:
        answer = _form(request, page, email, str(err), err.status)
        answer.headers.update(err.headers)
        return answer
    way = go_to(request, page)
    set_session_cookie(way, context.public_url, secret)
    set_cookie(way, context.public_url, "browser", browser, max_age=int(KNOWN_FOR.total_seconds()))
    return way


async def _begin(request: Request, context: Context, verified: Verified) -> tuple[str, str]:
    """(secret of a new session, in place of the one that this browser may still have; secret by which the browser is
    known from now on)"""
    user, former = verified.user, request.cookies.get(cookie_name(context.public_url), "")
    browser = make_secret(secrets.token_bytes(SECRET_BYTES))
    async with context.transaction() as connection:
        now = context.now()
        if not await record_sign_in(connection, user.user_id, verified.verified_hash, verified.better_hash, now):
            raise refused(request, "The password was just changed. Try again.")
        attempt = attempt_of(request, context, user.email)
        await remember_browser(connection, attempt, hash_secret(browser), now)
        if is_secret(former):
            await end_session(connection, hash_secret(former))
        secret = await begin_session(connection, request, context, user.user_id)
    SIGN_INS_TOTAL.labels(outcome=SIGNED_IN).inc()
    log.info("signed_in", user_id=str(user.user_id))
    return secret, browser


@router.post("/sign-out")
async def sign_out(request: Request, context: WithContext, visitor: SignedIn) -> Response:
    """End the session."""
    async with context.transaction() as connection:
        await end_session(connection, visitor.session.session_hash)
    way = go_to(request, SIGN_IN)
    drop_session_cookie(way, context.public_url)
    return way


def _form(request: Request, page: str, email: str = "", refused: str | None = None, status: int = 200) -> Response:
    return render(request, "people/sign_in.html", status=status, next=page, email=email, refused=refused)
