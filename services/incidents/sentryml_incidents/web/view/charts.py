"""Where the things of a chart are: numbers from 0 to 100, per cent of its width and height, for whatever draws it.

PSI is drawn by its square root, from the bottom up: thresholds of a tenth and shifts of five are then both seen in one
picture. The axis says what is where.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from math import sqrt

from sentryml_common.contracts.evaluation import Bin, Signal, SignalEvaluation, Window
from sentryml_common.text import cut
from sentryml_incidents.domain.psi_series import EvaluationPoint, Span
from sentryml_lifecycle.text.number_format import BASELINE, bin_name, share, signal_name
from sentryml_lifecycle.text.psi_explanation import carrying

ROUND_PSI = (0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1.0, 2.0, 5.0, 10.0, 20.0, 50.0)
LOWEST_TOP, HEADROOM = 0.25, 1.15
TICKS_APART = 14.0
MOST_TIME_TICKS = 6
MOST_NAMES, LONGEST_NAME = 8, 12
LABELLED, LONGEST_LABEL, LABEL_ROWS = frozenset({"version", "marker"}), 28, 3
HOUR, DAY = 3600, 86_400
UNDER_A_DAY = (1, 5, 15, 60, 300, 900, 1800, HOUR, 3 * HOUR, 6 * HOUR, 12 * HOUR)
DAYS = (DAY, 2 * DAY, 7 * DAY, 14 * DAY, 30 * DAY, 90 * DAY, 365 * DAY)
TIME_STEPS = [timedelta(seconds=seconds) for seconds in (*UNDER_A_DAY, *DAYS)]
EPOCH = datetime(2024, 1, 1, tzinfo=UTC)
"""A Monday: weeks on an axis begin on Mondays."""
Stretch = tuple[datetime, datetime]
GAP = 2.5
"""Evaluations that are more than this many steps apart are not joined by a line."""


def recent(first_seen: datetime, now: datetime, length: timedelta, steps: int, every: timedelta = timedelta(0)) -> Span:
    """The last `length` of time, or less where a model is younger, in `steps` steps, none shorter than `every`."""
    start = min(max(now - length, first_seen), now - timedelta(seconds=1))
    return Span(start, now, max((now - start) / steps, every))


def between(first_seen: datetime, now: datetime, stretch: Stretch, steps: int, every: timedelta) -> Span:
    """A stretch of time, as far as the model existed: at least one evaluation long, in at most `steps` steps."""
    end = min(max(stretch[1], first_seen + every), max(now, first_seen + every))
    start = max(first_seen, min(stretch[0], end - every))
    return Span(start, end, max((end - start) / steps, every))


@dataclass(frozen=True, slots=True)
class Tick:
    """A place on an axis and what is written there."""

    place: float
    label: str


@dataclass(frozen=True, slots=True)
class Line:
    """One line: `kind` is a signal's name, `segments`, `warn`, `critical` or `noise`; `path` is what SVG calls `d`."""

    kind: str
    path: str


@dataclass(frozen=True, slots=True)
class Mark:
    """Something that happened, at its place in time. What has no symbol has a `label`, in one of some rows, so that
    neighbours do not cover each other."""

    place: float
    kind: str
    text: str
    label: str = ""
    row: int = 0


@dataclass(frozen=True, slots=True)
class PsiChart:
    """PSI over time, with the thresholds that were in force and what came of it."""

    span: Span
    lines: tuple[Line, ...]
    levels: tuple[Tick, ...]
    times: tuple[Tick, ...]
    marks: tuple[Mark, ...]
    highest: float | None

    @property
    def is_empty(self) -> bool:
        """Whether nothing could be judged in this time."""
        return self.highest is None


def psi_chart(
    points: Sequence[EvaluationPoint], span: Span, marks: Iterable[tuple[datetime, str, str]] = ()
) -> PsiChart:
    """The chart of all signals; thresholds and noise are those of the signal that drifts most. Marks are (time, kind,
    words); those outside the span are left out."""
    found = [point.psi for point in points if point.psi is not None]
    highest = max(found, default=None)
    top = _top(points, highest)
    points = sorted(points, key=lambda point: point.at)
    worst = _worst(points)
    lines = [
        *(_line(kind, worst, span, top, value) for kind, value in GUIDES),
        *(_line(each, _of_signal(points, each), span, top, _psi) for each in Signal),
        _line("segments", [point for point in points if point.segment is not None], span, top, _psi),
    ]
    inside = sorted(mark for mark in marks if span.start <= mark[0] <= span.end)
    return PsiChart(
        span=span,
        lines=tuple(line for line in lines if line.path),
        levels=tuple(_levels(top)),
        times=tuple(time_ticks(span)),
        marks=tuple(_marks(inside, span)),
        highest=highest,
    )


