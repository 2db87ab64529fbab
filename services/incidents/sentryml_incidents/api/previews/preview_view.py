"""A preview as it is answered: a changed monitor beside the one in force, and what it all rests on."""

from __future__ import annotations

from datetime import datetime
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field

from sentryml_common.contracts.evaluation import Signal
from sentryml_common.contracts.internal.recomputation import Recomputed
from sentryml_common.contracts.monitor import MonitorSettings
from sentryml_common.contracts.transition import Severity, State
from sentryml_lifecycle.events.on_monitor_change import changes, in_words
from sentryml_lifecycle.preview import Replay
from sentryml_lifecycle.regrading import CANNOT, Basis, segments_left_out
from sentryml_statistics.comparison.power import smallest_shifts

INCIDENTS_SHOWN = 100

NEVER_REPLAYED = (
    "What people did (acknowledge, close) and slow drift are not replayed, and the replay begins with nothing live."
)

PREVIEW_EXAMPLE: dict[str, Any] = {
    "changes": "current_seconds 86400 → 43200",
    "basis": "panes_and_stored_psi",
    "recomputed": 145,
    "recomputed_from": "2026-11-23T09:15:00Z",
    "stored_psi_because": "older panes are no longer kept, or not as finely as these windows need them",
    "from": "2026-11-19T09:15:00Z",
    "to": "2026-11-23T21:17:12Z",
    "evaluations": 1297,
    "exact": 24,
    "approximate": 1273,
    "unknown": 0,
    "approximate_because": ["current_seconds"],
    "notes": [
        "current_seconds: the stored PSI is of another current window.",
        "121 recomputed evaluations have windows up to a tenth shorter: of old panes only coarse ones are left.",
        NEVER_REPLAYED,
    ],
    "segments_left_out": None,
    "preview": {
        "incident_count": 1,
        "alerts": 2,
        "incidents": [
            {
                "opened_at": "2026-11-23T10:05:00Z",
                "severity": "critical",
                "state": "resolved",
                "peak_psi": 0.574,
                "peak_at": "2026-11-23T12:30:00Z",
                "resolved_at": "2026-11-23T19:40:00Z",
                "closed_at": None,
                "reopened": 0,
                "alerts": 2,
            }
        ],
    },
    "in_force": {"incident_count": 0, "alerts": 0, "incidents": []},
    "sensitivity": [
        {
            "signal": "score",
            "baseline_count": 6370,
            "current_count": 455,
            "smallest_shift": 0.11,
            "independent_events": 140,
        }
    ],
}


class WouldBeView(BaseModel):
    """An incident that would have been opened."""

    model_config = ConfigDict(from_attributes=True)

    opened_at: datetime
    severity: Severity = Field(description="The highest it would have reached.")
    state: State = Field(description="Where it would stand now.")
    peak_psi: float
    peak_at: datetime
    resolved_at: datetime | None
    closed_at: datetime | None
    reopened: int
    alerts: int


class ReplayView(BaseModel):
    """What one monitor would have done."""

    incident_count: int
    alerts: int = Field(description="Messages that would have been sent.")
    incidents: list[WouldBeView] = Field(description=f"Newest first, at most {INCIDENTS_SHOWN}.")


class SensitivityView(BaseModel):
    """Which shift of one signal the changed monitor would find, with as many events as there are now."""

    signal: Signal
    baseline_count: int
    current_count: int
    smallest_shift: float = Field(description="The smallest PSI that an evaluation finds nine times in ten.")
    independent_events: int | None = Field(
        description="How many independent events the current window is worth, by how much days of normal time differ "
        "from each other; null with fewer than four such days."
    )


class PreviewView(BaseModel):
    """A changed monitor beside the one in force, over the same history."""

    model_config = ConfigDict(populate_by_name=True, json_schema_extra={"examples": [PREVIEW_EXAMPLE]})

    changes: str = Field(description="What would change, in words; empty if nothing would.")
    basis: Literal["panes", "stored_psi", "panes_and_stored_psi"] = Field(
        description="What the changed monitor was applied to. `panes`: all evaluations were recomputed from the counts "
        "that are kept. `stored_psi`: its thresholds were applied to the PSI that was found then."
    )
    recomputed: int = Field(description="How many of the evaluations were recomputed from panes.")
    recomputed_from: datetime | None = Field(
        description="From when on panes were used. Evaluations of before are by stored PSI. Null: none was recomputed."
    )
    stored_psi_because: str | None = Field(
        description="Why stored PSI was used, for all evaluations or for those before `recomputed_from`, in words; "
        "null if panes reach back over the whole history."
    )
    since: datetime = Field(alias="from", description="From when on evaluations were used.")
    to: datetime = Field(description="Until when.")
    evaluations: int = Field(description="How many were used for the changed monitor.")
    exact: int = Field(description="Of these: exactly as the changed monitor would have found.")
    approximate: int = Field(
        description="Of these: stored PSI was used instead of a recomputed one, or a window was a little shorter, or "
        "the baseline would have been held at other times."
    )
    unknown: int = Field(description="Of these: there was too little data then, and the changed monitor asks for less.")
    approximate_because: list[str] = Field(description="The settings that stored PSI cannot answer for.")
    notes: list[str] = Field(description="The same in words.")
    segments_left_out: str | None = Field(
        description="Where one of the two monitors evaluates segments: that they are no part of this; else null."
    )
    preview: ReplayView = Field(description="The changed monitor.")
    in_force: ReplayView = Field(description="The monitor in force, by stored PSI.")
    sensitivity: list[SensitivityView] = Field(
        description="What the changed monitor can see now, by signal; empty if no processor answers."
    )


