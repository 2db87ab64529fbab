"""Monitors that are managed by files: what the files set, and what was changed elsewhere since."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Annotated, Any

from pydantic import Field, StringConstraints

from sentryml_common.contracts.monitor import Monitor, MonitorSettings
from sentryml_common.contracts.transition import Actor
from sentryml_common.http.texts import NoKey
from sentryml_common.postgres.pool import Connection
from sentryml_incidents.store.monitors import (
    Applied,
    MonitorVersion,
    find_applied,
    forget_applied,
    list_monitor_versions,
    save_applied,
)

SOURCE_LENGTH_MAX = 200
VERSIONS_MAX = 200

SourceText = Annotated[
    str,
    StringConstraints(strip_whitespace=True, max_length=SOURCE_LENGTH_MAX, pattern=r"^[^\x00-\x1f\x7f]*$"),
    Field(description="One line of plain text.", examples=["monitors/fraud.yaml"]),
    NoKey,
]
"""What manages a monitor; empty: nothing does any more."""


@dataclass(frozen=True, slots=True)
class ChangedSince:
    """A setting that is not as it was applied, and who changed it last."""

    setting: str
    applied: Any
    in_force: Any
    at: datetime | None
    actor: Actor | None
    """Both None where more than `VERSIONS_MAX` versions came since."""


@dataclass(frozen=True, slots=True)
class ManagedBy:
    """What was applied last, and what differs from it now."""

    applied: Applied
    changed_since: Sequence[ChangedSince]


async def managed_by(connection: Connection, monitor: Monitor) -> ManagedBy | None:
    """What manages a monitor; None if nothing does."""
    applied = await find_applied(connection, monitor.model_id)
    if applied is None:
        return None
    since = min(VERSIONS_MAX, monitor.version - applied.version)
    versions = await list_monitor_versions(connection, monitor.model_id, None, since) if since > 0 else []
    return ManagedBy(applied, changed_since(applied, monitor, versions))


def changed_since(
    applied: Applied, in_force: MonitorSettings, versions: Sequence[MonitorVersion]
) -> list[ChangedSince]:
    """The settings that are not as they were applied; `versions` are those since, newest first."""
    now = in_force.model_dump(mode="json", include=set(applied.settings))
    found = []
    for name in applied.settings:
        if name in now and now[name] != applied.settings[name]:
            last = next((each for each in versions if _changes(each, name)), None)
            at, actor = (last.at, last.actor) if last is not None else (None, None)
            found.append(ChangedSince(name, applied.settings[name], now[name], at, actor))
    return found


def _changes(version: MonitorVersion, name: str) -> bool:
    return getattr(version.before, name, None) != getattr(version.settings, name, None)


async def mark_applied(
    connection: Connection, monitor: Monitor, source: str, names: set[str], actor: Actor, now: datetime
) -> None:
    """Keep that these settings of a monitor, as they are in force, come from `source`; or, if that is empty, that
    nothing manages the monitor any more."""
    if not source:
        await forget_applied(connection, monitor.model_id)
        return
    names &= set(MonitorSettings.model_fields)
    settings = monitor.model_dump(mode="json", include=names)
    await save_applied(connection, monitor.model_id, Applied(source, now, actor, monitor.version, settings))
