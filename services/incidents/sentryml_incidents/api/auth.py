"""Who is asking: an API key in `Authorization: Bearer`, its scopes, and the models it may access.

Every refusal of a key reads the same, whatever is wrong with it: who guesses learns nothing.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Annotated

from fastapi import Depends, Request

from sentryml_common.contracts.api_key import ApiKey, Scope
from sentryml_common.http.access import InOpenApi, bad_key, check_scope, given_key
from sentryml_common.http.problems import problem_answers
from sentryml_incidents.store.people.api_keys import find_api_key
from sentryml_incidents.usecases.context import WithContext

KEYED = problem_answers(
    (401, "No API key, or no valid one."),
    (403, "The key lacks the scope that this needs."),
    (503, "PostgreSQL does not answer; `Retry-After` says when to try again. Nothing was done."),
)
"""`responses` of every route that asks for a key."""


async def _authenticate(context: WithContext, request: Request, _: InOpenApi) -> ApiKey:
    key_id, given = given_key(request.headers.get("Authorization"))
    async with context.transaction() as connection:
        key = await find_api_key(connection, key_id)
    now = context.now()
    if key is None or not key.opens(given, now):
        raise bad_key()
    context.key_usage.note(key_id, now)
    return key


def _requiring(scope: Scope) -> Callable[[ApiKey], Awaitable[ApiKey]]:
    async def check(key: Annotated[ApiKey, Depends(_authenticate)]) -> ApiKey:
        check_scope(key, scope)
        return key

    return check


Reader = Annotated[ApiKey, Depends(_requiring(Scope.READ))]
Writer = Annotated[ApiKey, Depends(_requiring(Scope.WRITE))]
Admin = Annotated[ApiKey, Depends(_requiring(Scope.ADMIN))]
