"""The overview: which models come first, and how many there are of each kind. Pure."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from uuid import UUID

from sentryml_common.contracts.evaluation import Level
from sentryml_common.contracts.transition import Severity, State
from sentryml_common.group_text import what_they_are


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


ORDER = {section: place for place, section in enumerate(Section)}
URGENT = (Section.DRIFTING, Section.SILENT, Section.NOT_EVALUATED)


@dataclass(frozen=True, slots=True)
class ModelStanding:
    """One model, as far as its place in the overview goes by it. `severity` and `state` are those of its live incident;
    `missed_since` is when it was evaluated last, where evaluations are missing."""

    model_id: str
    enabled: bool
    level: Level | None
    psi: float | None
    silent: bool
    evaluated: bool
    missed_since: datetime | None
    severity: Severity | None
    state: State | None

    @property
    def section(self) -> Section:
        """Where it is listed. What drifted when it was evaluated last stays there until its incident is over."""
        if not self.enabled:
            return Section.OFF
        if self.silent and self.level is not Level.CRITICAL:
            return Section.SILENT
        if self.severity is not None or (self.missed_since is None and self.level in (Level.WARN, Level.CRITICAL)):
            return Section.DRIFTING
        if self.missed_since is not None:
            return Section.NOT_EVALUATED
        return Section.OK if self.level is Level.OK else Section.NOT_COMPARED

    @property
    def critical(self) -> bool:
        """Whether it is, by its incident, or by its newest evaluation."""
        return self.severity is Severity.CRITICAL or self.level is Level.CRITICAL


@dataclass(frozen=True, slots=True)
class Overview:
    """The models that are shown, the worst first, and how many there are of each kind among those that match."""

    found: Sequence[ModelStanding]
    counts: Mapping[Section, int]

    @property
    def total(self) -> int:
        """How many match, of any kind."""
        return sum(self.counts.values())


def overview_of(standings: Iterable[ModelStanding], part: str, only: Section | None) -> Overview:
    """Those with `part` in their id, of one section or of all."""
    matching = [(each.section, each) for each in standings if part.lower() in each.model_id.lower()]
    counts = Counter(section for section, _ in matching)
    found = sorted((each for each in matching if only in (None, each[0])), key=lambda each: _order(*each))
    return Overview([each for _, each in found], {section: counts[section] for section in Section})


def _order(section: Section, model: ModelStanding) -> tuple[int, bool, bool, float, str]:
    """The worst first: critical, then what nobody has acknowledged, then the highest PSI; all others by their id."""
    if section is not Section.DRIFTING:
        return ORDER[section], False, False, 0.0, model.model_id
    return ORDER[section], not model.critical, model.state is not State.OPEN, -(model.psi or 0.0), model.model_id


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
