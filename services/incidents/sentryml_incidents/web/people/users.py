"""People, for admins: who there is, what they may do, letting them in and keeping them out.

An initial password is shown once, to the admin who made it; its owner has to change it at the first sign-in.
"""

from __future__ import annotations

from datetime import datetime
from typing import Annotated
from uuid import UUID

from fastapi import APIRouter, Form, Request, Response

from sentryml_common.http.problems import Problem
from sentryml_common.logging import get_logger
from sentryml_common.postgres.pool import Connection
from sentryml_incidents.domain.accounts import EMAIL_LENGTH_MAX, EMAIL_PATTERN, INITIAL_PASSWORD_OPENS
from sentryml_incidents.domain.roles import MEANS, Role
from sentryml_incidents.domain.throttle import account_hash
from sentryml_incidents.passwords import hash_in_thread, make_initial_password
from sentryml_incidents.store.people.sessions import revoke_sessions
from sentryml_incidents.store.people.sign_ins import forget_attempts
from sentryml_incidents.store.people.users import (
    EmailTaken,
    User,
    change_role,
    disable_user,
    enable_user,
    find_user,
    insert_user,
    list_users,
    lock_admins,
    reset_password,
)
from sentryml_incidents.usecases.context import WithContext
from sentryml_incidents.web.people.session import Administrator, Visitor
from sentryml_incidents.web.rendering import PageRoute, go_to, render

USERS = "/users"

router = APIRouter(prefix=USERS, include_in_schema=False, route_class=PageRoute)
log = get_logger(__name__)

NewEmail = Annotated[str, Form(max_length=EMAIL_LENGTH_MAX, pattern=EMAIL_PATTERN)]
RoleField = Annotated[Role, Form()]


@router.get("")
async def show_list(request: Request, context: WithContext, visitor: Administrator) -> Response:
    """Everybody who has an account."""
    async with context.transaction() as connection:
        users = await list_users(connection)
    return render(request, "people/users.html", users=users, roles=MEANS)


@router.post("/add")
async def add(
    request: Request, context: WithContext, visitor: Administrator, email: NewEmail, role: RoleField
) -> Response:
    """Make an account with an initial password."""
    password, now = make_initial_password(), context.now()
    password_hash, until = await hash_in_thread(password), now + INITIAL_PASSWORD_OPENS
    try:
        async with context.transaction() as connection:
            user_id = await insert_user(connection, email, role, password_hash, now, until)
    except EmailTaken as err:
        raise Problem(409, "email-taken", f"There is an account for {email} already.") from err
    _report("user_added", user_id, visitor, role=role)
    return _show_password(request, email, user_id, password, until)


@router.get("/{user_id}")
async def show(request: Request, context: WithContext, visitor: Administrator, user_id: UUID) -> Response:
    """One person, and what can be done."""
    async with context.transaction() as connection:
        user = await _known_user(connection, user_id)
    return render(request, "people/user.html", user=user, roles=MEANS)


@router.post("/{user_id}/role")
async def give_role(
    request: Request, context: WithContext, visitor: Administrator, user_id: UUID, role: RoleField
) -> Response:
    """Change what a person may do, from their next request on."""
    async with context.transaction() as connection:
        if role is not Role.ADMIN:
            await _keep_an_admin(connection, user_id)
        await _known_user(connection, user_id)
        await change_role(connection, user_id, role)
    _report("role_changed", user_id, visitor, role=role)
    return go_to(request, f"{USERS}/{user_id}")


@router.post("/{user_id}/disable")
async def disable(request: Request, context: WithContext, visitor: Administrator, user_id: UUID) -> Response:
    """Keep a person out; their sessions end at once."""
    async with context.transaction() as connection:
        await _keep_an_admin(connection, user_id)
        await _known_user(connection, user_id)
        await disable_user(connection, user_id, context.now())
        await revoke_sessions(connection, user_id)
    _report("user_disabled", user_id, visitor)
    return go_to(request, f"{USERS}/{user_id}")


@router.post("/{user_id}/enable")
async def enable(request: Request, context: WithContext, visitor: Administrator, user_id: UUID) -> Response:
    """Let a person in again."""
    async with context.transaction() as connection:
        await _known_user(connection, user_id)
        await enable_user(connection, user_id)
    _report("user_enabled", user_id, visitor)
    return go_to(request, f"{USERS}/{user_id}")


@router.post("/{user_id}/reset-password")
async def reset(request: Request, context: WithContext, visitor: Administrator, user_id: UUID) -> Response:
    """Give somebody else another initial password; their sessions end at once."""
    if user_id == visitor.user.user_id:
        raise Problem(409, "own-account", "This is your own account: change your password on its page.")
    password, until = make_initial_password(), context.now() + INITIAL_PASSWORD_OPENS
    password_hash = await hash_in_thread(password)
    async with context.transaction() as connection:
        user = await _known_user(connection, user_id)
        await reset_password(connection, user_id, password_hash, until)
        await revoke_sessions(connection, user_id)
        await forget_attempts(connection, account_hash(user.email))
    _report("password_reset", user_id, visitor)
    return _show_password(request, user.email, user_id, password, until)


def _show_password(request: Request, email: str, user_id: UUID, password: str, until: datetime) -> Response:
    return render(request, "people/initial_password.html", email=email, user_id=user_id, password=password, until=until)


async def _known_user(connection: Connection, user_id: UUID) -> User:
    user = await find_user(connection, user_id)
    if user is None:
        raise Problem(404, "unknown-user", "There is no such account.")
    return user


async def _keep_an_admin(connection: Connection, leaving: UUID) -> None:
    """Refuse to lose the last admin, also to two who act at the same time."""
    if await lock_admins(connection) == {leaving}:
        raise Problem(409, "last-admin", "This is the last admin: make somebody else an admin first.")


def _report(event: str, user_id: UUID, visitor: Visitor, **more: str) -> None:
    log.info(event, user_id=str(user_id), by=str(visitor.user.user_id), **more)
