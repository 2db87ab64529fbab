"""A monitor as someone asks for it: the settings in force with some changed, or all that is wrong with it at once."""

from __future__ import annotations

import json
from collections.abc import Set
from typing import Annotated, Any

from fastapi import Body
from pydantic import ValidationError, WithJsonSchema

from sentryml_common.contracts.monitor import Monitor, MonitorSettings, MonitorValues
from sentryml_common.postgres.pool import Connection
from sentryml_incidents.domain.monitor_rules import all_contradictions
from sentryml_incidents.store.monitors import find_activity
from sentryml_incidents.usecases.errors import InvalidMonitor, MonitorChangedMeanwhile
from sentryml_lifecycle.snapshot import Snapshot

IDENTITY = ("v", "model_id", "version")
READ_ONLY = ("kept_since", "normal_time", "managed_by")

Patch = Annotated[
    dict[str, Any],
    WithJsonSchema({"$ref": "#/components/schemas/MonitorChange"}),
    Body(
        description="The settings to change, all others stay. A whole monitor, as `GET` returns it, is fine too: its "
        "`version` must then be the one in force.",
        examples=[{"warn": 0.15, "critical": 0.3}],
    ),
]


async def read_and_merge(connection: Connection, snapshot: Snapshot, patch: dict[str, Any]) -> MonitorSettings:
    """The same as `merge`, by the panes in which the model is counted."""
    activity = await find_activity(connection, snapshot.model_id)
    return merge(snapshot, patch, None if activity is None else activity.coarse_pane_seconds)


def merge(snapshot: Snapshot, patch: dict[str, Any], coarse_seconds: float | None = None) -> MonitorSettings:
    """The settings that would be in force.

    Raises:
        MonitorChangedMeanwhile: it has another version.
        InvalidMonitor: for all that is unknown or does not fit, by name.
    """
    changed = _settings_in(snapshot, patch)
    current = snapshot.settings.model_dump(mode="json")
    try:
        values, errors = _read(current | changed), []
    except ValidationError as err:
        errors = _reasons(err)
        bad = {str(error["loc"][0]) for error in err.errors()}
        values = _read(current | {name: value for name, value in changed.items() if name not in bad})
        errors += _contradicting(values, coarse_seconds, set(changed) - bad, without=bad)
    else:
        errors = _contradicting(values, coarse_seconds, set(changed))
    if errors:
        raise InvalidMonitor(errors)
    return MonitorSettings.model_validate(values.model_dump())


def _settings_in(snapshot: Snapshot, patch: dict[str, Any]) -> dict[str, Any]:
    """What is asked for, without that which says of which monitor."""
    current = {"v": 1, "model_id": snapshot.model_id, "version": snapshot.monitor_version}
    if "version" in patch and patch["version"] != current["version"]:
        raise MonitorChangedMeanwhile(snapshot.monitor_version, patch["version"])
    unknown = sorted(set(patch) - set(MonitorSettings.model_fields) - {*IDENTITY, *READ_ONLY})
    strange = [name for name in IDENTITY if name in patch and patch[name] != current[name]]
    if unknown or strange:
        raise InvalidMonitor(
            [{"field": name, "reason": "unknown field: a monitor has no such setting"} for name in unknown]
            + [{"field": name, "reason": f"must be {current[name]!r} or left out"} for name in strange]
        )
    return {name: value for name, value in patch.items() if name in MonitorSettings.model_fields}


def _read(values: dict[str, Any]) -> MonitorValues:
    return MonitorValues.model_validate_json(json.dumps(values), strict=True)


def _contradicting(
    values: MonitorValues, coarse_seconds: float | None, changed: Set[str], without: Set[str] = frozenset()
) -> list[dict[str, str]]:
    """Contradictions under the name of the setting that was asked for; none that involves one of `without`."""
    return [
        {"field": next((name for name in each.fields if name in changed), each.fields[0]), "reason": each.reason}
        for each in all_contradictions(values, coarse_seconds)
        if without.isdisjoint(each.fields)
    ]


def _reasons(err: ValidationError) -> list[dict[str, str]]:
    """One line per field; what is said of a list because of its items is left out."""
    errors = err.errors(include_url=False, include_input=False, include_context=False)
    inner = {error["loc"][:-1] for error in errors if len(error["loc"]) > 1}
    return [
        {"field": ".".join(str(part) for part in error["loc"]), "reason": error["msg"]}
        for error in errors
        if error["loc"] not in inner
    ]


def change_schema() -> dict[str, Any]:
    """What a change may hold, for OpenAPI: any of a monitor's fields."""
    whole = Monitor.model_json_schema(ref_template="#/components/schemas/{model}")
    ignored = {name: {"description": "Ignored: it is no setting."} for name in READ_ONLY}
    return {
        "type": "object",
        "title": "MonitorChange",
        "properties": {name: {**form} for name, form in whole["properties"].items()} | ignored,
        "additionalProperties": False,
    }
