"""What an evaluation was compared with, in sentences: normal time that was left out, and the seasonal check."""

from __future__ import annotations

from datetime import timedelta

from sentryml_common.contracts.evaluation import Evaluation, InsufficientReason, NoSeason, Season, SignalEvaluation
from sentryml_common.contracts.monitor import DAY, MonitorSettings
from sentryml_common.text import duration
from sentryml_lifecycle.wording import between
from sentryml_statistics.noise import alpha_for
from sentryml_statistics.power import smallest_shift

WEEK = 7 * DAY
NO_SEASON = {
    NoSeason.BASELINE_TOO_SHORT: "the baseline is shorter than a season",
    NoSeason.NOT_YET: "there is no earlier season of this model yet, so the level is at most a warning",
    NoSeason.NOT_NORMAL: "the same time of earlier seasons was not normal",
    NoSeason.TOO_FEW_SAMPLES: "the same time of earlier seasons had too few events to tell",
}
NOT_JUDGED = {
    InsufficientReason.WARMING_UP: "its baseline is still too short",
    InsufficientReason.TOO_FEW_SAMPLES: "too few events",
    InsufficientReason.NO_DATA: "no events",
    InsufficientReason.NOT_SENT: "never sent by this model",
}


def compared_with(evaluation: Evaluation) -> tuple[str, ...]:
    """All there is to say beside the windows and their PSI."""
    judged = any(found.reason is None for found in evaluation.signals)
    signals = (_of_signal(found, judged) for found in evaluation.signals)
    return (*_left_out(evaluation), *(sentence for sentences in signals for sentence in sentences))


def what_is_seen(monitor: MonitorSettings, evaluation: Evaluation) -> tuple[str, ...]:
    """Of each signal that was compared, the smallest shift that is found nine times in ten with as many events."""
    judged = [found for found in evaluation.signals if found.reason is None]
    if not judged:
        return ()
    alpha = alpha_for(monitor, len(judged))
    return tuple(_seen(found, alpha, monitor.warn) for found in judged)


def _seen(found: SignalEvaluation, alpha: float, warn: float) -> str:
    n, m = found.current_count, found.baseline_count
    shift = smallest_shift(m, n, max(2, len(found.bins)), alpha, warn)
    return (
        f"With {n:,} events in the current window and {m:,} in the baseline, a shift of the {found.signal} by PSI "
        f"{shift:.2g} is found nine times in ten."
    )


def _left_out(evaluation: Evaluation) -> tuple[str, ...]:
    """What is missing from the baseline, since data drifted then."""
    gaps = evaluation.baseline.left_out
    if not gaps:
        return ()
    spans = "; ".join(" to ".join(between(gap.start, gap.end)) for gap in gaps)
    counted = duration(timedelta(seconds=evaluation.baseline.seconds))
    return (f"Left out of the baseline, since data drifted: {spans}. {counted} of normal time are in it.",)


def _of_signal(found: SignalEvaluation, judged: bool) -> tuple[str, ...]:
    if found.reason is not None:
        return (f"{_name(found)}: not compared: {NOT_JUDGED[found.reason]}.",) if judged else ()
    if found.no_season is not None:
        return (f"{_name(found)}: not compared with an earlier season: {NO_SEASON[found.no_season]}.",)
    return (_seasonal(found, found.season),) if found.season is not None else ()


def _seasonal(found: SignalEvaluation, season: Season) -> str:
    both = f"PSI {season.psi:.2f} against {_when(season)}; {found.psi:.2f} against the baseline"
    verdict = "the season explains the difference" if found.explained_by_season else "it differs from both"
    return f"{_name(found)}: {both}: {verdict}."


def _when(season: Season) -> str:
    """`the same time last week`, `the same time 1 and 2 weeks before`."""
    unit = {WEEK: "week", DAY: "day"}.get(round(season.period_seconds))
    if unit is None:
        return f"the same time {duration(timedelta(seconds=season.period_seconds))} before"
    if season.periods == (1,):
        return "the same time last week" if unit == "week" else "the same time yesterday"
    numbers = [str(each) for each in season.periods]
    listed = " and ".join(filter(None, (", ".join(numbers[:-1]), numbers[-1])))
    return f"the same time {listed} {unit}s before"


def _name(found: SignalEvaluation) -> str:
    return found.signal.value.capitalize()
