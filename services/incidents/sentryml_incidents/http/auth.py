"""Who is asking: an API key in `Authorization: Bearer`, its scopes, and the models it may speak for.

Every refusal of a key reads the same, whatever is wrong with it: nothing is told to who guesses.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Annotated

from fastapi import Depends
from fastapi.security import HTTPAuthorizationCredentials, HTTPBearer

from sentryml_common.contracts.api_key import ApiKey, Scope, key_id_of
from sentryml_common.contracts.transition import Actor, ActorType
from sentryml_common.http.problems import Problem, problem_answers
from sentryml_incidents.http.context import WithContext
from sentryml_incidents.store.api_keys import find_api_key

KEYED = problem_answers(
    (401, "No API key, or no valid one."),
    (403, "The key lacks the scope that this needs, or may not speak for this model."),
    (503, "PostgreSQL does not answer; `Retry-After` says when to try again. Nothing was done."),
)
"""`responses` of every route that asks for a key."""

_bearer = HTTPBearer(
    auto_error=False,
    scheme_name="ApiKey",
    bearerFormat="sml_…",
    description="An API key, `sml_…`, made by `sentryml-admin create-api-key`.",
)
Bearer = Annotated[HTTPAuthorizationCredentials | None, Depends(_bearer)]


async def _authenticate(context: WithContext, credentials: Bearer) -> ApiKey:
    given = credentials.credentials if credentials else ""
    key_id = key_id_of(given)
    if key_id is not None:
        async with context.transaction() as connection:
            key = await find_api_key(connection, key_id)
        if key is not None and key.opens(given, context.now()):
            return key
    raise Problem(
        401,
        "unauthorized",
        "send a valid API key: Authorization: Bearer sml_…",
        headers={"WWW-Authenticate": "Bearer"},
    )


def _requiring(scope: Scope) -> Callable[[ApiKey], Awaitable[ApiKey]]:
    async def check(key: Annotated[ApiKey, Depends(_authenticate)]) -> ApiKey:
        if not key.allows(scope):
            raise Problem(403, "forbidden", f"this needs the scope {scope}; the key has {', '.join(key.scopes)}")
        return key

    return check


Reader = Annotated[ApiKey, Depends(_requiring(Scope.READ))]
Writer = Annotated[ApiKey, Depends(_requiring(Scope.WRITE))]
Admin = Annotated[ApiKey, Depends(_requiring(Scope.ADMIN))]


def check_model(key: ApiKey, model_id: str) -> None:
    """Refuse a key that may not speak for a model.

    Raises:
        Problem: 403.
    """
    if not key.allows_model(model_id):
        raise Problem(403, "forbidden", f"the key may not speak for the model {model_id}")


def actor_of(key: ApiKey) -> Actor:
    """The key as it appears on timelines."""
    return Actor(type=ActorType.API_KEY, id=key.key_id, name=key.name)
