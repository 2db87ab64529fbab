"""Incidents as bars on an axis of time, in rows: what was, above it what would have been."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime

from sentryml_common.contracts.transition import Severity
from sentryml_common.text import duration
from sentryml_incidents.domain.psi_series import Span
from sentryml_incidents.web.view.charts import Tick, time_ticks
from sentryml_lifecycle.text.wording import moment

NARROWEST = 0.4


@dataclass(frozen=True, slots=True)
class Episode:
    """One incident: from when to when, None while it is live; `severity` is the highest it reached."""

    start: datetime
    end: datetime | None
    severity: Severity
    peak_psi: float

    def lasted(self, now: datetime) -> str:
        """How long, in words."""
        length = duration((self.end or now) - self.start)
        return length if self.end else f"{length} so far"


@dataclass(frozen=True, slots=True)
class Bar:
    """An incident's place and width."""

    place: float
    width: float
    severity: Severity
    text: str


@dataclass(frozen=True, slots=True)
class Row:
    """The incidents of one monitor."""

    name: str
    bars: tuple[Bar, ...]


@dataclass(frozen=True, slots=True)
class EpisodesChart:
    """Rows on one axis."""

    span: Span
    rows: tuple[Row, ...]
    times: tuple[Tick, ...]


def episodes_chart(rows: Iterable[tuple[str, Sequence[Episode]]], span: Span) -> EpisodesChart:
    """Rows of (name, incidents); those outside the span are left out, those that reach out of it are cut."""
    drawn = tuple(Row(name, tuple(_bar(each, span) for each in found if _inside(each, span))) for name, found in rows)
    return EpisodesChart(span, drawn, tuple(time_ticks(span)))


def _inside(found: Episode, span: Span) -> bool:
    return found.start <= span.end and (found.end is None or found.end >= span.start)


def _bar(found: Episode, span: Span) -> Bar:
    start, end = span.place(found.start), span.place(found.end or span.end)
    width = max(NARROWEST, round(end - start, 2))
    text = f"{found.severity} from {moment(found.start)}, {found.lasted(span.end)}, peak {found.peak_psi:.2f}"
    return Bar(min(start, 100 - width), width, found.severity, text)
