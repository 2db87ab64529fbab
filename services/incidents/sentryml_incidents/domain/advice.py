"""What might be quieter than a monitor: a few settings beside it, each with what it costs.

None of them is a recommendation: fewer incidents mean that larger shifts open none, or open one later.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

from pydantic import ValidationError

from sentryml_common.contracts.monitor import DAY, MonitorSettings
from sentryml_common.text import duration
from sentryml_incidents.domain.monitor_rules import all_contradictions

TIMES_THRESHOLDS = (1.5, 2.0)
TIMES_WINDOWS = ((1.0, 2.0), (2.0, 1.0), (0.5, 1.0), (0.5, 0.5))
"""Baseline, current window."""


@dataclass(frozen=True, slots=True)
class Candidate:
    """Settings to try: those in force with some changed, and what is given up by it."""

    changed: dict[str, Any]
    settings: MonitorSettings
    trade_off: str


def candidates(in_force: MonitorSettings) -> tuple[Candidate, ...]:
    """The settings in force, and after them those that may be tried instead; without any that do not go together."""
    found = (_candidate(in_force, changed, trade_off) for changed, trade_off in _changes(in_force))
    return (Candidate({}, in_force, ""), *(each for each in found if each is not None))


def _candidate(in_force: MonitorSettings, changed: dict[str, Any], trade_off: str) -> Candidate | None:
    try:
        settings = MonitorSettings.model_validate(in_force.model_dump() | changed)
    except ValidationError:
        return None
    return None if all_contradictions(settings) else Candidate(changed, settings, trade_off)


def _changes(in_force: MonitorSettings) -> Iterator[tuple[dict[str, Any], str]]:
    for times in TIMES_THRESHOLDS:
        changed = {name: float(f"{getattr(in_force, name) * times:.6g}") for name in ("warn", "critical")}
        yield (
            changed,
            (f"A shift below PSI {changed['warn']:g} opens nothing. If it lasts, it becomes part of the baseline."),
        )
    yield _season(in_force)
    for of_baseline, of_current in TIMES_WINDOWS:
        baseline, current = in_force.baseline_seconds * of_baseline, in_force.current_seconds * of_current
        changed = {"baseline_seconds": baseline, "current_seconds": current}
        changed = {name: value for name, value in changed.items() if value != getattr(in_force, name)}
        yield changed, " ".join(_of_windows(in_force, baseline, current))


def _season(in_force: MonitorSettings) -> tuple[dict[str, Any], str]:
    if in_force.season_seconds is None:
        return {
            "season_seconds": 7.0 * DAY
        }, "A fault that comes back at the same time each week is taken for a rhythm."
    season = duration(timedelta(seconds=in_force.season_seconds))
    return {"season_seconds": None}, (
        f"Rather louder: what comes back every {season} alerts as well, so that a fault which does is found."
    )


def _of_windows(in_force: MonitorSettings, baseline: float, current: float) -> Iterator[str]:
    if current > in_force.current_seconds:
        yield "A shift is found later, since it has to fill more of the window."
    if current < in_force.current_seconds:
        yield "A shift is found sooner; a small one needs more events."
    if baseline > in_force.baseline_seconds:
        yield "Data are compared with older ones: a slow change shows more."
    if baseline < in_force.baseline_seconds:
        yield "Data are compared with fewer days: what these lack, such as a weekend, may open incidents."
    season = in_force.season_seconds
    if season is not None and baseline < season <= in_force.baseline_seconds:
        yield f"The seasonal check needs a baseline of {duration(timedelta(seconds=season))}: there is none then."
