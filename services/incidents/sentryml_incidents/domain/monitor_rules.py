"""What a person may not ask of a monitor: settings that contradict each other, all of them at once.

The contract's own rules say what no monitor ever was. Those here are stricter, since they bind only what is asked for
from now on: a monitor that was published under milder rules stays in force until someone changes it.
"""

from __future__ import annotations

from sentryml_common.contracts.monitor import DAY, Contradiction, MonitorValues, contradictions

LONGEST_REACH_SECONDS = 366 * DAY


def all_contradictions(values: MonitorValues, coarse_seconds: float | None = None) -> tuple[Contradiction, ...]:
    """Everything that does not go together, with what to change. `coarse_seconds` is how long the coarse panes of the
    model are; None: not known yet."""
    found = (
        _reach(values),
        _samples(values),
        _coverage(values),
        _confirmed_too_late(values, "confirm_warn"),
        _confirmed_too_late(values, "confirm_critical"),
        _resolving(values),
        _reopening(values),
        _segments(values, coarse_seconds),
    )
    return (*contradictions(values), *(each for each in found if each is not None))


def _reach(values: MonitorValues) -> Contradiction | None:
    if values.reach_seconds <= LONGEST_REACH_SECONDS:
        return None
    return Contradiction(
        ("baseline_seconds", "current_seconds"),
        f"baseline_seconds and current_seconds reach back {values.reach_seconds / DAY:g} days together; events are "
        f"kept for {LONGEST_REACH_SECONDS / DAY:g} at most: shorten one of the windows",
    )


def _samples(values: MonitorValues) -> Contradiction | None:
    if values.min_samples is None or values.min_samples >= values.bins:
        return None
    return Contradiction(
        ("min_samples", "bins"),
        f"min_samples ({values.min_samples}) is below bins ({values.bins}): a bin would hold less than one event; "
        "raise min_samples (null means 5 per bin) or lower bins",
    )


def _coverage(values: MonitorValues) -> Contradiction | None:
    covered = values.min_baseline_coverage * values.baseline_seconds
    if values.min_baseline_coverage == 0 or covered >= values.every_seconds:
        return None
    return Contradiction(
        ("min_baseline_coverage", "baseline_seconds"),
        f"min_baseline_coverage ({values.min_baseline_coverage:g}) asks for {covered:g} s of baseline, less than the "
        f"time between two evaluations ({values.every_seconds:g} s), so it asks for nothing: raise it, or set it to 0",
    )


def _confirmed_too_late(values: MonitorValues, field: str) -> Contradiction | None:
    needed = getattr(values, field) * values.every_seconds
    if needed <= values.reach_seconds:
        return None
    return Contradiction(
        (field, "every_seconds"),
        f"{field} ({getattr(values, field)}) evaluations, one every {values.every_seconds:g} s, take "
        f"{needed:g} s; after {values.reach_seconds:g} s what drifted is the baseline itself, and "
        f"nothing would ever be confirmed: lower {field}, evaluate more often, or lengthen the windows",
    )


def _resolving(values: MonitorValues) -> Contradiction | None:
    if values.resolve_after_seconds is None or values.resolve_after_seconds <= values.reach_seconds:
        return None
    return Contradiction(
        ("resolve_after_seconds", "baseline_seconds"),
        f"resolve_after_seconds ({values.resolve_after_seconds:g}) is longer than both windows together "
        f"({values.reach_seconds:g} s): nothing of the drift would be left in them long before; shorten it, or set it "
        "to null for 10 % of the current window",
    )


def _reopening(values: MonitorValues) -> Contradiction | None:
    if values.reopen_seconds is None or values.reopen_seconds <= values.close_after_seconds:
        return None
    return Contradiction(
        ("reopen_seconds", "close_after_seconds"),
        f"reopen_seconds ({values.reopen_seconds:g}) is longer than close_after_seconds ({values.close_after_seconds:g}"
        "): the incident would be closed before it could reopen; shorten the first or lengthen the second",
    )


def _segments(values: MonitorValues, coarse_seconds: float | None) -> Contradiction | None:
    if not values.evaluate_segments or coarse_seconds is None or values.current_seconds >= coarse_seconds:
        return None
    return Contradiction(
        ("evaluate_segments", "current_seconds"),
        f"evaluate_segments is on, and current_seconds ({values.current_seconds:g}) is shorter than {coarse_seconds:g} "
        "s: segments are counted by coarse panes of that length, so there would be nothing to compare; lengthen the "
        "current window, or switch evaluate_segments off",
    )
