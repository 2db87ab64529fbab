"""API keys, for admins: which there are, when each was last used; making, rotating and revoking them.

A key is shown once, on the page that answers the form; it is in no address and in no other page. That page may send a
test event with it: then the key comes back with the form, and is shown on its answer, too.
"""

from __future__ import annotations

from datetime import timedelta
from typing import Annotated

from fastapi import APIRouter, Form, Request, Response
from pydantic import ValidationError

from sentryml_common.contracts.api_key import Scope, without_keys
from sentryml_common.http.problems import Problem
from sentryml_common.logging import get_logger
from sentryml_common.text import sentence
from sentryml_incidents.api.api_keys import KeyId, NewApiKey
from sentryml_incidents.api.refusals import problem_of
from sentryml_incidents.api.views import api_key_view
from sentryml_incidents.domain.api_keys import MODELS_MAX, NAME_LENGTH_MAX, OVERLAP_DEFAULT, StoredKey
from sentryml_incidents.domain.first_steps.model_names import example_model_for, test_model_for
from sentryml_incidents.store.people.api_keys import list_api_keys
from sentryml_incidents.usecases.api_keys import create_key, revoke_key, rotate_key
from sentryml_incidents.usecases.context import Context, WithContext
from sentryml_incidents.usecases.errors import Refused
from sentryml_incidents.usecases.send_test_event import Sent, find_key, send_test_event
from sentryml_incidents.web.people.session import Administrator, Visitor
from sentryml_incidents.web.rendering import PageRoute, go_to, render

KEYS = "/keys"
LIFETIMES = (30, 90, 365)
MEANS = {
    Scope.EVENTS_WRITE: "send prediction events",
    Scope.READ: "read models, incidents and deliveries",
    Scope.WRITE: "also act on incidents and change monitors",
    Scope.ADMIN: "also make keys: everything",
}

router = APIRouter(prefix=KEYS, include_in_schema=False, route_class=PageRoute)
log = get_logger(__name__)

NameField = Annotated[str, Form(max_length=2 * NAME_LENGTH_MAX)]
ScopesField = Annotated[list[Scope], Form()]
ModelsField = Annotated[str, Form(max_length=MODELS_MAX * 130)]
KeyField = Annotated[str, Form(max_length=200)]
DaysField = Annotated[int, Form(ge=0, le=3660)]


@router.get("")
async def show_list(request: Request, context: WithContext, visitor: Administrator) -> Response:
    """All keys, newest first, with the form for another."""
    return await _list(request, context)


@router.post("/make")
async def make_one(
    request: Request,
    context: WithContext,
    visitor: Administrator,
    name: NameField = "",
    scopes: ScopesField = [],  # noqa: B006 FastAPI copies it
    models: ModelsField = "",
    days: DaysField = 0,
) -> Response:
    """Create a key, valid for `days` or, with 0, until it is revoked."""
    now = context.now()
    expires_at = now + timedelta(days=days) if days else None
    try:
        requested = NewApiKey(name=name, scopes=scopes, models=models.replace(",", " ").split(), expires_at=expires_at)
    except ValidationError as err:
        return await _list(request, context, 422, _in_words(err), name, models)
    of_key = requested.name, tuple(requested.scopes), tuple(requested.models), expires_at
    async with context.transaction() as connection:
        stored, text = await create_key(connection, visitor.actor, *of_key, now)
    return _show_once(request, context, visitor, stored, text, "api_key_made")


@router.post("/{key_id}/rotate")
async def rotate(request: Request, context: WithContext, visitor: Administrator, key_id: KeyId) -> Response:
    """Replace a key; the old one stays valid for a day."""
    try:
        async with context.transaction() as connection:
            stored, text = await rotate_key(connection, visitor.actor, key_id, OVERLAP_DEFAULT, context.now())
    except Refused as err:
        return await _list(request, context, problem_of(err, context.public_url).status, sentence(str(err)))
    return _show_once(request, context, visitor, stored, text, "api_key_rotated")


@router.post("/{key_id}/revoke")
async def revoke(request: Request, context: WithContext, visitor: Administrator, key_id: KeyId) -> Response:
    """Revoke a key, for good; everywhere in less than a second."""
    async with context.transaction() as connection:
        await revoke_key(connection, key_id, context.now())
    _report("api_key_revoked", key_id, visitor)
    return go_to(request, KEYS)


@router.post("/{key_id}/test-event")
async def test(
    request: Request, context: WithContext, visitor: Administrator, key_id: KeyId, key: KeyField
) -> Response:
    """Send a test event with a key that was made just now, and say whether it was counted."""
    stored = await find_key(context, key_id, key)
    if stored is None:
        raise Problem(422, "another-key", "This is not the key that was made, or it has ended: create another one.")
    sent = await send_test_event(context, stored, key)
    return _key_page(request, context, stored, key, sent)


async def _list(
    request: Request, context: Context, status: int = 200, refused: str | None = None, name: str = "", models: str = ""
) -> Response:
    async with context.transaction() as connection:
        found = await list_api_keys(connection)
    return render(
        request,
        "people/api_keys.html",
        status=status,
        keys=[api_key_view(stored, context.now()) for stored in found],
        means=MEANS,
        lifetimes=LIFETIMES,
        refused=refused,
        name=without_keys(name),
        models=without_keys(models),
        name_length_max=NAME_LENGTH_MAX,
    )


def _show_once(
    request: Request, context: Context, visitor: Visitor, stored: StoredKey, text: str, event: str
) -> Response:
    _report(event, stored.key.key_id, visitor)
    return _key_page(request, context, stored, text)


def _key_page(request: Request, context: Context, stored: StoredKey, text: str, sent: Sent | None = None) -> Response:
    """A key with what it is good for: for one that may send events, how to, in three ways."""
    return render(
        request,
        "people/new_api_key.html",
        key=api_key_view(stored, context.now()),
        text=text,
        means=MEANS,
        sends=stored.key.allows(Scope.EVENTS_WRITE),
        example_model=example_model_for(stored.key.models),
        test_model=test_model_for(stored.key.models),
        sent=sent,
        ingest_url=context.ingest_url,
        kafka=context.kafka,
        counted_seconds=context.counted_seconds,
    )


def _in_words(err: ValidationError) -> str:
    """What is wrong with the requested key, without its values."""
    wrong = [f"{each['loc'][0]}: {each['msg']}" for each in err.errors(include_input=False, include_url=False)]
    return f"No key was made. {'; '.join(wrong)}."


def _report(event: str, key_id: str, visitor: Visitor) -> None:
    log.info(event, key_id=key_id, by=str(visitor.user.user_id))
