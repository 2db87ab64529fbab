"""`/v1/models/{id}/monitor`: how a model is watched. Any change makes a new version, and is published."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Any

from fastapi import APIRouter, Query, Response
from pydantic import BaseModel, Field, TypeAdapter

from sentryml_common.contracts.monitor import Monitor, MonitorSettings
from sentryml_common.contracts.transition import Actor
from sentryml_common.http.access import actor_of
from sentryml_common.http.etags import CACHED, VERSIONED, IfMatch, IfNoneMatch, not_modified
from sentryml_common.http.paging import Cursor, Limit, Page, from_cursor, to_cursor
from sentryml_common.http.problems import problem_answers
from sentryml_common.http.versions import etag
from sentryml_incidents.api.auth import Reader, Writer
from sentryml_incidents.api.models import UNKNOWN, PathModelId, check_model
from sentryml_incidents.api.views import view_of
from sentryml_incidents.store.monitors import find_monitor, list_monitor_versions
from sentryml_incidents.usecases.change_monitor import change_monitor
from sentryml_incidents.usecases.context import WithContext
from sentryml_incidents.usecases.errors import UnknownModel
from sentryml_incidents.usecases.known_model import known_model
from sentryml_incidents.usecases.managed_by import ManagedBy, SourceText, managed_by
from sentryml_incidents.usecases.monitor_patch import Patch
from sentryml_lifecycle.events.on_monitor_change import in_words

router = APIRouter(prefix="/v1/models", tags=["monitors"])

CHANGED = {
    **VERSIONED,
    **UNKNOWN,
    **problem_answers(
        (409, "The `version` that was sent is not the one in force."),
        (412, "It has moved on since the `If-Match` that was sent; `monitor` is its current state."),
        (422, "Settings are unknown, out of range or contradict each other; `errors` names each. The monitor stays."),
    ),
}

Source = Annotated[
    SourceText | None,
    Query(
        alias="managed_by",
        description="Says that a file manages the settings of this request, and which; it is shown to those who change "
        "one of them elsewhere. Empty: no file manages this monitor any more.",
    ),
]


class ChangedSinceView(BaseModel):
    """A setting that is not as the file has set it, and who changed it last."""

    setting: str
    applied: Any
    in_force: Any
    at: datetime | None
    actor: Actor | None


class ManagedByView(BaseModel):
    """What manages a monitor."""

    source: str = Field(description="What `managed_by` said, such as the name of a file.")
    applied_at: datetime
    applied_by: Actor
    version: int = Field(description="The version of the monitor that was in force then.")
    settings: dict[str, Any] = Field(description="The settings that the file names, as it has set them.")
    changed_since: list[ChangedSinceView] = Field(description="Those of them that were changed elsewhere since.")


class MonitorView(Monitor):
    """A monitor, and what manages it."""

    managed_by: ManagedByView | None = Field(
        None, description="The file that manages it; null: none. Changes without a new version."
    )


_VERSION = TypeAdapter(Annotated[int, Field(ge=1, lt=2**31)])


@router.get("/{model_id}/monitor", responses={**CACHED, **UNKNOWN}, response_model=MonitorView)
async def show(
    context: WithContext, key: Reader, model_id: PathModelId, response: Response, if_none_match: IfNoneMatch = None
) -> MonitorView | Response:
    """How a model is watched. Its `ETag` changes with every version."""
    check_model(key, model_id)
    async with context.transaction() as connection:
        monitor = await find_monitor(connection, model_id)
        if monitor is None:
            raise UnknownModel(model_id)
        found = await managed_by(connection, monitor)
    current = etag(monitor.version)
    if (unchanged := not_modified(if_none_match, current)) is not None:
        return unchanged
    response.headers["ETag"] = current
    return _monitor_view(monitor, found)


@router.put("/{model_id}/monitor", responses=CHANGED)
async def change(
    context: WithContext,
    key: Writer,
    model_id: PathModelId,
    patch: Patch,
    response: Response,
    if_match: IfMatch = None,
    source: Source = None,
) -> MonitorView:
    """Change how a model is watched; in force within about a second. What changes nothing makes no new version."""
    check_model(key, model_id)
    monitor = await change_monitor(context, actor_of(key), model_id, patch, if_match, source)
    async with context.transaction() as connection:
        found = await managed_by(connection, monitor)
    response.headers["ETag"] = etag(monitor.version)
    return _monitor_view(monitor, found)


def _monitor_view(monitor: Monitor, found: ManagedBy | None) -> MonitorView:
    if found is None:
        return MonitorView(**dict(monitor))
    changed = [view_of(ChangedSinceView, each) for each in found.changed_since]
    return MonitorView(**dict(monitor), managed_by=view_of(ManagedByView, found.applied, changed_since=changed))


class MonitorVersionView(BaseModel):
    """One entry in the history of a monitor."""

    version: int
    at: datetime
    actor: Actor
    changes: str = Field(description="What changed against the version before, in words.")
    settings: MonitorSettings | None = Field(description="In force from then on; null where the model was deleted.")


@router.get("/{model_id}/monitor/versions", responses=UNKNOWN)
async def show_versions(
    context: WithContext, key: Reader, model_id: PathModelId, cursor: Cursor = None, limit: Limit = 50
) -> Page[MonitorVersionView]:
    """Every version a model's monitor ever had, newest first: who changed what, and when."""
    check_model(key, model_id)
    before = from_cursor(cursor, _VERSION)
    async with context.transaction() as connection:
        await known_model(connection, model_id)
        found = await list_monitor_versions(connection, model_id, before, limit)
    last = found[-1].version if len(found) == limit and found[-1].version > 1 else None
    items = [view_of(MonitorVersionView, each, changes=each.happened or in_words(each.changed)) for each in found]
    return Page(items=items, next_cursor=to_cursor(last) if last else None)
