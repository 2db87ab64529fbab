"""Pictures of a backtest as inline SVG: the PSI over time with its incidents, events a day, bins before and then.

Colours are classes that the page's style sheet sets, for light and dark. Colour is never the only sign: incidents are
numbered, as in the table.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import UTC, datetime, timedelta
from html import escape
from itertools import groupby, pairwise
from math import sqrt

from sentryml.command.backtest.outcomes import Opened, Outcome, Point, Tried
from sentryml_common.contracts.evaluation import Bin, SignalEvaluation
from sentryml_common.contracts.monitor import DAY
from sentryml_common.text import cut
from sentryml_lifecycle.text.number_format import bin_name, share

WIDTH, LEFT, RIGHT = 920.0, 46.0, 8.0
PSI_HEIGHT, EVENTS_HEIGHT, STRIP_HEIGHT = 190.0, 50.0, 14.0
TICKS = (0.0, 0.1, 0.2, 0.5, 1.0, 2.0, 5.0, 10.0)
LEAST_TOP = 0.3
MOST_POINTS = 900
BINS_SHOWN = 14
LONGEST_NAME = 34


class Axis:
    """Time from left to right."""

    def __init__(self, start: datetime, end: datetime) -> None:
        self.start, self.seconds = start.timestamp(), max(1.0, (end - start).total_seconds())

    def of(self, at: float) -> float:
        """Where a time is."""
        return LEFT + (WIDTH - LEFT - RIGHT) * min(1.0, max(0.0, (at - self.start) / self.seconds))

    def days(self) -> list[tuple[float, str]]:
        """At most ten days, with their names."""
        first = int(self.start // DAY) + 1
        last = int((self.start + self.seconds) // DAY)
        step = max(1, -(-(last - first + 1) // 9))
        return [(day * DAY, f"{datetime.fromtimestamp(day * DAY, UTC):%-d %b}") for day in range(first, last + 1, step)]


def psi_picture(tried: Tried, outcome: Outcome) -> str:
    """The highest PSI of each evaluation, the thresholds in force, and the incidents."""
    axis, highest = Axis(tried.start, tried.end), max([LEAST_TOP, *(point.psi for point in outcome.points)])
    top = 14.0

    def y(psi: float) -> float:
        return top + (PSI_HEIGHT - top - 18.0) * (1 - sqrt(min(psi, highest) / highest))

    bottom = y(0.0)
    parts = [_bands(axis, tried, outcome.incidents, top, bottom, numbered=True)]
    for tick in (tick for tick in TICKS if tick <= highest):
        parts.append(_line("grid", LEFT, y(tick), WIDTH - RIGHT, y(tick)))
        parts.append(_text(LEFT - 6, y(tick) + 4, f"{tick:g}", "end"))
    parts += [_text(axis.of(at), PSI_HEIGHT - 2, name, "middle") for at, name in axis.days()]
    shown = _thinned(outcome.points)
    parts.append(_path("threshold warn", [(axis.of(each.at), y(each.warn_at)) for each in shown]))
    parts.append(_path("threshold critical", [(axis.of(each.at), y(each.critical_at)) for each in shown]))
    for run in _runs(outcome.points):
        parts.append(_path("psi", [(axis.of(each.at), y(each.psi)) for each in run]))
    return _svg(PSI_HEIGHT, "PSI over time, with thresholds and incidents", parts)


def events_picture(tried: Tried) -> str:
    """Events a day."""
    axis, most = Axis(tried.start, tried.end), max(tried.per_day.values())
    bottom = EVENTS_HEIGHT - 4
    parts = [_text(LEFT - 6, 12, f"{most:,}", "end"), _text(LEFT - 6, EVENTS_HEIGHT - 1, "0", "end")]
    for day, count in tried.per_day.items():
        begin, end = axis.of(day * DAY), axis.of((day + 1) * DAY)
        height = (bottom - 4) * count / most
        parts.append(_box("events", begin, bottom - height, max(0.5, end - begin - 0.6), height))
    return _svg(EVENTS_HEIGHT, "events a day", parts)


def strip(tried: Tried, outcome: Outcome) -> str:
    """When incidents of a variant were live, in one line that takes the width there is."""
    bands = _bands(Axis(tried.start, tried.end), tried, outcome.incidents, 0, STRIP_HEIGHT, numbered=False)
    ground = _box("ground", LEFT, 0, WIDTH - LEFT - RIGHT, STRIP_HEIGHT)
    box = f"{LEFT:g} 0 {WIDTH - LEFT - RIGHT:g} {STRIP_HEIGHT:g}"
    return f'<svg class="strip" viewBox="{box}" preserveAspectRatio="none" aria-hidden="true">{ground}{bands}</svg>'


def bins_picture(found: SignalEvaluation) -> str:
    """The shares of the bins, of the baseline and of then."""
    shown = sorted(sorted(found.bins, key=lambda each: -each.contribution)[:BINS_SHOWN], key=found.bins.index)
    most = max([0.01, *(max(each.baseline_share, each.current_share) for each in shown)])
    parts, row, left, wide = [], 26.0, 250.0, WIDTH - 250.0 - 130.0
    for number, each in enumerate(shown):
        at = number * row
        parts.append(_text(left - 8, at + 16, cut(bin_name(found.signal, each), LONGEST_NAME), "end"))
        parts.append(_box("before", left, at + 3, wide * each.baseline_share / most, 9))
        parts.append(_box("then", left, at + 13, wide * each.current_share / most, 9))
        parts.append(_text(WIDTH - 120, at + 16, _shares(each), "start"))
    return _svg(len(shown) * row, "shares of the bins, of the baseline and at the highest PSI", parts)


def _shares(each: Bin) -> str:
    return f"{share(each.baseline_share)} → {share(each.current_share)}"


def _bands(axis: Axis, tried: Tried, incidents: Iterable[Opened], top: float, bottom: float, *, numbered: bool) -> str:
    parts = []
    for number, each in enumerate(incidents, 1):
        begin = axis.of(each.incident.opened_at.timestamp())
        end = axis.of((each.until or tried.end).timestamp())
        parts.append(_box(f"band {each.incident.severity}", begin, top, max(2.0, end - begin), bottom - top))
        if numbered:
            parts.append(_text(begin + 3, top - 3, f"#{number}", "start"))
    return "".join(parts)


def _thinned(points: Sequence[Point]) -> list[Point]:
    """At most MOST_POINTS: of each group the one with the highest PSI."""
    size = max(1, -(-len(points) // MOST_POINTS))
    groups = (points[first : first + size] for first in range(0, len(points), size))
    return [max(group, key=lambda each: each.psi) for group in groups]


def _runs(points: Sequence[Point]) -> Iterable[list[Point]]:
    """The thinned points, apart where nothing could be seen for long."""
    thinned = _thinned(points)
    gap = 5 * _usual_gap(thinned)
    number, last = 0, 0.0

    def run_of(point: Point) -> int:
        nonlocal number, last
        number += point.at - last > gap
        last = point.at
        return number

    return [list(group) for _, group in groupby(thinned, run_of)]


def _usual_gap(points: Sequence[Point]) -> float:
    gaps = sorted(after.at - before.at for before, after in pairwise(points))
    return gaps[len(gaps) // 2] if gaps else timedelta(days=1).total_seconds()


def _svg(height: float, label: str, parts: Iterable[str]) -> str:
    return f'<svg viewBox="0 0 {WIDTH:g} {height:g}" role="img" aria-label="{escape(label)}">{"".join(parts)}</svg>'


def _text(x: float, y: float, text: str, anchor: str) -> str:
    return f'<text x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}">{escape(text)}</text>'


def _line(name: str, x1: float, y1: float, x2: float, y2: float) -> str:
    return f'<line class="{name}" x1="{x1:.1f}" y1="{y1:.1f}" x2="{x2:.1f}" y2="{y2:.1f}"/>'


def _box(name: str, x: float, y: float, width: float, height: float) -> str:
    return f'<rect class="{name}" x="{x:.1f}" y="{y:.1f}" width="{width:.1f}" height="{height:.1f}"/>'


def _path(name: str, points: Sequence[tuple[float, float]]) -> str:
    if not points:
        return ""
    return f'<path class="{name}" d="M{"L".join(f"{x:.1f} {y:.1f}" for x, y in points)}"/>'
