"""What an evaluation was compared with, in sentences: normal time that was left out, and the seasonal check."""

from __future__ import annotations

from datetime import timedelta

from sentryml_common.contracts.evaluation import (
    Evaluation,
    InsufficientReason,
    Level,
    NoSeason,
    Season,
    SignalEvaluation,
)
from sentryml_common.contracts.monitor import MonitorSettings
from sentryml_common.text import duration
from sentryml_lifecycle.text.season_text import of_drift, same_time
from sentryml_lifecycle.text.value_text import value_notes
from sentryml_lifecycle.text.wording import between
from sentryml_statistics.comparison.power import smallest_shifts

NO_SEASON = {
    NoSeason.BASELINE_TOO_SHORT: "the baseline is shorter than a season",
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
    sentences = (sentence for sentences in signals for sentence in sentences)
    return (*_left_out(evaluation), *sentences, *value_notes(evaluation))


def what_is_seen(monitor: MonitorSettings, evaluation: Evaluation) -> tuple[str, ...]:
    """Of each signal that was compared, the smallest shift that is found nine times in ten with as many events."""
    return tuple(
        f"With {found.current_count:,} events in the current window and {found.baseline_count:,} in the baseline, a "
        f"shift of the {found.signal} by PSI {shift:.2g} is found nine times in ten."
        for found, shift in smallest_shifts(monitor, evaluation)
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
    """What is not in the reasons of a drifting signal, which say what its season says."""
    if found.reason is not None:
        return (f"{_name(found)}: not compared: {NOT_JUDGED[found.reason]}.",) if judged else ()
    if found.no_season is not None and of_drift(found) is None:
        return (f"{_name(found)}: not compared with an earlier season: {NO_SEASON[found.no_season]}.",)
    return (_explained(found, found.season),) if found.season is not None and found.level is Level.OK else ()


def _explained(found: SignalEvaluation, season: Season) -> str:
    both = f"PSI {season.psi:.2f} against {same_time(season)}; {found.psi:.2f} against the baseline"
    verdict = "the season explains the difference" if found.explained_by_season else "neither is much"
    return f"{_name(found)}: {both}: {verdict}."


def _name(found: SignalEvaluation) -> str:
    return found.signal.value.capitalize()
