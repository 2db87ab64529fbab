"""`/v1/models/{id}/monitor`: how a model is watched. Any change makes a new version, and is published."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Any

from fastapi import APIRouter, Response
from pydantic import BaseModel, Field, TypeAdapter

from sentryml_common.contracts.monitor import Monitor, MonitorSettings
from sentryml_common.contracts.transition import Actor
from sentryml_common.http.access import actor_of
from sentryml_common.http.etags import CACHED, VERSIONED, IfMatch, IfNoneMatch, etag, matches, not_modified
from sentryml_common.http.paging import Cursor, Limit, Page, from_cursor, to_cursor
from sentryml_common.http.problems import Problem, problem_answers
from sentryml_incidents.api.auth import Reader, Writer
from sentryml_incidents.api.models import UNKNOWN, PathModelId, check_model, known_model, unknown_model
from sentryml_incidents.journal import report_transitions
from sentryml_incidents.store.monitors import (
    MonitorVersion,
    find_monitor,
    insert_monitor_version,
    list_monitor_versions,
)
from sentryml_incidents.store.snapshots import lock_snapshot, save_decision
from sentryml_incidents.usecases.context import Context, WithContext
from sentryml_incidents.usecases.monitor_patch import Wanted, merge
from sentryml_lifecycle.decision import Decision
from sentryml_lifecycle.lifecycle import MonitorChanged, decide
from sentryml_lifecycle.monitor_changes import changes, in_words, kept_since

router = APIRouter(prefix="/v1/models", tags=["monitors"])

CHANGED = {
    **VERSIONED,
    **UNKNOWN,
    **problem_answers(
        (409, "The `version` that was sent is not the one in force."),
        (412, "It has moved on since the `If-Match` that was sent; `monitor` is how it stands."),
        (422, "Settings are unknown, out of range or contradict each other; `errors` names each. The monitor stays."),
    ),
}

_VERSION = TypeAdapter(Annotated[int, Field(ge=1, lt=2**31)])


@router.get("/{model_id}/monitor", responses={**CACHED, **UNKNOWN}, response_model=Monitor)
async def show(
    context: WithContext, key: Reader, model_id: PathModelId, response: Response, if_none_match: IfNoneMatch = None
) -> Monitor | Response:
    """How a model is watched. Its `ETag` changes with every version."""
    check_model(key, model_id)
    async with context.transaction() as connection:
        monitor = await find_monitor(connection, model_id)
    if monitor is None:
        raise unknown_model(model_id)
    current = etag(monitor.version)
    if (unchanged := not_modified(if_none_match, current)) is not None:
        return unchanged
    response.headers["ETag"] = current
    return monitor


@router.put("/{model_id}/monitor", responses=CHANGED)
async def change(
    context: WithContext,
    key: Writer,
    model_id: PathModelId,
    wanted: Wanted,
    response: Response,
    if_match: IfMatch = None,
) -> Monitor:
    """Change how a model is watched; in force within about a second. What changes nothing makes no new version."""
    check_model(key, model_id)
    monitor = await change_monitor(context, actor_of(key), model_id, wanted, if_match)
    response.headers["ETag"] = etag(monitor.version)
    return monitor


async def change_monitor(
    context: Context, actor: Actor, model_id: str, wanted: dict[str, Any], if_match: str | None = None
) -> Monitor:
    """Put a changed monitor in force, in a transaction of its own; return the one that is in force then.

    Raises:
        Problem: 404 there is no such model; 409 or 412 it has another version than `wanted` or `if_match` say; 422
            settings do not fit, by name.
        Unavailable: PostgreSQL is away.
    """
    decision: Decision | None = None
    now = context.now()
    async with context.transaction() as connection:
        snapshot = await lock_snapshot(connection, model_id)
        monitor = await find_monitor(connection, model_id)
        if snapshot is None or monitor is None:
            raise unknown_model(model_id)
        settings = merge(snapshot, wanted)
        _check_match(monitor, if_match)
        if changes(snapshot.settings, settings):
            monitor = _next_version(monitor, settings, now)
            decision = decide(snapshot, MonitorChanged(settings, monitor.version, actor), now)
            await insert_monitor_version(connection, monitor, actor, now)
            await save_decision(connection, snapshot, decision)
    if decision is not None:
        report_transitions(decision)
    return monitor


def _check_match(monitor: Monitor, if_match: str | None) -> None:
    current = etag(monitor.version)
    if not matches(if_match, current):
        raise Problem(
            412,
            "monitor-moved-on",
            f"the monitor is at {current} by now: look at it again",
            headers={"ETag": current},
            monitor=monitor.model_dump(mode="json"),
        )


def _next_version(monitor: Monitor, settings: MonitorSettings, now: datetime) -> Monitor:
    return Monitor(
        **dict(settings),
        model_id=monitor.model_id,
        version=monitor.version + 1,
        kept_since=kept_since(monitor, settings, now),
    )


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
    return Page(items=[_version_view(each) for each in found], next_cursor=to_cursor(last) if last else None)


def _version_view(found: MonitorVersion) -> MonitorVersionView:
    return MonitorVersionView(
        version=found.version, at=found.at, actor=found.actor, changes=_in_words(found), settings=found.settings
    )


def _in_words(found: MonitorVersion) -> str:
    if found.settings is None:
        return "the model was deleted"
    if found.before is None:
        return "the model was registered" if found.version == 1 else "the model was registered again"
    return in_words(changes(found.before, found.settings))
