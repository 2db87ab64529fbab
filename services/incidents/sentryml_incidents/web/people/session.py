"""Who is signed in: the one place where sessions and roles are checked.

A session's secret comes in a cookie and is good for pages alone: `/v1` knows nothing but keys, and pages know nothing
of keys.
"""

from __future__ import annotations

import re
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Annotated
from urllib.parse import urlencode, urlsplit

from fastapi import Depends, Request, Response

from sentryml_common.contracts.api_key import holds_key
from sentryml_common.contracts.transition import Actor, ActorType
from sentryml_common.http.problems import Problem
from sentryml_incidents.domain.roles import Permission, may, who_may
from sentryml_incidents.domain.sessions import ABSOLUTE, Session, hash_secret, is_secret
from sentryml_incidents.store.people.sessions import find_session, mark_seen
from sentryml_incidents.store.people.users import User
from sentryml_incidents.usecases.context import Context, WithContext
from sentryml_incidents.web.forms import SAFE_METHODS

HOME, SIGN_IN, ACCOUNT = "/models", "/sign-in", "/account"
BACKGROUND = "Sentryml-Background"
"""The header of a page that refetches itself: nobody has asked for it, so it does not keep a session from ending."""

_PATH = re.compile(r"(/[\w.~%:,;=@+-]+)+(\?[\w.~%:,;=@+&/-]*)?", re.ASCII)


class Elsewhere(Exception):
    """The answer is to go to another page, by its path within the service."""

    def __init__(self, path: str) -> None:
        super().__init__(path)
        self.path = path


@dataclass(frozen=True, slots=True)
class Visitor:
    """Who is signed in: a person in a session."""

    user: User
    session: Session

    @property
    def actor(self) -> Actor:
        """The person as they appear on timelines."""
        return Actor(type=ActorType.USER, id=str(self.user.user_id), name=self.user.name)

    @property
    def responds(self) -> bool:
        """Whether they may act on incidents."""
        return may(self.user.role, Permission.RESPOND)

    @property
    def administers(self) -> bool:
        """Whether they may manage people."""
        return may(self.user.role, Permission.ADMINISTER)


async def find_visitor(request: Request, context: Context, *, background: bool = False) -> Visitor | None:
    """Who is signed in, if anybody is. What a page asks `background` does not count as the session being used.

    Raises:
        Unavailable: PostgreSQL is away.
    """
    secret = request.cookies.get(cookie_name(context.public_url), "")
    if not is_secret(secret):
        return None
    now = context.now()
    async with context.transaction() as connection:
        found = await find_session(connection, hash_secret(secret))
        if found is None or not found[0].alive(now):
            return None
        session, user = found
        if session.to_be_marked(now) and not background:
            await mark_seen(connection, session.session_hash, now)
    return Visitor(user, session)


async def _signed_in(request: Request, context: WithContext) -> Visitor:
    """Anybody who is signed in; who is not is led to the sign-in and back."""
    request.state.since = context.hub.now if context.hub is not None else ""
    visitor = await find_visitor(request, context, background=BACKGROUND in request.headers)
    if visitor is None:
        raise Elsewhere(f"{SIGN_IN}?{urlencode({'next': _page_of(request)})}")
    request.state.visitor = visitor
    return visitor


SignedIn = Annotated[Visitor, Depends(_signed_in)]


def _requiring(permission: Permission) -> Callable[[Visitor], Awaitable[Visitor]]:
    async def check(visitor: SignedIn) -> Visitor:
        if visitor.user.initial_password_until is not None:
            raise Elsewhere(ACCOUNT)
        if not may(visitor.user.role, permission):
            raise Problem(
                403, "forbidden", f"This needs the role {who_may(permission)}; yours is {visitor.user.role}. An admin "
                "can change it.",
            )  # fmt: skip
        return visitor

    return check


Reader = Annotated[Visitor, Depends(_requiring(Permission.READ))]
Responder = Annotated[Visitor, Depends(_requiring(Permission.RESPOND))]
Administrator = Annotated[Visitor, Depends(_requiring(Permission.ADMINISTER))]


def _page_of(request: Request) -> str:
    """The page to come back to: the one asked for, or the one that a form is on. An address that holds an API key is
    not repeated in the answer."""
    path = request.url.path
    if holds_key(str(request.url)):
        return HOME
    if request.method in SAFE_METHODS:
        return f"{path}?{request.url.query}" if request.url.query else path
    return path.rpartition("/")[0] or HOME


def safe_next(requested: str) -> str:
    """A page of this service to go to after the sign-in; the first one if the given one is anything else."""
    return requested if _PATH.fullmatch(requested) else HOME


def cookie_name(public_url: str, what: str = "session") -> str:
    """The name of a cookie. `__Host-` makes browsers refuse it from anywhere else, but needs https; on http it has the
    port in it, since cookies do not tell the ports of one machine apart. The path under which a proxy has put us is in
    it, too: the cookie's own path is `/`, which `__Host-` demands."""
    url = urlsplit(public_url)
    path = "".join(f"-{part}" for part in re.findall(r"[A-Za-z0-9]+", url.path))
    return f"__Host-sentryml-{what}{path}" if url.scheme == "https" else f"sentryml-{what}-{url.port or 80}{path}"


def set_session_cookie(response: Response, public_url: str, secret: str) -> None:
    """Give the browser the secret of its session, for as long as that can last."""
    set_cookie(response, public_url, "session", secret, max_age=int(ABSOLUTE.total_seconds()))


def set_cookie(response: Response, public_url: str, what: str, value: str, max_age: int | None = None) -> None:
    """Give the browser a cookie that no script and no other site's form gets at."""
    response.set_cookie(
        cookie_name(public_url, what), value, max_age=max_age, path="/", httponly=True, samesite="lax",
        secure=public_url.startswith("https:"),
    )  # fmt: skip


def drop_session_cookie(response: Response, public_url: str) -> None:
    """Take the secret from the browser."""
    set_cookie(response, public_url, "session", "", max_age=0)
