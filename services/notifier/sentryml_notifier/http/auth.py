"""Who is asking: an API key in `Authorization: Bearer`, its scopes, and the models it may speak for.

Reading takes the scope `read`; changing takes `admin`, and routes and channels are for all models: a key for some
of them changes none.
"""

from __future__ import annotations

from typing import Annotated

from fastapi import Depends, Request

from sentryml_common.contracts.api_key import ApiKey, Scope
from sentryml_common.http.access import InOpenApi, check_scope
from sentryml_common.http.problems import Problem, problem_answers
from sentryml_notifier.http.context import WithContext

KEYED = problem_answers(
    (401, "No API key, or no valid one."),
    (403, "The key lacks the scope that this needs, or may not speak for these models."),
    (503, "PostgreSQL does not answer; `Retry-After` says when to try again. Nothing was done."),
)
"""`responses` of every route."""


async def _read(context: WithContext, request: Request, _: InOpenApi) -> ApiKey:
    return context.gatekeeper.admit(request.headers.get("Authorization"))


async def _change(key: Annotated[ApiKey, Depends(_read)]) -> ApiKey:
    check_scope(key, Scope.ADMIN)
    return key


async def _change_for_all(key: Annotated[ApiKey, Depends(_change)]) -> ApiKey:
    if key.models:
        raise Problem(
            403, "forbidden", "routes and channels are for all models: this needs an API key without model patterns"
        )
    return key


Reader = Annotated[ApiKey, Depends(_read)]
Changer = Annotated[ApiKey, Depends(_change)]
Admin = Annotated[ApiKey, Depends(_change_for_all)]
