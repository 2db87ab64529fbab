"""Which incidents a list shows: what was asked for as an address that can be shared, in words, and piece by piece to be
taken away again."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime, time, timedelta
from enum import StrEnum
from urllib.parse import urlencode
from uuid import UUID

from sentryml_common.contracts.transition import Severity, State
from sentryml_common.text import capital
from sentryml_lifecycle.snapshot import LIVE

WILDCARDS = "*?["
IN_GROUP = "of one alert group"


class Standing(StrEnum):
    """A state, or all of those that are not over."""

    LIVE = "live"
    OPEN = "open"
    ACKNOWLEDGED = "acknowledged"
    RESOLVED = "resolved"
    CLOSED = "closed"

    @property
    def states(self) -> tuple[State, ...]:
        """The states meant."""
        return LIVE if self is Standing.LIVE else (State(self.value),)


class Within(StrEnum):
    """How long ago an incident was opened, at most."""

    HOUR = "hour"
    DAY = "day"
    WEEK = "week"
    MONTH = "month"
    QUARTER = "quarter"

    @property
    def length(self) -> timedelta:
        """The time meant."""
        return timedelta(hours={"hour": 1, "day": 24, "week": 168, "month": 720, "quarter": 2160}[self])

    @property
    def text(self) -> str:
        """`the last 24 hours`."""
        text = {"hour": "hour", "day": "24 hours", "week": "7 days", "month": "30 days", "quarter": "90 days"}[self]
        return f"the last {text}"


class Order(StrEnum):
    """What comes first."""

    NEWEST = "newest"
    OLDEST = "oldest"
    PEAK = "peak"
    MODEL = "model"

    @property
    def text(self) -> str:
        """As one reads it in a list."""
        return {"peak": "highest PSI first", "model": "by model"}.get(self, f"{self} first")


@dataclass(frozen=True, slots=True)
class Listing:
    """What was asked for. `severity` is what a badge says; `model` a pattern, or a part of ids; `since` and `until` are
    days (UTC) on which an incident may have been opened, both included; `undeliverable`: only those
    with an undeliverable message; `group`: only those of this alert group."""

    standing: Standing | None = None
    severity: Severity | None = None
    model: str = ""
    within: Within | None = None
    since: date | None = None
    until: date | None = None
    undeliverable: bool = False
    order: Order = Order.NEWEST
    group: UUID | None = None

    @property
    def filters(self) -> bool:
        """Whether anything is left out."""
        return replace(self, order=Order.NEWEST) != Listing()

    @property
    def pattern(self) -> str | None:
        """The pattern that the ids of models must match, as `fnmatch` reads it."""
        if not self.model:
            return None
        return self.model if _is_pattern(self.model) else f"*{self.model}*"

    def opened_from(self, now: datetime) -> datetime | None:
        """From when on an incident may have been opened."""
        days = [_midnight(self.since)] if self.since else []
        spans = [now - self.within.length] if self.within else []
        return max(days + spans, default=None)

    @property
    def opened_before(self) -> datetime | None:
        """Before when an incident must have been opened."""
        return _midnight(self.until) + timedelta(days=1) if self.until and self.until < date.max else None


@dataclass(frozen=True, slots=True)
class Chip:
    """One thing that was asked for, and the query of the list without it."""

    text: str
    without: str


def query_of(requested: Listing, **more: str) -> str:
    """The query of a list's address, `?` and all; empty where nothing was asked for."""
    asked = {
        "state": requested.standing,
        "severity": requested.severity,
        "model": requested.model,
        "within": requested.within,
        "from": requested.since and requested.since.isoformat(),
        "to": requested.until and requested.until.isoformat(),
        "undeliverable": "true" if requested.undeliverable else None,
        "group": requested.group,
        "order": None if requested.order is Order.NEWEST else requested.order,
    }
    found = {name: str(value) for name, value in (asked | more).items() if value}
    return f"?{urlencode(found)}" if found else ""


def chips(requested: Listing) -> tuple[Chip, ...]:
    """What leaves incidents out, each of which can be removed separately."""
    found = (
        (requested.standing, replace(requested, standing=None)),
        (requested.severity, replace(requested, severity=None)),
        (requested.model and _models(requested.model), replace(requested, model="")),
        (requested.within and f"opened in {requested.within.text}", replace(requested, within=None)),
        (_days(requested), replace(requested, since=None, until=None)),
        (requested.undeliverable and "with an undeliverable message", replace(requested, undeliverable=False)),
        (requested.group and IN_GROUP, replace(requested, group=None)),
    )
    return tuple(Chip(str(text), query_of(without)) for text, without in found if text)


def in_words(requested: Listing, count: int, most: int) -> str:
    """`3 open critical incidents of models matching churn-*`; `count` above `most` is only known to be more."""
    number = f"more than {most:,}" if count > most else f"{count:,}" if count else "no"
    kind = [str(each) for each in (requested.standing, requested.severity) if each]
    noun = "incident" if count == 1 else "incidents"
    of = f"of {_models(requested.model)}" if requested.model else None
    opened = f"opened in {requested.within.text}" if requested.within else None
    undeliverable = "with an undeliverable message" if requested.undeliverable else None
    together = IN_GROUP if requested.group else None
    return capital(" ".join(_said([number, *kind, noun, of, opened, _days(requested), undeliverable, together])))


def _said(parts: Iterable[str | None]) -> list[str]:
    return [part for part in parts if part]


def _is_pattern(text: str) -> bool:
    return any(letter in text for letter in WILDCARDS)


def _models(text: str) -> str:
    return f"models matching {text}" if _is_pattern(text) else f"models with “{text}” in their name"


def _days(requested: Listing) -> str | None:
    since = f"from {requested.since:%-d %b %Y}" if requested.since else None
    until = f"to {requested.until:%-d %b %Y}" if requested.until else None
    return " ".join(_said(["opened", since, until, "(UTC)"])) if since or until else None


def _midnight(day: date) -> datetime:
    return datetime.combine(day, time(), UTC)
