"""What a changed monitor does to a live incident. Part of `state_machine`.

An incident that ends because someone moved the threshold must never read as if the data had recovered: the
change is on the timeline, and stays the cause of a recovery until drift is seen under the new settings.
"""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any

from sentryml_common.contracts.monitor import Monitor, MonitorSettings
from sentryml_common.contracts.transition import Actor, Cause, TransitionKind
from sentryml_lifecycle.decision import Decision, Mark, applied
from sentryml_lifecycle.events.on_silence import without_silence
from sentryml_lifecycle.snapshot import Counts, Incident, SlowCounts, Snapshot

BASELINE = {
    "signals",
    "baseline_seconds",
    "current_seconds",
    "bins",
    "min_samples",
    "min_baseline_coverage",
    "season_seconds",
    "time_zone",
    "evaluate_segments",
}
THRESHOLDS = {
    "warn",
    "critical",
    "false_incidents_per_model_month",
    "resolve_below",
    "confirm_warn",
    "confirm_critical",
    "confirm_deescalate",
    "confirm_resolve",
    "slow_drift",
}


def on_monitor_changed(
    snapshot: Snapshot, settings: MonitorSettings, version: int, actor: Actor, now: datetime
) -> Decision:
    """Put new settings in force. What was counted under other thresholds counts no more."""
    changed = changes(snapshot.settings, settings)
    cause = _cause(set(changed), enabled=settings.enabled)
    evaluation_paused_since = snapshot.evaluation_paused_since if settings.enabled else None
    after = replace(
        snapshot, settings=settings, monitor_version=version, evaluation_paused_since=evaluation_paused_since
    )
    if cause is not Cause.TIMES_CHANGED:
        after = replace(after, counts=Counts(), slow=SlowCounts(), notified=after.notified.recounting())
    if not (settings.enabled and settings.silence):
        after = without_silence(after)
    incident = snapshot.incident
    if incident is None or not incident.live:
        return applied(after)
    mark = Mark(now, cause, alert=cause is not Cause.TIMES_CHANGED, actor=actor, note=in_words(changed))
    if cause is Cause.MONITOR_DISABLED:
        return applied(after).recording(TransitionKind.CLOSED, incident.closed(now), mark)
    if incident.no_predictions and not settings.silence:
        ended = replace(mark, cause=Cause.THRESHOLDS_CHANGED, alert=True)
        return applied(after).recording(TransitionKind.RESOLVED, incident.resolved(now), ended)
    return applied(after).recording(TransitionKind.MONITOR_CHANGED, _blaming(incident, cause), mark)


def changes(old: MonitorSettings, new: MonitorSettings) -> dict[str, tuple[Any, Any]]:
    """What differs: (before, after) by field."""
    return {
        name: (getattr(old, name), getattr(new, name))
        for name in MonitorSettings.model_fields
        if getattr(old, name) != getattr(new, name)
    }


def kept_since(old: Monitor, new: MonitorSettings, now: datetime) -> datetime | None:
    """Since when events are kept that the new windows can reach; None: all since the first.

    What the old windows did not reach is gone already, whatever the new ones ask for.
    """
    if new.reach_seconds <= old.reach_seconds:
        return old.kept_since
    kept = now - timedelta(seconds=old.reach_seconds)
    return kept if old.kept_since is None else max(kept, old.kept_since)


def in_words(changed: dict[str, tuple[Any, Any]]) -> str:
    """`warn 0.1 → 0.15; critical 0.2 → 0.3`."""
    return "; ".join(f"{name} {_value(old)} → {_value(new)}" for name, (old, new) in changed.items())


def _cause(changed: set[str], *, enabled: bool) -> Cause:
    """The gravest of the changes."""
    if not enabled:
        return Cause.MONITOR_DISABLED
    if changed & BASELINE:
        return Cause.BASELINE_CHANGED
    return Cause.THRESHOLDS_CHANGED if changed & THRESHOLDS else Cause.TIMES_CHANGED


def _blaming(incident: Incident, cause: Cause) -> Incident:
    return incident if cause is Cause.TIMES_CHANGED else replace(incident, monitor_change=cause)


def _value(value: Any) -> str:
    if value is None:
        return "default"
    if isinstance(value, bool):
        return "on" if value else "off"
    if isinstance(value, tuple):
        return ", ".join(value)
    return f"{value:g}" if isinstance(value, float) else str(value)
