"""What files would change: each monitor as it is, and what the changed one would have done over the kept history."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from sentryml.command.api import Api, Refused, model_path
from sentryml.command.models import number, to_the_second
from sentryml.command.monitors.files import MonitorFile, differences, in_words, settings_of
from sentryml.command.terminal import Failed, Terminal

SHOWN = 5


@dataclass(frozen=True, slots=True)
class Change:
    """One monitor that differs from its file."""

    file: MonitorFile
    version: int
    settings: dict[str, tuple[Any, Any]]
    """Of each setting that differs, what is in force and what the file says."""
    changed_since: dict[str, dict[str, Any]]
    """Of those that were changed elsewhere since they were applied: what was applied, who has changed it, when."""
    last_change: dict[str, Any]
    """The newest version: who made it, and when."""
    preview: dict[str, Any]
    other_source: str
    """What manages it now, where that is not this file; else empty."""

    def document(self) -> dict[str, Any]:
        """For programs."""
        return {
            "model_id": self.file.model_id,
            "file": str(self.file.path),
            "version": self.version,
            "last_change": {name: self.last_change.get(name) for name in ("at", "actor", "changes")},
            "settings": {name: {"from": was, "to": target} for name, (was, target) in self.settings.items()},
            "changed_since": list(self.changed_since.values()),
            "preview": self.preview,
        }


@dataclass(frozen=True, slots=True)
class Unchanged:
    """A monitor that is as in its file. `marked` says that it is known to come from there."""

    file: MonitorFile
    version: int
    marked: bool
    other_source: str


@dataclass(frozen=True, slots=True)
class Plan:
    """All files."""

    changes: Sequence[Change]
    unchanged: Sequence[Unchanged]
    skipped: Sequence[MonitorFile]
    """Those of models that are not known yet."""

    @property
    def taken_over(self) -> list[Change | Unchanged]:
        """Those that something else manages until now."""
        compared: list[Change | Unchanged] = [*self.changes, *self.unchanged]
        return [each for each in compared if each.other_source]

    def document(self) -> dict[str, Any]:
        """For programs."""
        return {
            "changes": [each.document() for each in self.changes],
            "unchanged": [each.file.model_id for each in self.unchanged],
            "skipped": [each.model_id for each in self.skipped],
            "taken_over": [
                {"model_id": each.file.model_id, "from": each.other_source, "to": each.file.source}
                for each in self.taken_over
            ],
        }


def make_plan(api: Api, files: Sequence[MonitorFile], terminal: Terminal, *, skip_unknown: bool) -> Plan:
    """Compare the files with what is in force. The preview of a change is also what checks it: nothing is changed
    before all of them are known to be valid.

    Raises:
        Failed: for all that is wrong with any of them, one line each.
    """
    changes, unchanged, skipped, errors = [], [], [], []
    for index, file in enumerate(files):
        terminal.progress((index + 1) / len(files), file.model_id)
        try:
            found = _compared(api, file)
        except Refused as err:
            if err.kind == "unknown-model" and skip_unknown:
                skipped.append(file)
            else:
                errors += explain(file, err)
            continue
        if isinstance(found, Change):
            changes.append(found)
        else:
            unchanged.append(found)
    if errors:
        raise Failed("\n".join([*errors, "Nothing was changed."]))
    return Plan(changes, unchanged, skipped)


def explain(file: MonitorFile, err: Refused) -> list[str]:
    """A refusal, by file, line and setting."""
    if err.kind == "unknown-model":
        advice = "no event of it has arrived yet. Send one, or leave such files out: --skip-unknown"
        return [f"{file.where('model_id')} {file.model_id}: {advice}"]
    named = [f"{file.where(str(each.get('field')).partition('.')[0])}: {each.get('reason')}" for each in err.errors]
    return named or [f"{file.path}: {err}"]


def _compared(api: Api, file: MonitorFile) -> Change | Unchanged:
    path = model_path(file.model_id, "monitor")
    monitor = api.get(path)
    settings = differences(settings_of(monitor), file.settings)
    managed = monitor.get("managed_by") or {}
    source = managed.get("source", "")
    other_source = "" if source == file.source else source
    if not settings:
        marked = (source, managed.get("settings")) == (file.source, dict(file.settings))
        return Unchanged(file, monitor["version"], marked, other_source)
    target = {name: value for name, (_, value) in settings.items()}
    preview = api.post(f"{path}:preview", {**target, "version": monitor["version"]})
    newest = next(api.items(f"{path}/versions", 1), {})
    since = {each["setting"]: each for each in managed.get("changed_since", ()) if each["setting"] in settings}
    return Change(file, monitor["version"], settings, since, newest, preview, other_source)


def show(plan: Plan, terminal: Terminal) -> None:
    """For people."""
    for each in plan.changes:
        by_whom = _by_whom(each.last_change)
        terminal.say(
            f"{each.file.model_id} ({each.file.path}), now at version {each.version}{by_whom and ','}{by_whom}"
        )
        width = max(map(len, each.settings))
        for name, (was, target) in each.settings.items():
            since = _since(name, each.changed_since.get(name))
            terminal.say(f"  {name.ljust(width)}  {_shown(name, was)} → {_shown(name, target)}{since}")
        _show_preview(each.preview, terminal)
        terminal.say()
    for other in plan.taken_over:
        terminal.say(
            f"{other.file.model_id} is managed by {other.other_source}. Applied, {other.file.source} manages it "
            "instead: if two repositories apply files of one model, each undoes what the other has set."
        )
    for file in plan.skipped:
        terminal.say(f"left out: {file.model_id} ({file.path}): no event of it has arrived yet")
    terminal.say(f"{len(plan.changes)} of {len(plan.changes) + len(plan.unchanged)} monitors differ from their files.")


def _by_whom(change: dict[str, Any]) -> str:
    actor, at = change.get("actor"), change.get("at")
    return f" by {actor['name']} at {to_the_second(str(at))}" if isinstance(actor, dict) else ""


def _since(name: str, changed: dict[str, Any] | None) -> str:
    """Who has changed a setting since a file was applied."""
    if changed is None:
        return ""
    return f"  (applied as {_shown(name, changed['applied'])}, changed{_by_whom(changed)})"


def _shown(name: str, value: Any) -> str:
    if name.endswith("_seconds") and isinstance(value, int | float) and value:
        return in_words(value)
    if isinstance(value, list):
        return ", ".join(map(str, value))
    if isinstance(value, bool) or value is None:
        return {True: "on", False: "off", None: "none"}[value]
    return f"{value:g}" if isinstance(value, int | float) else str(value)


def _show_preview(preview: dict[str, Any], terminal: Terminal) -> None:
    would, does = preview["preview"], preview["in_force"]
    if not preview["evaluations"]:
        terminal.say("  What it would have opened is not known: no evaluation is kept, or it is off.")
        return
    span = f"from {preview['from'][:10]} to {preview['to'][:10]}"
    rough, used = preview["approximate"], preview["evaluations"]
    terminal.say(
        f"  {span} it would have opened {_incidents(would)}; as it is now: {_incidents(does)}"
        + (f" ({rough:,} of {used:,} evaluations are approximate)" if rough else "")
    )
    for each in would["incidents"][:SHOWN]:
        end = each["resolved_at"] or each["closed_at"]
        until = f"to {end[:16]}Z" if end else "and lasts"
        terminal.say(f"    {each['opened_at'][:16]}Z {until}, {each['severity']}, PSI {number(each['peak_psi'])}")
    if would["incident_count"] > SHOWN:
        terminal.say(f"    and {would['incident_count'] - SHOWN} before")
    if preview.get("segments_left_out"):
        terminal.say(f"  {preview['segments_left_out']}")


def _incidents(replay: dict[str, Any]) -> str:
    count, alerts = replay["incident_count"], replay["alerts"]
    return f"{count} {'incident' if count == 1 else 'incidents'} with {alerts} {'alert' if alerts == 1 else 'alerts'}"
