"""One's own account: name, password, and the browsers in which one is signed in."""

from __future__ import annotations

from typing import Annotated, Literal

from fastapi import APIRouter, Form, Query, Request, Response

from sentryml_common.logging import get_logger
from sentryml_common.text import sentence
from sentryml_incidents.domain.accounts import NAME_LENGTH_MAX
from sentryml_incidents.domain.throttle import account_hash
from sentryml_incidents.passwords import PasswordTooWeak, check_strength, hash_in_thread
from sentryml_incidents.store.people.sessions import list_sessions, revoke_session, revoke_sessions
from sentryml_incidents.store.people.sign_ins import forget_attempts
from sentryml_incidents.store.people.users import change_password, rename_user
from sentryml_incidents.usecases.context import Context, WithContext
from sentryml_incidents.web.people.credentials import CredentialsRefused, begin_session, check_credentials
from sentryml_incidents.web.people.session import ACCOUNT, SignedIn, Visitor, set_session_cookie
from sentryml_incidents.web.people.sign_in import PasswordField
from sentryml_incidents.web.rendering import PageRoute, go_to, render

router = APIRouter(prefix=ACCOUNT, include_in_schema=False, route_class=PageRoute)
log = get_logger(__name__)

Done = Annotated[Literal["name", "password", "revoked"] | None, Query()]
NameField = Annotated[str, Form(max_length=NAME_LENGTH_MAX, pattern=r"^[^\x00]*$")]
SessionField = Annotated[str, Form(pattern=r"^[0-9a-f]{64}$")]


@router.get("")
async def show(request: Request, context: WithContext, visitor: SignedIn, done: Done = None) -> Response:
    """The account, and what was just done to it."""
    return await _page(request, context, visitor, done=done)


@router.post("/name")
async def change_name(request: Request, context: WithContext, visitor: SignedIn, name: NameField = "") -> Response:
    """Be called otherwise on timelines from now on."""
    if not name.strip():
        return await _page(request, context, visitor, refused="A name has at least one letter.", status=422)
    async with context.transaction() as connection:
        await rename_user(connection, visitor.user.user_id, name.strip())
    return go_to(request, f"{ACCOUNT}?done=name")


@router.post("/password")
async def change_own_password(
    request: Request, context: WithContext, visitor: SignedIn, current: PasswordField = "", new: PasswordField = ""
) -> Response:
    """Choose another password. All other sessions end, and this one goes on under a new secret."""
    try:
        secret = await _change_password(request, context, visitor, current, new)
    except PasswordTooWeak as err:
        return await _page(request, context, visitor, refused=sentence(str(err)), status=422)
    except CredentialsRefused as err:
        answer = await _page(request, context, visitor, refused=str(err), status=err.status)
        answer.headers.update(err.headers)
        return answer
    way = go_to(request, f"{ACCOUNT}?done=password")
    set_session_cookie(way, context.public_url, secret)
    return way


async def _change_password(request: Request, context: Context, visitor: Visitor, current: str, new: str) -> str:
    if new == current:
        raise PasswordTooWeak("the new password is the old one: choose another")
    check_strength(new, visitor.user.email, visitor.user.name)
    verified = await check_credentials(request, context, visitor.user.email, current)
    user_id, password_hash = visitor.user.user_id, await hash_in_thread(new)
    async with context.transaction() as connection:
        if not await change_password(connection, user_id, verified.verified_hash, password_hash):
            raise CredentialsRefused("The password was just changed. Sign in again.")
        await forget_attempts(connection, account_hash(visitor.user.email))
        await revoke_sessions(connection, user_id)
        secret = await begin_session(connection, request, context, user_id)
    log.info("password_changed", user_id=str(user_id))
    return secret


@router.post("/revoke")
async def revoke(request: Request, context: WithContext, visitor: SignedIn, session: SessionField) -> Response:
    """End one session."""
    async with context.transaction() as connection:
        await revoke_session(connection, visitor.user.user_id, session)
    return go_to(request, f"{ACCOUNT}?done=revoked")


@router.post("/revoke-others")
async def revoke_others(request: Request, context: WithContext, visitor: SignedIn) -> Response:
    """End all sessions but this one."""
    async with context.transaction() as connection:
        await revoke_sessions(connection, visitor.user.user_id, keep=visitor.session.session_hash)
    return go_to(request, f"{ACCOUNT}?done=revoked")


async def _page(
    request: Request,
    context: Context,
    visitor: Visitor,
    *,
    done: str | None = None,
    refused: str | None = None,
    status: int = 200,
) -> Response:
    now = context.now()
    async with context.transaction() as connection:
        found = await list_sessions(connection, visitor.user.user_id)
    sessions = [session for session in found if session.alive(now)]
    return render(request, "people/account.html", status=status, sessions=sessions, done=done, refused=refused)
