"""How many predictions come, in words: beside drift, and on the page. It is never an alert of its own."""

from __future__ import annotations

from datetime import timedelta

from sentryml_common.contracts.evaluation import ActivityEvaluation
from sentryml_common.contracts.monitor import DAY
from sentryml_common.text import duration
from sentryml_lifecycle.text.number_format import share

HALF, DOUBLE = 0.5, 2.0
PERIODS = {7 * DAY: "last week", DAY: "yesterday"}


def volume(activity: ActivityEvaluation | None) -> str | None:
    """Where the current window holds at most half or at least twice as many predictions as in the same time of before:
    that in a sentence without an end."""
    ratio = None if activity is None else activity.volume_ratio
    if activity is None or ratio is None or HALF < ratio < DOUBLE:
        return None
    name = PERIODS.get(round(activity.period_seconds))
    then = name or f"{duration(timedelta(seconds=activity.period_seconds))} before"
    many = f"{ratio:.1f} times as many" if ratio >= DOUBLE else f"{share(ratio)} as many"
    return f"volume: {many} predictions as at the same time {then}"