def _marks(found: Iterable[tuple[datetime, str, str]], span: Span) -> Iterable[Mark]:
    labelled = 0
    for at, kind, text in found:
        if kind in LABELLED:
            yield Mark(span.place(at), kind, text, cut(text, LONGEST_LABEL), labelled % LABEL_ROWS)
            labelled += 1
        else:
            yield Mark(span.place(at), kind, text)


@dataclass(frozen=True, slots=True)
class Sparkline:
    """A curve of a few pixels, and how far from its upper edge the warning threshold is, where one is known."""

    path: str
    threshold: float | None


def sparkline(found: Sequence[tuple[datetime, float | None]], span: Span, warn_at: float | None) -> Sparkline:
    """The curve of the highest PSI at each moment, oldest first."""
    top = HEADROOM * max(LOWEST_TOP, warn_at or 0.0, max((psi for _, psi in found if psi is not None), default=0.0))
    return Sparkline(_psi_path(found, span, top), None if warn_at is None else _height(warn_at, top))


def time_ticks(span: Span) -> Iterable[Tick]:
    """Round times within a span, each with as much of the date as is needed."""
    length = span.end - span.start
    step = next((step for step in TIME_STEPS if length / step <= MOST_TIME_TICKS), TIME_STEPS[-1])
    first = EPOCH + step * -(-(span.start - EPOCH) // step)
    count = max(0, (span.end - first) // step + 1)
    for number in range(count):
        at = first + step * number
        yield Tick(span.place(at), _time_label(at, step))


def _time_label(at: datetime, step: timedelta) -> str:
    if step < timedelta(minutes=1):
        return f"{at:%H:%M:%S}"
    if step >= timedelta(days=1) or (at.hour, at.minute) == (0, 0):
        return f"{at:%-d %b}"
    return f"{at:%H:%M}"


def _of_signal(points: Iterable[EvaluationPoint], signal: Signal) -> list[EvaluationPoint]:
    return [point for point in points if point.signal is signal and point.segment is None]


def _psi(point: EvaluationPoint) -> float | None:
    return point.psi


GUIDES: tuple[tuple[str, Callable[[EvaluationPoint], float | None]], ...] = (
    ("noise", lambda point: point.noise_floor),
    ("warn", lambda point: point.warn_at),
    ("critical", lambda point: point.critical_at),
)


def _worst(points: Sequence[EvaluationPoint]) -> list[EvaluationPoint]:
    """At each moment the point with the highest PSI."""
    by_time: dict[datetime, EvaluationPoint] = {}
    for point in points:
        known = by_time.get(point.at)
        if known is None or (point.psi or 0.0) > (known.psi or 0.0):
            by_time[point.at] = point
    return [by_time[at] for at in sorted(by_time)]


def _line(
    kind: str,
    points: Iterable[EvaluationPoint],
    span: Span,
    top: float,
    value: Callable[[EvaluationPoint], float | None],
) -> Line:
    return Line(kind, _psi_path([(point.at, value(point)) for point in points], span, top))


def _psi_path(found: Iterable[tuple[datetime, float | None]], span: Span, top: float) -> str:
    return path_of(found, span, lambda psi: _height(psi, top))


def path_of(found: Iterable[tuple[datetime, float | None]], span: Span, height_of: Callable[[float], float]) -> str:
    """Straight lines between points, oldest first, as what SVG calls `d`; a break wherever there was no result.
    Heights are distances from the upper edge."""
    parts: list[str] = []
    before: datetime | None = None
    for at, value in found:
        if value is None:
            before = None
            continue
        joined = before is not None and at - before <= GAP * span.step
        place = f"{span.place(at):g} {height_of(value):g}"
        # A line of no length: with round ends it is a dot, so that a single point is seen too.
        parts.append(f"L{place}" if joined else f"M{place}h0")
        before = at
    return "".join(parts)


def _height(psi: float, top: float) -> float:
    """A PSI's distance from the upper edge."""
    return round(100 - 100 * min(1.0, sqrt(max(psi, 0.0) / top)), 2)


def _top(points: Sequence[EvaluationPoint], highest: float | None) -> float:
    critical = max((point.critical_at for point in points if point.critical_at is not None), default=0.0)
    return HEADROOM * max(LOWEST_TOP, highest or 0.0, critical)


def _levels(top: float) -> Iterable[Tick]:
    """Round PSIs that are far enough apart to be written, zero first."""
    last = 100.0
    yield Tick(last, "0")
    for psi in ROUND_PSI:
        place = _height(psi, top)
        if psi <= top and last - place >= TICKS_APART and place >= TICKS_APART / 2:
            yield Tick(place, f"{psi:g}")
            last = place


@dataclass(frozen=True, slots=True)
class Bar:
    """One bin: both shares as heights, its place and width, and whether it carries the shift (`more`, `less`, ``)."""

    place: float
    width: float
    baseline: float
    current: float
    moved: str
    text: str


@dataclass(frozen=True, slots=True)
class HistogramChart:
    """Baseline and current window over the same bins, of the `signal` in words. `shares` are the axis; `ends` the
    bounds between bins, and the names of categories."""

    signal: str
    bars: tuple[Bar, ...]
    shares: tuple[Tick, ...]
    ends: tuple[Tick, ...]


def histogram_chart(found: SignalEvaluation, against: str = BASELINE) -> HistogramChart:
    """The chart of one signal's bins, in the order they have."""
    top = max((max(part.baseline_share, part.current_share) for part in found.bins), default=1.0) or 1.0
    moved, width = carrying(found.bins), 100 / max(1, len(found.bins))
    bars = tuple(
        Bar(
            place=round(number * width, 2),
            width=round(width, 2),
            baseline=round(100 * part.baseline_share / top, 2),
            current=round(100 * part.current_share / top, 2),
            moved=_direction(part) if part in moved else "",
            text=f"{bin_name(found.signal, part, against)}: {_both(part)}",
        )
        for number, part in enumerate(found.bins)
    )
    shares = tuple(Tick(round(100 - 100 * part, 2), share(part * top)) for part in (0.5, 1.0))
    return HistogramChart(signal_name(found.signal, found.segment), bars, shares, tuple(_ends(found.bins, width)))


def _both(part: Bin) -> str:
    return f"{share(part.baseline_share)} → {share(part.current_share)}"


def _direction(part: Bin) -> str:
    return "more" if part.current_share > part.baseline_share else "less"


def _ends(bins: Sequence[Bin], width: float) -> Iterable[Tick]:
    """The bounds of ranges, at the edges between their bars; some of them left out, so that they can be read."""
    edges = [
        (number * width, part.lower)
        for number, part in enumerate(bins)
        if part.kind == "range" and part.lower is not None
    ]
    every = -(-len(edges) // MOST_TIME_TICKS) or 1
    for place, lower in edges[::every]:
        yield Tick(round(place, 2), f"{lower:.3g}")
    names = [((number + 0.5) * width, part) for number, part in enumerate(bins) if part.kind != "range"]
    if not edges and len(names) <= MOST_NAMES:
        for place, part in names:
            yield Tick(round(place, 2), cut(part.value, LONGEST_NAME) if part.kind == "category" else str(part.kind))


@dataclass(frozen=True, slots=True)
class WindowsChart:
    """Which time is the baseline and which the current window, on one axis."""

    span: Span
    baseline: tuple[float, float]
    current: tuple[float, float]
    times: tuple[Tick, ...]


def windows_chart(baseline: Window, current: Window) -> WindowsChart | None:
    """Both windows as (place, width); None where there is nothing to draw yet."""
    span = Span(min(baseline.start, current.start), max(baseline.end, current.end), timedelta(0))
    if span.end <= span.start:
        return None

    def bar(window: Window) -> tuple[float, float]:
        place = span.place(window.start)
        return place, max(0.5, round(span.place(window.end) - place, 2))

    return WindowsChart(span, bar(baseline), bar(current), tuple(time_ticks(span)))


@dataclass(frozen=True, slots=True)
class VolumeChart:
    """Events per pane over time: (place, width, height), and the most in one pane."""

    span: Span
    bars: tuple[tuple[float, float, float], ...]
    times: tuple[Tick, ...]
    most: int


def volume_chart(
    counts: Sequence[tuple[datetime, int]], pane: timedelta, span: Span | None = None
) -> VolumeChart | None:
    """Bars of panes of one length, oldest first; None where there are none. They fill `span`, or their own time."""
    if not counts:
        return None
    starts = [start for start, _ in counts]
    span = span or Span(min(starts), max(starts) + pane, pane)
    most = max(count for _, count in counts)
    bars = tuple(
        (span.place(start), round(span.place(start + pane) - span.place(start), 2), round(100 * count / most, 2))
        for start, count in counts
        if count
    )
    return VolumeChart(span, bars, tuple(time_ticks(span)), most) if most else None
