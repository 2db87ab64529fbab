"""Advice as it is answered: one row for each monitor that was tried."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field

from sentryml_common.contracts.evaluation import Signal
from sentryml_common.contracts.internal.recomputation import Recomputed
from sentryml_common.contracts.monitor import MonitorSettings
from sentryml_incidents.domain.advice import Candidate
from sentryml_lifecycle.preview import Replay
from sentryml_lifecycle.regrading import Basis
from sentryml_statistics.comparison.power import smallest_shifts

MONTH = timedelta(days=30)

ADVICE_EXAMPLE: dict[str, Any] = {
    "to": "2026-11-23T21:17:12Z",
    "seconds": 3.1,
    "segments_left_out": None,
    "rows": [
        {
            "settings": {},
            "basis": "stored_psi",
            "from": "2026-10-24T21:17:12Z",
            "evaluations": 8640,
            "exact": 8640,
            "every_seconds": 300,
            "would_be": {"incidents": 4, "alerts": 11, "incidents_a_month": 4.0, "alerts_a_month": 11.0},
            "in_force": {"incidents": 4, "alerts": 11, "incidents_a_month": 4.0, "alerts_a_month": 11.0},
            "smallest_shifts": [{"signal": "score", "psi": 0.13}],
            "trade_off": "",
        },
        {
            "settings": {"baseline_seconds": 302_400.0},
            "basis": "panes",
            "from": "2026-11-20T08:17:12Z",
            "evaluations": 864,
            "exact": 24,
            "every_seconds": 300,
            "would_be": {"incidents": 1, "alerts": 2, "incidents_a_month": 8.5, "alerts_a_month": 17.0},
            "in_force": {"incidents": 0, "alerts": 0, "incidents_a_month": 0.0, "alerts_a_month": 0.0},
            "smallest_shifts": [{"signal": "score", "psi": 0.15}],
            "trade_off": "Data are compared with fewer days: what these lack, such as a weekend, may open incidents.",
        },
    ],
    "not_tried": [
        {"settings": {"baseline_seconds": 1_209_600.0}, "because": "too little of what its windows need is kept"}
    ],
}


class Opened(BaseModel):
    """What a monitor would have opened over the time of a row, and how much that is in 30 days."""

    incidents: int
    alerts: int
    incidents_a_month: float
    alerts_a_month: float


class SmallestShift(BaseModel):
    """The smallest PSI of a signal that an evaluation finds nine times in ten, where the windows count for as many
    independent events as the model's normal days allow (design effect)."""

    signal: Signal
    psi: float


class AdviceRow(BaseModel):
    """One monitor: what it would have opened, and what it would still find."""

    model_config = ConfigDict(populate_by_name=True)

    settings: dict[str, Any] = Field(
        description="What is to be changed of the monitor in force, as `PUT` takes it; empty for this monitor itself."
    )
    basis: Literal["panes", "stored_psi"] = Field(
        description="`panes`: its evaluations were recomputed. `stored_psi`: its thresholds were applied to stored PSI."
    )
    since: datetime = Field(alias="from", description="From when on this can be known.")
    evaluations: int = Field(description="How many were used.")
    exact: int = Field(description="Of these: exactly as the monitor would have found.")
    every_seconds: float = Field(description="How far apart they are at most, where they were recomputed.")
    would_be: Opened
    in_force: Opened = Field(description="The monitor in force, over the same time.")
    smallest_shifts: list[SmallestShift] = Field(description="With as many events as there are now.")
    trade_off: str = Field(description="What is given up, in words.")


class NotTried(BaseModel):
    """A monitor of which nothing can be said, and why."""

    settings: dict[str, Any]
    because: str


class AdviceView(BaseModel):
    """The monitor in force, and others beside it. None is recommended: fewer incidents mean that larger shifts open
    none, or open one later."""

    model_config = ConfigDict(json_schema_extra={"examples": [ADVICE_EXAMPLE]})

    to: datetime = Field(description="Until when.")
    seconds: float = Field(description="How long it took.")
    segments_left_out: str | None = Field(
        description="Where the monitor evaluates segments: that they are no part of this, in words; else null."
    )
    rows: list[AdviceRow]
    not_tried: list[NotTried]


def advice_row(
    candidate: Candidate, replay: Replay, in_force: Replay, found: Recomputed | None, now: datetime
) -> AdviceRow:
    """The row of a candidate that was tried over at least one evaluation."""
    assert replay.began is not None
    from_panes = bool(replay.recomputed)
    return AdviceRow(
        settings=candidate.changed,
        basis="panes" if from_panes else "stored_psi",
        since=replay.began,
        evaluations=replay.used.total(),
        exact=replay.used[Basis.EXACT],
        every_seconds=found.every_seconds if found and from_panes else candidate.settings.every_seconds,
        would_be=_opened(replay, now - replay.began),
        in_force=_opened(in_force, now - replay.began),
        smallest_shifts=_smallest_shifts(candidate.settings, found),
        trade_off=candidate.trade_off,
    )


def _opened(replay: Replay, span: timedelta) -> Opened:
    incidents, a_month = len(replay.incidents), MONTH / span
    return Opened(
        incidents=incidents,
        alerts=replay.alerts,
        incidents_a_month=round(incidents * a_month, 1),
        alerts_a_month=round(replay.alerts * a_month, 1),
    )


def _smallest_shifts(settings: MonitorSettings, found: Recomputed | None) -> list[SmallestShift]:
    """By the newest evaluation that was recomputed with these windows."""
    if found is None or not found.evaluations:
        return []
    effects = {each.signal: each.effect for each in found.design_effects}
    shifts = smallest_shifts(settings, found.evaluations[-1].evaluation, effects)
    return [SmallestShift(signal=each.signal, psi=shift) for each, shift in shifts]
