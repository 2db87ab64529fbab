"""`/v1/api-keys`: make, list and revoke keys. A key is shown once; only its hash is kept."""

from __future__ import annotations

import secrets
from typing import Annotated

from fastapi import APIRouter, Path, Response
from pydantic import AwareDatetime, BaseModel, ConfigDict, Field, StringConstraints

from sentryml_common.contracts.api_key import Scope
from sentryml_common.http.problems import Problem, problem_answers
from sentryml_incidents.domain.access import MODEL_PATTERN, NAME_LENGTH_MAX, RANDOM_BYTES, make_api_key
from sentryml_incidents.http.auth import Admin, actor_of
from sentryml_incidents.http.context import WithContext
from sentryml_incidents.http.paging import Page
from sentryml_incidents.http.views import ApiKeyView, NewApiKeyView, api_key_view
from sentryml_incidents.store.api_keys import StoredKey, insert_api_key, list_api_keys, revoke_api_key

router = APIRouter(prefix="/v1/api-keys", tags=["api keys"])

Name = Annotated[
    str, StringConstraints(strip_whitespace=True, min_length=1, max_length=NAME_LENGTH_MAX, pattern=r"^[^\x00]*$")
]
Pattern = Annotated[str, StringConstraints(pattern=MODEL_PATTERN)]
KeyId = Annotated[str, Path(pattern=r"^[0-9a-z]{12}$", description="The public part of the key.")]


class NewApiKey(BaseModel):
    """The key that is wanted."""

    model_config = ConfigDict(extra="forbid")

    name: Name
    scopes: list[Scope] = Field(min_length=1, description="What it may do.")
    models: list[Pattern] = Field([], max_length=100, description="Patterns like `fraud-*`; none means all models.")
    expires_at: AwareDatetime | None = None


@router.post("", status_code=201)
async def create(context: WithContext, key: Admin, wanted: NewApiKey, response: Response) -> NewApiKeyView:
    """Make a key. The answer is the only place where it is ever shown."""
    now = context.now()
    if wanted.expires_at is not None and wanted.expires_at <= now:
        raise Problem(422, "invalid-request", "expires_at: lies in the past")
    scopes, models = tuple(dict.fromkeys(wanted.scopes)), tuple(dict.fromkeys(wanted.models))
    text, made = make_api_key(wanted.name, scopes, models, wanted.expires_at, secrets.token_bytes(RANDOM_BYTES))
    async with context.transaction() as connection:
        await insert_api_key(connection, made, actor_of(key), now)
    response.headers["Cache-Control"] = "no-store"
    return NewApiKeyView(**dict(api_key_view(StoredKey(made, now, actor_of(key)))), api_key=text)


@router.get("")
async def list_all(context: WithContext, key: Admin) -> Page[ApiKeyView]:
    """All keys, newest first, the revoked ones too."""
    async with context.transaction() as connection:
        found = await list_api_keys(connection)
    return Page(items=[api_key_view(stored) for stored in found], next_cursor=None)


@router.delete("/{key_id}", status_code=204, responses=problem_answers((404, "There is no such key.")))
async def revoke(context: WithContext, key: Admin, key_id: KeyId) -> None:
    """Revoke a key, for good; everywhere within about a second."""
    async with context.transaction() as connection:
        found = await revoke_api_key(connection, key_id, context.now())
    if not found:
        raise Problem(404, "unknown-api-key", f"there is no API key {key_id}")
