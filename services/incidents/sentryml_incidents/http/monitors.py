"""`/v1/models/{id}/monitor`: how a model is watched. Any change makes a new version, and is published."""

from __future__ import annotations

from typing import Annotated, Any

import orjson
from fastapi import APIRouter, Body, Response
from pydantic import ValidationError, WithJsonSchema

from sentryml_common.contracts.api_key import ApiKey
from sentryml_common.contracts.monitor import Monitor, MonitorSettings
from sentryml_common.http.problems import Problem, problem_answers
from sentryml_incidents.domain.decision import Decision
from sentryml_incidents.domain.lifecycle import MonitorChanged, decide
from sentryml_incidents.domain.monitor_changes import changes
from sentryml_incidents.domain.snapshot import Snapshot
from sentryml_incidents.http.auth import Reader, Writer, actor_of, check_model
from sentryml_incidents.http.context import Context, WithContext
from sentryml_incidents.http.etags import CACHED, VERSIONED, IfMatch, IfNoneMatch, etag, matches, not_modified
from sentryml_incidents.http.models import UNKNOWN, PathModelId, unknown_model
from sentryml_incidents.journal import report_transitions
from sentryml_incidents.store.monitors import find_monitor, insert_monitor_version, monitor_of
from sentryml_incidents.store.snapshots import lock_snapshot, save_decision

router = APIRouter(prefix="/v1/models", tags=["monitors"])

IDENTITY = ("v", "model_id", "version")

CHANGED = {
    **VERSIONED,
    **UNKNOWN,
    **problem_answers(
        (409, "The `version` that was sent is not the one in force."),
        (412, "It has moved on since the `If-Match` that was sent; `monitor` is how it stands."),
        (422, "Settings are unknown or do not fit; `errors` names each. The monitor stays as it is."),
    ),
}

Wanted = Annotated[
    dict[str, Any],
    WithJsonSchema({"$ref": "#/components/schemas/MonitorChange"}),
    Body(
        description="The settings to change, all others stay. A whole monitor, as `GET` returns it, is fine too: its "
        "`version` must then be the one in force.",
        examples=[{"warn": 0.15, "critical": 0.3}],
    ),
]


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
    decision: Decision | None = None
    async with context.transaction() as connection:
        snapshot = await lock_snapshot(connection, model_id)
        if snapshot is None:
            raise unknown_model(model_id)
        settings, version = _merge(snapshot, wanted), snapshot.monitor_version
        _check_match(snapshot, if_match)
        if changes(snapshot.settings, settings):
            version += 1
            decision = _decide(context, key, snapshot, settings)
            await insert_monitor_version(connection, model_id, version, settings, actor_of(key), context.now())
            await save_decision(connection, snapshot, decision)
    if decision is not None:
        report_transitions(decision)
    response.headers["ETag"] = etag(version)
    return monitor_of(model_id, version, settings.model_dump())


def _check_match(snapshot: Snapshot, if_match: str | None) -> None:
    current = etag(snapshot.monitor_version)
    if not matches(if_match, current):
        monitor = monitor_of(snapshot.model_id, snapshot.monitor_version, snapshot.settings.model_dump())
        raise Problem(
            412,
            "monitor-moved-on",
            f"the monitor is at {current} by now: look at it again",
            headers={"ETag": current},
            monitor=monitor.model_dump(mode="json"),
        )


def _decide(context: Context, key: ApiKey, snapshot: Snapshot, settings: MonitorSettings) -> Decision:
    event = MonitorChanged(settings, snapshot.monitor_version + 1, actor_of(key))
    return decide(snapshot, event, context.now())


def _merge(snapshot: Snapshot, wanted: dict[str, Any]) -> MonitorSettings:
    """The settings that would be in force.

    Raises:
        Problem: 409 for another version, 422 for what is unknown or does not fit, by name.
    """
    current = {"v": 1, "model_id": snapshot.model_id, "version": snapshot.monitor_version}
    if "version" in wanted and wanted["version"] != current["version"]:
        detail = f"the monitor is at version {current['version']} by now, not {wanted['version']}: read it again"
        raise Problem(409, "monitor-changed-meanwhile", detail)
    unknown = sorted(set(wanted) - set(MonitorSettings.model_fields) - set(IDENTITY))
    strange = [name for name in IDENTITY if name in wanted and wanted[name] != current[name]]
    if unknown or strange:
        raise _refused(
            [{"field": name, "reason": "unknown field: a monitor has no such setting"} for name in unknown]
            + [{"field": name, "reason": f"must be {current[name]!r} or left out"} for name in strange]
        )
    changed = {name: value for name, value in wanted.items() if name not in IDENTITY}
    merged = snapshot.settings.model_dump(mode="json") | changed
    try:
        return MonitorSettings.model_validate_json(orjson.dumps(merged), strict=True)
    except ValidationError as err:
        raise _refused(_reasons(err)) from err


def _reasons(err: ValidationError) -> list[dict[str, str]]:
    """One line per field; what is said of a list because of its items is left out."""
    errors = err.errors(include_url=False, include_input=False, include_context=False)
    inner = {error["loc"][:-1] for error in errors if len(error["loc"]) > 1}
    return [
        {
            "field": ".".join(str(part) for part in error["loc"]) or "(monitor)",
            "reason": error["msg"].removeprefix("Value error, "),
        }
        for error in errors
        if error["loc"] not in inner
    ]


def _refused(errors: list[dict[str, str]]) -> Problem:
    detail = "; ".join(f"{error['field']}: {error['reason']}" for error in errors)
    return Problem(422, "invalid-monitor", f"the monitor stays as it is. {detail}", errors=errors)


def change_schema() -> dict[str, Any]:
    """What `PUT` takes, for OpenAPI: any of a monitor's fields."""
    whole = Monitor.model_json_schema(ref_template="#/components/schemas/{model}")
    return {
        "type": "object",
        "title": "MonitorChange",
        "properties": {name: {**form} for name, form in whole["properties"].items()},
        "additionalProperties": False,
    }
