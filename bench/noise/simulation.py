"""Months of many models, evaluation by evaluation: which incidents open, and how soon after a step.

Windows are the domain's (`windows_at`), on its grid of panes: they begin and end on slots, and each is kept as a sum
from which the slots that leave are taken away. Every figure is a function of the case and its seed.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta

import numpy as np
from numpy.typing import NDArray

from bench.noise.evaluation import Figures, evaluate_many
from bench.noise.incidents import Rule, Watch
from bench.noise.traffic import CELLS, SLOT_SECONDS, SLOTS_PER_DAY, Counts, Traffic
from sentryml_common.contracts.monitor import DAY, HOUR, MonitorSettings
from sentryml_common.contracts.transition import TransitionKind
from sentryml_statistics.time.panes import PaneGrid
from sentryml_statistics.time.windows import WindowCover, windows_at

ORIGIN = datetime(2026, 11, 2, tzinfo=UTC)
GRID = PaneGrid(60.0)
MONTH_DAYS = 30
FOLLOWED_DAYS = 3
"""How long after a step an incident still counts as finding it; from then on it is part of the baseline."""


@dataclass(frozen=True, slots=True)
class Case:
    """What is simulated: one kind of traffic under one monitor, some models at once, and where chance begins."""

    traffic: Traffic
    monitor: MonitorSettings
    models: int
    seed: tuple[int, ...]


@dataclass(slots=True)
class Tally:
    """What happened to models of one kind.

    Of quiet ones, the incidents that opened by each rule; of those that made a step, the hours until our rule
    opened an incident, infinite where it did not.
    """

    model_months: float = 0.0
    opened: Counter[Rule] = field(default_factory=Counter)
    delays: list[float] = field(default_factory=list)

    def add(self, other: Tally) -> None:
        """Count in what happened to others of the kind."""
        self.model_months += other.model_months
        self.opened.update(other.opened)
        self.delays += other.delays


class WindowSum:
    """The counts of a window of slots, which moves forward only."""

    def __init__(self, slots: Counts) -> None:
        self._slots = slots
        self._start = self._end = 0
        self._counts = np.zeros(slots.shape[1:], dtype=np.int64)

    def moved_to(self, cover: WindowCover) -> Counts:
        """The counts of the slots in a cover (a view: it changes with the next move)."""
        start, end = slot_at(cover.start), slot_at(cover.end)
        for slot in range(self._end, end):
            self._counts += self._slots[slot % len(self._slots)]
        for slot in range(self._start, start):
            self._counts -= self._slots[slot % len(self._slots)]
        self._start, self._end = start, end
        return self._counts


def slot_at(timestamp: float) -> int:
    """The slot that begins at a time."""
    return round((timestamp - ORIGIN.timestamp()) / SLOT_SECONDS)


def warm_up_slots(monitor: MonitorSettings) -> int:
    """After how many slots both windows lie wholly in the traffic."""
    return round((monitor.baseline_seconds + monitor.current_seconds) / SLOT_SECONDS)


def rounds(case: Case, begins: NDArray[np.int64], last: int) -> Iterator[Figures]:
    """The evaluations of all models after each slot from warm-up to `last`; each steps at its slot in `begins`."""
    random = np.random.default_rng(case.seed)
    warm_up = warm_up_slots(case.monitor)
    slots = np.zeros((warm_up + 2, case.models, CELLS), dtype=np.uint16)
    windows = WindowSum(slots), WindowSum(slots)
    day = None
    for slot in range(last):
        if slot % SLOTS_PER_DAY == 0:
            day = case.traffic.day(random, case.models)
        slots[slot % len(slots)] = case.traffic.draw(random, slot, begins <= slot, day)
        if slot + 1 >= warm_up:
            at = ORIGIN + timedelta(seconds=(slot + 1) * SLOT_SECONDS)
            plans = windows_at(GRID, case.monitor, at.timestamp())
            counts = [window.moved_to(plan.cover) for window, plan in zip(windows, plans, strict=True)]
            yield evaluate_many(at, case.monitor, *counts)


def simulate(case: Case, days: float = MONTH_DAYS) -> Tally:
    """Watch the models for `days` without drift, or each for FOLLOWED_DAYS after a step of its own."""
    return _steps(case) if case.traffic.step_psi else _quiet(case, days)


def _quiet(case: Case, days: float) -> Tally:
    last = warm_up_slots(case.monitor) + round(days * SLOTS_PER_DAY)
    watches = [Watch(case.monitor, rule, case.models) for rule in Rule]
    everyone, never = np.ones(case.models, dtype=np.bool_), np.full(case.models, last)
    for figures in rounds(case, never, last):
        for watch in watches:
            watch.take(figures, everyone)
    opened = Counter({watch.rule: len(watch.steps_of(TransitionKind.OPENED)) for watch in watches})
    return Tally(model_months=case.models * days / MONTH_DAYS, opened=opened)


def _steps(case: Case) -> Tally:
    """The models' steps are spread over one day, so that every hour of the rhythm has its part."""
    warm_up = warm_up_slots(case.monitor)
    begins = warm_up + np.arange(case.models) * SLOTS_PER_DAY // case.models
    watch = Watch(case.monitor, Rule.NOISE_FLOOR, case.models)
    for figures in rounds(case, begins, warm_up + (1 + FOLLOWED_DAYS) * SLOTS_PER_DAY):
        watch.take(figures, begins < slot_at(figures.at.timestamp()))
    delays = np.full(case.models, np.inf)
    for step in reversed(watch.steps_of(TransitionKind.OPENED)):
        delays[step.model] = (slot_at(step.at.timestamp()) - begins[step.model]) * SLOT_SECONDS / HOUR
    return Tally(delays=np.where(delays <= FOLLOWED_DAYS * DAY / HOUR, delays, np.inf).tolist())
