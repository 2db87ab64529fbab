"""From an evaluation to a grade: what the state machine counts.

A grade has two more shades than a level. `hold` lies between clean and warning: it keeps what is, so that a
PSI that trembles around the threshold neither opens nor resolves anything. `insufficient` freezes the machine.

    psi / warn_at    0 ........ resolve_below ........ 1 .............. critical_at / warn_at ......
    grade                 ok                  hold          warn                           critical
"""

from __future__ import annotations

from enum import StrEnum

from sentryml_common.contracts.evaluation import Evaluation, Level, SignalEvaluation
from sentryml_common.contracts.monitor import MonitorSettings


class Grade(StrEnum):
    """What one evaluation says to the state machine."""

    OK = "ok"
    HOLD = "hold"
    WARN = "warn"
    CRITICAL = "critical"
    INSUFFICIENT = "insufficient"


DRIFTING = (Level.WARN, Level.CRITICAL)
GRADES = {
    Level.WARN: Grade.WARN,
    Level.CRITICAL: Grade.CRITICAL,
    Level.INSUFFICIENT_DATA: Grade.INSUFFICIENT,
}


def grade_of(evaluation: Evaluation, settings: MonitorSettings) -> Grade:
    """Grade an evaluation. The level is the drift service's; what is clean is this monitor's to say."""
    if evaluation.level is Level.OK:
        return Grade.HOLD if _holds(evaluation, settings) else Grade.OK
    return GRADES[evaluation.level]


def psi_of(evaluation: Evaluation) -> float | None:
    """The highest headline PSI of all signals; None when no signal had enough data."""
    return max((psi for found in evaluation.signals if (psi := found.headline_psi) is not None), default=None)


def _holds(evaluation: Evaluation, settings: MonitorSettings) -> bool:
    """Whether a signal is clean neither against its baseline nor against its season."""
    return not all(_is_clean(found, settings.resolve_below) for found in evaluation.signals)


def _is_clean(found: SignalEvaluation, resolve_below: float) -> bool:
    if found.psi is None or found.warn_at is None or found.psi < resolve_below * found.warn_at:
        return True
    return found.season is not None and found.season.psi < resolve_below * found.season.warn_at