def preview_view(
    settings: tuple[MonitorSettings, MonitorSettings],
    span: tuple[datetime, datetime],
    changed: Replay,
    in_force: Replay,
    stored_psi_because: str | None,
    found: Recomputed | None,
) -> PreviewView:
    """The answer; `settings` are those in force and the changed ones, `found` is what was recomputed with these."""
    because, recomputed = sorted(changed.approximate), changed.recomputed.total()
    left_out = segments_left_out(*settings)
    return PreviewView(
        changes=in_words(changes(*settings)),
        basis=_basis(recomputed, changed.used.total()),
        recomputed=recomputed,
        recomputed_from=changed.recomputed_from,
        stored_psi_because=stored_psi_because,
        since=span[0],
        to=span[1],
        evaluations=changed.used.total(),
        exact=changed.used[Basis.EXACT],
        approximate=changed.used[Basis.APPROXIMATE],
        unknown=changed.used[Basis.UNKNOWN],
        approximate_because=because,
        notes=[
            *(f"{name}: {CANNOT[name]}." for name in because),
            *_unknown(changed),
            *_of_panes(changed, settings[1], found),
            NEVER_REPLAYED,
            *([left_out] if left_out else []),
        ],
        segments_left_out=left_out,
        preview=_replay_view(changed),
        in_force=_replay_view(in_force),
        sensitivity=sensitivity(settings[1], found),
    )


def sensitivity(monitor: MonitorSettings, found: Recomputed | None) -> list[SensitivityView]:
    """What a monitor can see, by the newest evaluation that was recomputed with it."""
    if found is None or not found.evaluations:
        return []
    effects = {each.signal: each.effect for each in found.design_effects}
    return [
        SensitivityView(
            signal=each.signal,
            baseline_count=each.baseline_count,
            current_count=each.current_count,
            smallest_shift=shift,
            independent_events=round(each.current_count / effects[each.signal]) if each.signal in effects else None,
        )
        for each, shift in smallest_shifts(monitor, found.evaluations[-1].evaluation)
    ]


def _basis(recomputed: int, used: int) -> Literal["panes", "stored_psi", "panes_and_stored_psi"]:
    if recomputed == 0:
        return "stored_psi"
    return "panes" if recomputed == used else "panes_and_stored_psi"


def _unknown(changed: Replay) -> list[str]:
    notes, unknown = [], changed.used[Basis.UNKNOWN]
    if unknown:
        notes.append(
            f"{unknown} evaluations had too little data then, and might have had enough for the changed monitor."
        )
    if changed.other_baselines:
        notes.append(
            f"{changed.other_baselines} evaluations: the stored PSI is of a baseline that the changed monitor would "
            "have held otherwise, since drift would have been confirmed at other times."
        )
    return notes


def _of_panes(changed: Replay, settings: MonitorSettings, found: Recomputed | None) -> list[str]:
    notes, shorter = [], changed.recomputed[Basis.APPROXIMATE]
    if shorter:
        notes.append(
            f"{shorter} recomputed evaluations have windows up to a tenth shorter, since of old panes only coarse ones "
            "are left, or leave out drift of before the first one."
        )
    if changed.recomputed and found is not None and found.every_seconds > settings.every_seconds:
        notes.append(
            f"Recomputed evaluations are up to {found.every_seconds:g} s apart: all of them would take too long."
        )
    return notes


def _replay_view(replay: Replay) -> ReplayView:
    newest = replay.incidents[-INCIDENTS_SHOWN:]
    shown = [WouldBeView.model_validate(each) for each in reversed(newest)]
    return ReplayView(incident_count=len(replay.incidents), alerts=replay.alerts, incidents=shown)
