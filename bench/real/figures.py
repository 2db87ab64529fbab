"""The tables of `make bench-real`, and whether the goals are met."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from statistics import median

from bench.real.streams import Kind
from bench.real.trials import FOUND_WITHIN_DAYS, SHARES, Results
from bench.report import say_table

MOST_INCIDENTS = {Kind.WEEKLY: 0.1, Kind.STABLE: 0.1, Kind.WEATHER: 2.0}
LEAST_FOUND = {Kind.WEEKLY: (0.2, 0.95), Kind.STABLE: (0.2, 0.95), Kind.WEATHER: (0.5, 0.8)}
"""The share of events that is shifted, and on how many days it has to be found within a day."""

LATEST_RAMP_DAY = 23
HEALTHY_WITHIN_HOURS = 24.0
HEADINGS = [
    "rule", "incidents a month", *(f"{share:.0%}: 1 day / 3 days" for share in SHARES), "step found", "resolved early",
    "ramp found on day", "healthy after outage, h", "echoes",
]  # fmt: skip


def show_stream(name: str, kind: Kind, by_rule: Mapping[str, Results]) -> None:
    """Write the table of one stream to standard output."""
    say_table(f"{name} ({kind})", HEADINGS, [[rule, *_cells(results)] for rule, results in by_rule.items()])


def show_goals(streams: Sequence[tuple[str, Kind, Results]]) -> None:
    """Write which goals our rule meets."""
    rows = [
        [goal, name, measured, "met" if met else "not met"]
        for name, kind, results in streams
        for goal, measured, met in goals(kind, results)
    ]
    say_table("Goals of our rule", ["goal", "stream", "measured", ""], rows)


def goals(kind: Kind, results: Results) -> list[tuple[str, str, bool]]:
    """Each goal for a stream of a kind, what was measured, and whether it is met."""
    share, least = LEAST_FOUND[kind]
    found, rate = results.found[share, 1], results.opened / results.months
    healthy = max(results.healthy_after_hours, default=0.0)
    latest = _latest(results.ramp_days)
    return [
        (f"incidents a month ≤ {MOST_INCIDENTS[kind]:g}", f"{rate:.2f}", rate <= MOST_INCIDENTS[kind]),
        (
            f"{share:.0%} found within a day ≥ {least:.0%}",
            _part(found),
            bool(found) and sum(found) >= least * len(found),
        ),
        (
            "lasting step resolved early: never",
            _part(results.steps_resolved_early),
            not any(results.steps_resolved_early),
        ),
        (
            f"ramp found by day {LATEST_RAMP_DAY}",
            _days(results.ramp_days),
            latest is not None and latest <= LATEST_RAMP_DAY,
        ),
        (f"healthy {HEALTHY_WITHIN_HOURS:g} h after an outage", f"{healthy:.1f} h", healthy <= HEALTHY_WITHIN_HOURS),
    ]


def _cells(results: Results) -> list[str]:
    return [
        f"{results.opened / results.months:.2f}",
        *(" / ".join(_part(results.found.get((share, days), [])) for days in FOUND_WITHIN_DAYS) for share in SHARES),
        _part(results.steps_found),
        _part(results.steps_resolved_early),
        _days(results.ramp_days),
        _of(results.healthy_after_hours, lambda hours: f"{median(hours):.1f} (at most {max(hours):.1f})"),
        _of(results.echoes, lambda echoes: f"{sum(echoes)} of {len(echoes)}"),
    ]


def _part(answers: Sequence[bool]) -> str:
    return _of(answers, lambda some: f"{sum(some) / len(some):.0%} ({len(some)})")


def _days(days: Sequence[float | None]) -> str:
    """The days on which ramps were found, in order."""
    found = sorted(day for day in days if day is not None)
    missed = len(days) - len(found)
    return (
        ", ".join(
            [*(f"{day:.0f}" for day in found), *(["never"] if missed == 1 else [f"never: {missed}"] * bool(missed))]
        )
        or "–"
    )


def _latest(days: Sequence[float | None]) -> float | None:
    """The latest day; None where one was not found or there was none."""
    if not days or None in days:
        return None
    return max(day for day in days if day is not None)


def _of(values: Sequence[float], text: Callable[[Sequence[float]], str]) -> str:
    return text(values) if values else "–"
