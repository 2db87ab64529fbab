"""From an evaluation to a grade: what the state machine counts.

A grade has two more shades than a level. `hold` lies between clean and warning: it keeps what is, so that a
PSI that trembles around the threshold neither opens nor resolves anything. `insufficient` freezes the machine.

    psi / warn_at    0 ........ resolve_below ........ 1 .............. critical_at / warn_at ......
    grade                 ok                  hold          warn                           critical
"""

from __future__ import annotations

from enum import StrEnum

from sentryml_common.contracts.evaluation import Evaluation, Level, NoSeason, SignalEvaluation
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


def is_below_critical(evaluation: Evaluation, settings: MonitorSettings) -> bool:
    """Whether every signal is below critical by the margin that clean has below warn: a PSI that trembles around the
    critical threshold is critical all the time."""
    return all(_is_below_critical(found, settings.resolve_below) for found in evaluation.all_signals)


def psi_of(evaluation: Evaluation) -> float | None:
    """The highest headline PSI of all signals; None when no signal had enough data. Of segments, of those that drift:
    in a small one that does not, a high PSI is chance."""
    found = (*evaluation.signals, *(each for each in evaluation.segments if each.level in DRIFTING))
    return max((psi for each in found if (psi := each.headline_psi) is not None), default=None)


def _holds(evaluation: Evaluation, settings: MonitorSettings) -> bool:
    """Whether a signal is clean neither against its baseline nor against its season."""
    return not all(_is_clean(found, settings.resolve_below) for found in evaluation.all_signals)


def _is_clean(found: SignalEvaluation, part: float) -> bool:
    against_season = found.season is not None and _is_below(found.season.psi, found.season.warn_at, part)
    return against_season or _is_below(found.psi, found.warn_at, part)


def _is_below_critical(found: SignalEvaluation, part: float) -> bool:
    if found.no_season is NoSeason.NOT_YET:
        return True  # a warning at most, whatever the PSI
    against_season = found.season is not None and _is_below(found.season.psi, found.season.critical_at, part)
    return against_season or _is_below(found.psi, found.critical_at, part)


def _is_below(psi: float | None, threshold: float | None, part: float) -> bool:
    return psi is None or threshold is None or psi < part * threshold
