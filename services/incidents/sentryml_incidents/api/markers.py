"""`/v1/models/{id}/markers`: deployments and other events that are known, to be seen beside the curve of a model."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated
from uuid import UUID

from fastapi import APIRouter, Path, Response
from pydantic import BaseModel, ConfigDict, Field, TypeAdapter

from sentryml_common.contracts.message import UtcDatetime
from sentryml_common.contracts.transition import Actor
from sentryml_common.http.access import actor_of
from sentryml_common.http.paging import Cursor, Limit, Page, from_cursor, next_cursor
from sentryml_common.http.problems import problem_answers
from sentryml_common.http.times import WithOffset
from sentryml_incidents.api.auth import Reader, Writer
from sentryml_incidents.api.models import UNKNOWN, PathModelId, check_model
from sentryml_incidents.api.views import view_of
from sentryml_incidents.store.markers import Marker, list_markers
from sentryml_incidents.usecases.context import WithContext
from sentryml_incidents.usecases.known_model import known_model
from sentryml_incidents.usecases.markers import add_marker, remove_marker
from sentryml_incidents.usecases.texts import MarkerText

router = APIRouter(prefix="/v1/models/{model_id}/markers", tags=["models"])

_CURSOR = TypeAdapter(tuple[UtcDatetime, UUID])


class NewMarker(BaseModel):
    """What is to be marked."""

    model_config = ConfigDict(extra="forbid")

    text: MarkerText
    at: WithOffset | None = Field(None, description="When it happened; without it, now.")


class MarkerView(BaseModel):
    """A marker."""

    marker_id: UUID
    model_id: str
    at: datetime
    text: str
    made_at: datetime
    made_by: Actor


@router.post("", status_code=201, responses=UNKNOWN)
async def add(context: WithContext, key: Writer, model_id: PathModelId, marker: NewMarker) -> MarkerView:
    """Mark a time: a deployment, a holiday, a fault upstream. It is shown on the curves of the model and of its
    incidents, and decides nothing. The same text at the same time is the same marker, so a request with `at` may be
    repeated."""
    check_model(key, model_id)
    return _view(await add_marker(context, actor_of(key), model_id, marker.text, marker.at))


@router.get("", responses=UNKNOWN)
async def show(
    context: WithContext, key: Reader, model_id: PathModelId, cursor: Cursor = None, limit: Limit = 50
) -> Page[MarkerView]:
    """The markers of a model, the latest time first."""
    check_model(key, model_id)
    before = from_cursor(cursor, _CURSOR)
    async with context.transaction() as connection:
        await known_model(connection, model_id)
        found = await list_markers(connection, model_id, before, limit)
    items = [_view(marker) for marker in found]
    return Page(items=items, next_cursor=next_cursor(found, limit, lambda last: (last.at, last.marker_id)))


@router.delete(
    "/{marker_id}",
    status_code=204,
    responses=problem_answers((404, "No such model has been seen, or it has no such marker.")),
)
async def delete(
    context: WithContext,
    key: Writer,
    model_id: PathModelId,
    marker_id: Annotated[UUID, Path(description="The marker's id.")],
) -> Response:
    """Delete a marker."""
    check_model(key, model_id)
    await remove_marker(context, actor_of(key), model_id, marker_id)
    return Response(status_code=204)


def _view(marker: Marker) -> MarkerView:
    return view_of(MarkerView, marker, made_by=marker.actor)
