"""`/v1/api-keys`: make, list, rotate and revoke keys. A key is shown once; only its hash is kept."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Annotated

from fastapi import APIRouter, Path, Response
from pydantic import AfterValidator, BaseModel, ConfigDict, Field, StringConstraints

from sentryml_common.contracts.api_key import ApiKey, Scope
from sentryml_common.contracts.api_key_usage import KEY_ID_PATTERN
from sentryml_common.contracts.message import UtcDatetime
from sentryml_common.http.access import actor_of
from sentryml_common.http.paging import Page
from sentryml_common.http.problems import Problem, problem_answers
from sentryml_common.http.texts import NoKey
from sentryml_incidents.api.auth import Admin
from sentryml_incidents.api.views import ApiKeyView, NewApiKeyView, api_key_view
from sentryml_incidents.domain.api_keys import (
    MODEL_PATTERN,
    MODELS_MAX,
    NAME_LENGTH_MAX,
    OVERLAP_DEFAULT,
    OVERLAP_MAX,
    StoredKey,
    TooPowerful,
    check_power,
    is_within,
)
from sentryml_incidents.store.people.api_keys import list_api_keys
from sentryml_incidents.usecases.api_keys import create_key, revoke_key, rotate_key
from sentryml_incidents.usecases.context import WithContext

router = APIRouter(prefix="/v1/api-keys", tags=["api keys"])

Name = Annotated[
    str,
    StringConstraints(strip_whitespace=True, min_length=1, max_length=NAME_LENGTH_MAX, pattern=r"^[^\x00]*$"),
    NoKey,
]
Pattern = Annotated[str, StringConstraints(pattern=MODEL_PATTERN), NoKey]
KeyId = Annotated[str, Path(pattern=KEY_ID_PATTERN, description="The public part of the key.")]

ACCESS = ((401, "No API key, or no valid one."), (403, "The key lacks the scope `admin`."))
AWAY = (503, "PostgreSQL does not answer; `Retry-After` says when to try again.")
UNKNOWN = (404, "There is no such key, or it can do more than the one that asks: for other models.")
MORE_POWER = (403, "The key lacks the scope `admin`, or the new one could do more than it: other scopes, other models.")


def _once(values: list[str]) -> list[str]:
    return list(dict.fromkeys(values))


class NewApiKey(BaseModel):
    """The requested key."""

    model_config = ConfigDict(extra="forbid")

    name: Name = Field(description="What it is for; shown on timelines.")
    scopes: Annotated[list[Scope], AfterValidator(_once)] = Field(
        min_length=1, description="What it may do: `admin` includes all, `write` includes `read`."
    )
    models: Annotated[list[Pattern], AfterValidator(_once)] = Field(
        [], max_length=MODELS_MAX, description="Models it may access, as patterns like `fraud-*`; none means all."
    )
    expires_at: UtcDatetime | None = Field(None, description="When it expires; never, if left out.")


class Rotation(BaseModel):
    """How a key is rotated."""

    model_config = ConfigDict(extra="forbid")

    overlap_seconds: float = Field(
        OVERLAP_DEFAULT.total_seconds(),
        ge=0,
        le=OVERLAP_MAX.total_seconds(),
        strict=True,
        description="How long the old key stays valid: long enough to hand out the new one.",
    )


@router.post(
    "",
    status_code=201,
    responses=problem_answers(ACCESS[0], MORE_POWER, (422, "The key cannot be created like this."), AWAY),
)
async def create(context: WithContext, key: Admin, requested: NewApiKey, response: Response) -> NewApiKeyView:
    """Create a key. The answer is the only place where it is ever shown."""
    scopes, models, now = tuple(requested.scopes), tuple(requested.models), context.now()
    _check_power(key, scopes, models)
    if requested.expires_at is not None and requested.expires_at <= now:
        raise Problem(422, "invalid-request", "body.expires_at: lies in the past: give a later time, or leave it out")
    async with context.transaction() as connection:
        made = await create_key(connection, actor_of(key), requested.name, scopes, models, requested.expires_at, now)
    return _shown_once(made, now, response)


@router.get("", responses=problem_answers(*ACCESS, AWAY))
async def list_all(context: WithContext, key: Admin) -> Page[ApiKeyView]:
    """All keys, newest first, the revoked ones too; to a key for some models, those that can do no more than itself."""
    async with context.transaction() as connection:
        found = await list_api_keys(connection)
    items = [api_key_view(stored, context.now()) for stored in found if is_within(stored.key, key)]
    return Page(items=items, next_cursor=None)


@router.post(
    "/{key_id}/rotate",
    status_code=201,
    responses=problem_answers(*ACCESS, UNKNOWN, (409, "It is revoked, expired or rotated already."), AWAY),
)
async def rotate(
    context: WithContext, key: Admin, key_id: KeyId, response: Response, body: Rotation | None = None
) -> NewApiKeyView:
    """Replace a key by one with the same name, scopes, models and lifetime, shown here and nowhere else. The old one
    stays valid for a while, and then expires."""
    overlap, now = timedelta(seconds=(body or Rotation()).overlap_seconds), context.now()
    async with context.transaction() as connection:
        made = await rotate_key(connection, actor_of(key), key_id, overlap, now, lambda old: is_within(old, key))
    return _shown_once(made, now, response)


@router.delete("/{key_id}", status_code=204, responses=problem_answers(*ACCESS, UNKNOWN, AWAY))
async def revoke(context: WithContext, key: Admin, key_id: KeyId) -> None:
    """Revoke a key, for good; everywhere in less than a second."""
    async with context.transaction() as connection:
        await revoke_key(connection, key_id, context.now(), lambda revoked: is_within(revoked, key))


def _check_power(maker: ApiKey, scopes: tuple[Scope, ...], models: tuple[str, ...]) -> None:
    try:
        check_power(maker, scopes, models)
    except TooPowerful as err:
        raise Problem(403, "forbidden", str(err)) from err


def _shown_once(made: tuple[StoredKey, str], now: datetime, response: Response) -> NewApiKeyView:
    stored, text = made
    response.headers["Cache-Control"] = "no-store"
    return NewApiKeyView(**dict(api_key_view(stored, now)), api_key=text)
