"""How far a model is from its first comparison: the time that is still missing, and the events."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta

from sentryml_common.contracts.evaluation import Evaluation, InsufficientReason
from sentryml_common.contracts.monitor import Monitor
from sentryml_common.text import duration
from sentryml_lifecycle.text.wording import clock
from sentryml_statistics.time.coverage import warm_up_seconds

MISSING = (InsufficientReason.WARMING_UP, InsufficientReason.TOO_FEW_SAMPLES)


@dataclass(frozen=True, slots=True)
class Progress:
    """How much of something there is, as a part of what is needed (0 to 1), and in words."""

    part: float
    text: str


@dataclass(frozen=True, slots=True)
class WarmUp:
    """What is still missing, and what follows from it."""

    progress: tuple[Progress, ...]
    outlook: str


def warm_up(monitor: Monitor, latest: Evaluation | None, first_seen: datetime, now: datetime) -> WarmUp | None:
    """How far a watched model is; None once it is compared, or where other things are missing than time and events."""
    if not monitor.enabled or (latest is not None and latest.reason not in MISSING):
        return None
    since = first_seen if monitor.kept_since is None else max(first_seen, monitor.kept_since)
    needed = timedelta(seconds=warm_up_seconds(monitor))
    events = _events(monitor, latest)
    return WarmUp((_time(monitor, now - since, needed), *events), _outlook(monitor, since + needed, now, events))


def _time(monitor: Monitor, passed: timedelta, needed: timedelta) -> Progress:
    """The current window has to be there, and before it a part of the baseline."""
    passed, current = max(timedelta(0), min(passed, needed)), timedelta(seconds=monitor.current_seconds)
    whole = duration(timedelta(seconds=monitor.baseline_seconds))
    before = f", and before it {duration(needed - current)} of the baseline of {whole}" if needed > current else ""
    windows = f"the current window of {duration(current)}{before}"
    part = passed / needed if needed else 1.0
    return Progress(part, f"{duration(passed)} of {duration(needed)}: {windows}")


def _events(monitor: Monitor, latest: Evaluation | None) -> tuple[Progress, ...]:
    """Both windows, as the last evaluation has counted them; every event counts for each signal."""
    if latest is None or not latest.signals:
        return ()
    counted, needed = latest.signals[0], monitor.samples_needed
    counts = (("baseline", counted.baseline_count), ("current window", counted.current_count))
    return tuple(
        Progress(min(1.0, count / needed), f"{count:,} of {needed:,} events in the {window}")
        for window, count in counts
    )


def _outlook(monitor: Monitor, begins: datetime, now: datetime, events: tuple[Progress, ...]) -> str:
    if begins > now:
        there = "" if all(each.part >= 1 for each in events) else ", if enough events have come by then"
        return f"First comparison about {clock(begins, now)}{there}."
    if any(each.part < 1 for each in events):
        return (
            "It is compared as soon as both windows hold enough events. Longer windows hold more; the monitor says how "
            "many are enough."
        )
    return f"First comparison within {duration(timedelta(seconds=monitor.every_seconds))}."
