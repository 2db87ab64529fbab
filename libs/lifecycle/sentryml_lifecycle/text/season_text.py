"""The seasonal check in words: the same on pages and in messages."""

from __future__ import annotations

from datetime import timedelta

from sentryml_common.contracts.evaluation import NoSeason, Season, SignalEvaluation
from sentryml_common.contracts.monitor import DAY
from sentryml_common.text import duration

WEEK = 7 * DAY
NOT_YET = "at most a warning, since there is no earlier season of this model to compare with yet"


def of_drift(found: SignalEvaluation) -> str | None:
    """What the season says of a signal that drifts: the second number, or that there is none yet."""
    if found.season is not None:
        return f"PSI {found.season.psi:.2f} against {same_time(found.season)}"
    return NOT_YET if found.no_season is NoSeason.NOT_YET else None


def same_time(season: Season) -> str:
    """`the same time last week`, `the same time 1 and 2 weeks before`."""
    unit = {WEEK: "week", DAY: "day"}.get(round(season.period_seconds))
    if unit is None:
        return f"the same time {duration(timedelta(seconds=season.period_seconds))} before"
    if season.periods == (1,):
        return "the same time last week" if unit == "week" else "the same time yesterday"
    numbers = [str(each) for each in season.periods]
    listed = " and ".join(filter(None, (", ".join(numbers[:-1]), numbers[-1])))
    return f"the same time {listed} {unit}s before"
