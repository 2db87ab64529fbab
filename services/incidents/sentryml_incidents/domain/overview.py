"""The overview: which models come first, and how many there are of each kind. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from uuid import UUID

from sentryml_common.group_text import what_they_are
from sentryml_incidents.domain.system.missed_evaluations import Unevaluated


class Section(StrEnum):
    """A part of the overview, in the order in which people have to look at them; a model is in one of them."""

    DRIFTING = "drifting"
    SILENT = "silent"
    NOT_EVALUATED = "not-evaluated"
    NOT_COMPARED = "not-compared"
    OK = "ok"
    OFF = "off"

    @property
    def text(self) -> str:
        """As people read it."""
        return {"not-evaluated": "not evaluated", "not-compared": "not compared yet", "off": "not watched"}.get(
            self, self.value
        )


URGENT = (Section.DRIFTING, Section.SILENT, Section.NOT_EVALUATED)


@dataclass(frozen=True, slots=True)
class Overview:
    """The models of a page, the worst first, each with where it is listed; how many there are of each kind among those
    that match; of all `models` there are, those that are not evaluated."""

    listed: Mapping[str, Section]
    counts: Mapping[Section, int]
    models: int
    unevaluated: Unevaluated

    @property
    def matching(self) -> int:
        """How many match, of any kind."""
        return sum(self.counts.values())

    def found(self, only: Section | None) -> int:
        """How many match of one section, or of all: on all pages."""
        return self.matching if only is None else self.counts[only]


@dataclass(frozen=True, slots=True)
class LiveGroup:
    """An alert group that is not over: how many incidents it has; which of them are live, the worst first; of how many
    of these the models are silent, how many nobody has acknowledged, and how many are critical. Messages call it by its
    `number`."""

    group_id: UUID
    number: int | None
    incidents: int
    live: Sequence[UUID]
    silent: int
    open: int
    critical: int
    since: datetime

    @property
    def text(self) -> str:
        """What its incidents are, as messages say it."""
        live = len(self.live)
        return what_they_are(live - self.silent, self.silent, self.incidents - live)


def distinct_groups(groups: Iterable[LiveGroup]) -> list[LiveGroup]:
    """The largest first, without those that only repeat on another channel what a larger one has."""
    found: list[LiveGroup] = []
    shown: set[UUID] = set()
    for each in sorted(groups, key=lambda each: (-len(each.live), each.since, each.group_id)):
        if not shown.issuperset(each.live):
            found.append(each)
            shown.update(each.live)
    return found
