"""Markers of a model as forms of its page send them."""

from __future__ import annotations

from contextlib import suppress
from datetime import UTC, datetime
from typing import Annotated
from uuid import UUID

from fastapi import APIRouter, Form, Request, Response

from sentryml_common.contracts.api_key import without_keys
from sentryml_common.http.problems import Problem
from sentryml_incidents.usecases.context import WithContext
from sentryml_incidents.usecases.errors import UnknownMarker
from sentryml_incidents.usecases.markers import add_marker, remove_marker
from sentryml_incidents.usecases.texts import MARKER_LENGTH_MAX
from sentryml_incidents.web.people.session import Responder
from sentryml_incidents.web.rendering import PageRoute, go_to

router = APIRouter(prefix="/models/{model_id}/markers", include_in_schema=False, route_class=PageRoute)

TextField = Annotated[str, Form(max_length=2 * MARKER_LENGTH_MAX)]
TimeField = Annotated[str, Form(max_length=40)]


@router.post("")
async def add(
    request: Request,
    context: WithContext,
    visitor: Responder,
    model_id: str,
    text: TextField = "",
    at: TimeField = "",
) -> Response:
    """Mark a time, or now."""
    await add_marker(context, visitor.actor, model_id, _read_text(text), _read_time(at))
    return go_to(request, f"/models/{model_id}#markers")


@router.post("/{marker_id}/delete")
async def delete(
    request: Request, context: WithContext, visitor: Responder, model_id: str, marker_id: UUID
) -> Response:
    """Delete a marker; one that somebody else has deleted is deleted."""
    with suppress(UnknownMarker):
        await remove_marker(context, visitor.actor, model_id, marker_id)
    return go_to(request, f"/models/{model_id}#markers")


def _read_text(given: str) -> str:
    text = " ".join(given.split())
    if not text:
        raise Problem(422, "invalid-request", "Say what happened, for example “deployed 2.3”.")
    if without_keys(text) != text:
        raise Problem(422, "invalid-request", "The text holds an API key, which is a secret: leave it out.")
    if len(text) > MARKER_LENGTH_MAX or any(each < " " or each == "\x7f" for each in text):
        raise Problem(
            422, "invalid-request", f"A marker is one line of at most {MARKER_LENGTH_MAX} characters of text."
        )
    return text


def _read_time(given: str) -> datetime | None:
    """A time in UTC as a form sends it; None where none is given."""
    if not given.strip():
        return None
    try:
        return datetime.fromisoformat(given.strip()).replace(tzinfo=UTC)
    except ValueError:
        raise Problem(
            422, "invalid-request", "The time must be like 2026-11-23T09:15, in UTC; leave it out for now."
        ) from None
