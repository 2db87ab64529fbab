"""Changing how a model is watched: the one way for the API and for pages. Any change makes a new version."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from sentryml_common.contracts.monitor import Monitor, MonitorSettings
from sentryml_common.contracts.transition import Actor
from sentryml_common.http.versions import etag, matches
from sentryml_incidents.journal import report_transitions
from sentryml_incidents.store.monitors import find_monitor, insert_monitor_version
from sentryml_incidents.store.snapshots import lock_snapshot, save_decision
from sentryml_incidents.usecases.context import Context
from sentryml_incidents.usecases.errors import MonitorMovedOn, UnknownModel
from sentryml_incidents.usecases.managed_by import mark_applied
from sentryml_incidents.usecases.monitor_patch import read_and_merge
from sentryml_lifecycle.decision import Decision
from sentryml_lifecycle.events.on_monitor_change import changes, kept_since
from sentryml_lifecycle.state_machine import MonitorChanged, decide


async def change_monitor(
    context: Context,
    actor: Actor,
    model_id: str,
    requested: dict[str, Any],
    if_match: str | None = None,
    source: str | None = None,
) -> Monitor:
    """Put a changed monitor in force, in a transaction of its own; return the one that is in force then.

    `source` says that files manage what is requested; if it is empty, that they manage nothing any more.

    Raises:
        UnknownModel: there is none with this id.
        MonitorChangedMeanwhile: it has another version than `requested` says.
        MonitorMovedOn: it has another version than `if_match` says.
        InvalidMonitor: settings do not fit, by name.
        Unavailable: PostgreSQL is away.
    """
    decision: Decision | None = None
    now = context.now()
    async with context.transaction() as connection:
        snapshot = await lock_snapshot(connection, model_id)
        monitor = await find_monitor(connection, model_id)
        if snapshot is None or monitor is None:
            raise UnknownModel(model_id)
        settings = await read_and_merge(connection, snapshot, requested)
        if not matches(if_match, etag(monitor.version)):
            raise MonitorMovedOn(monitor)
        if changes(snapshot.settings, settings):
            monitor = _next_version(monitor, settings, now)
            decision = decide(snapshot, MonitorChanged(settings, monitor.version, actor), now)
            await insert_monitor_version(connection, monitor, actor, now)
            await save_decision(connection, snapshot, decision)
        if source is not None:
            await mark_applied(connection, monitor, source, set(requested), actor, now)
    if decision is not None:
        report_transitions(decision)
    return monitor


def _next_version(monitor: Monitor, settings: MonitorSettings, now: datetime) -> Monitor:
    return Monitor(
        **dict(settings),
        model_id=monitor.model_id,
        version=monitor.version + 1,
        kept_since=kept_since(monitor, settings, now),
        normal_time=monitor.normal_time,
    )
