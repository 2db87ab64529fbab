"""`/v1/api-keys`: make, list, rotate and revoke keys. A key is shown once; only its hash is kept."""

from __future__ import annotations

import secrets
from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Annotated, TypeAlias

from fastapi import APIRouter, Path, Response
from pydantic import AfterValidator, BaseModel, ConfigDict, Field, StringConstraints

from sentryml_common.contracts.api_key import ApiKey, Scope
from sentryml_common.contracts.api_key_usage import KEY_ID_PATTERN
from sentryml_common.contracts.message import UtcDatetime
from sentryml_common.contracts.transition import Actor
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
    RANDOM_BYTES,
    NotRotatable,
    StoredKey,
    TooPowerful,
    check_power,
    is_within,
    make_api_key,
    rotate_api_key,
)
from sentryml_incidents.store.people.api_keys import (
    find_api_key,
    insert_api_key,
    list_api_keys,
    lock_api_key,
    revoke_api_key,
    set_expiry,
)
from sentryml_incidents.usecases.context import Context, WithContext

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
    """The key that is wanted."""

    model_config = ConfigDict(extra="forbid")

    name: Name = Field(description="What it is for; shown on timelines.")
    scopes: Annotated[list[Scope], AfterValidator(_once)] = Field(
        min_length=1, description="What it may do: `admin` includes all, `write` includes `read`."
    )
    models: Annotated[list[Pattern], AfterValidator(_once)] = Field(
        [], max_length=MODELS_MAX, description="Models it may speak for, as patterns like `fraud-*`; none means all."
    )
    expires_at: UtcDatetime | None = Field(None, description="When it ends by itself; never, if left out.")


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
async def create(context: WithContext, key: Admin, wanted: NewApiKey, response: Response) -> NewApiKeyView:
    """Create a key. The answer is the only place where it is ever shown."""
    _check_power(key, tuple(wanted.scopes), tuple(wanted.models))
    return _shown_once(await make(context, wanted, actor_of(key)), context.now(), response)


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
    stays valid for a while, and then ends by itself."""
    overlap = timedelta(seconds=(body or Rotation()).overlap_seconds)
    replaced = await replace(context, key_id, overlap, actor_of(key), lambda old: is_within(old, key))
    return _shown_once(replaced, context.now(), response)


@router.delete("/{key_id}", status_code=204, responses=problem_answers(*ACCESS, UNKNOWN, AWAY))
async def revoke(context: WithContext, key: Admin, key_id: KeyId) -> None:
    """Revoke a key, for good; everywhere in less than a second."""
    await end(context, key_id, lambda revoked: is_within(revoked, key))


MayManage: TypeAlias = Callable[[ApiKey], bool]
"""Whether somebody may see and end a key."""


def any_key(_: ApiKey) -> bool:
    """Admins among people manage all keys."""
    return True


async def make(context: Context, wanted: NewApiKey, maker: Actor) -> tuple[StoredKey, str]:
    """Create a key on somebody's behalf; return it with its text, which is kept nowhere.

    Raises:
        Problem: 422, it would have ended already.
    """
    now = context.now()
    if wanted.expires_at is not None and wanted.expires_at <= now:
        raise Problem(422, "invalid-request", "body.expires_at: lies in the past: give a later time, or leave it out")
    scopes, models = tuple(wanted.scopes), tuple(wanted.models)
    text, made = make_api_key(wanted.name, scopes, models, wanted.expires_at, secrets.token_bytes(RANDOM_BYTES))
    async with context.transaction() as connection:
        await insert_api_key(connection, made, maker, now)
    return StoredKey(made, now, maker), text


async def replace(
    context: Context, key_id: str, overlap: timedelta, maker: Actor, may_manage: MayManage
) -> tuple[StoredKey, str]:
    """Rotate a key; return the new one with its text, which is kept nowhere.

    Raises:
        Problem: 404 there is no such key that may be managed; 409 it is over, or rotated already.
    """
    now = context.now()
    async with context.transaction() as connection:
        old = await lock_api_key(connection, key_id)
        if old is None or not may_manage(old.key):
            raise _unknown(key_id)
        try:
            text, made, ends_at = rotate_api_key(old, now, overlap, secrets.token_bytes(RANDOM_BYTES))
        except NotRotatable as err:
            raise Problem(409, "api-key-not-rotatable", str(err)) from err
        await insert_api_key(connection, made, maker, now, rotated_from=key_id)
        await set_expiry(connection, key_id, ends_at)
    return StoredKey(made, now, maker, rotated_from=key_id), text


async def end(context: Context, key_id: str, may_manage: MayManage) -> None:
    """Revoke a key.

    Raises:
        Problem: 404, there is no such key that may be managed.
    """
    async with context.transaction() as connection:
        key = await find_api_key(connection, key_id)
        if key is None or not may_manage(key):
            raise _unknown(key_id)
        await revoke_api_key(connection, key_id, context.now())


def _check_power(maker: ApiKey, scopes: tuple[Scope, ...], models: tuple[str, ...]) -> None:
    try:
        check_power(maker, scopes, models)
    except TooPowerful as err:
        raise Problem(403, "forbidden", str(err)) from err


def _shown_once(made: tuple[StoredKey, str], now: datetime, response: Response) -> NewApiKeyView:
    stored, text = made
    response.headers["Cache-Control"] = "no-store"
    return NewApiKeyView(**dict(api_key_view(stored, now)), api_key=text)


def _unknown(key_id: str) -> Problem:
    return Problem(404, "unknown-api-key", f"there is no API key {key_id}: GET /v1/api-keys lists them")
