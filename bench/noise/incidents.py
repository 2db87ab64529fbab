"""The state machines of many models at once: which rounds of evaluations open an incident, and which reopen one.

This is `sentryml_lifecycle.state_machine.decide` as far as nobody acts and severities do not matter, on arrays:
`decide` itself takes a quarter of a millisecond, and a month of one model has 8,640 evaluations. tests/unit/bench
holds it equal to `decide`, transition by transition.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

import numpy as np
from numpy.typing import NDArray

from bench.noise.evaluation import Figures, Floats
from sentryml_common.contracts.monitor import MonitorSettings
from sentryml_common.contracts.transition import TransitionKind

Flags = NDArray[np.bool_]


class Rule(StrEnum):
    """When an evaluation reaches a level."""

    NOISE_FLOOR = "max(threshold, noise floor)"
    BARE = "bare thresholds"

    def reached_at(self, threshold: float, floor: Floats) -> Floats:
        """The PSI at which the level of a threshold begins."""
        return np.maximum(threshold, floor) if self is Rule.NOISE_FLOOR else np.full_like(floor, threshold)


@dataclass(frozen=True, slots=True)
class Step:
    """A transition of one model's incident: opened, reopened or resolved."""

    model: int
    kind: TransitionKind
    at: datetime


@dataclass(frozen=True, slots=True)
class Grades:
    """What a round of evaluations says of each model; a warning that is critical is both (`domain.levels`)."""

    seen: Flags
    warn: Flags
    critical: Flags
    ok: Flags


class Watch:
    """Many models under one monitor and rule, each with its own state machine; keeps every step."""

    def __init__(self, monitor: MonitorSettings, rule: Rule, models: int) -> None:
        self.rule = rule
        self.steps: list[Step] = []
        self._monitor = monitor
        self._warns, self._criticals, self._oks = (np.zeros(models, dtype=np.int64) for _ in range(3))
        self._ok_seconds = np.zeros(models)
        self._blind, self._live = np.zeros(models, dtype=np.bool_), np.zeros(models, dtype=np.bool_)
        self._resolved_at = np.full(models, -np.inf)

    def take(self, figures: Figures, watched: Flags) -> None:
        """Let the state machines of the `watched` models see one round of evaluations."""
        grades = self._grades(figures, watched)
        self._count(grades, watched)
        now, settings = figures.at.timestamp(), self._monitor
        reached = (self._criticals >= settings.confirm_critical) | (self._warns >= settings.confirm_warn)
        clean = (self._oks >= settings.confirm_resolve) & (self._ok_seconds >= settings.resolve_dwell_seconds)
        begins, ends = grades.seen & ~self._live & reached, grades.seen & self._live & clean
        again = now - self._resolved_at <= settings.reopen_window_seconds
        self._note(begins & ~again, TransitionKind.OPENED, figures.at)
        self._note(begins & again, TransitionKind.REOPENED, figures.at)
        self._note(ends, TransitionKind.RESOLVED, figures.at)
        self._live = (self._live | begins) & ~ends
        self._resolved_at[ends] = now

    def steps_of(self, kind: TransitionKind) -> list[Step]:
        """All steps of a kind, in order of time."""
        return [step for step in self.steps if step.kind is kind]

    def _grades(self, figures: Figures, watched: Flags) -> Grades:
        warn_at = self.rule.reached_at(self._monitor.warn, figures.floor)
        critical_at = self.rule.reached_at(self._monitor.critical, figures.floor)
        seen = watched & figures.enough
        return Grades(
            seen=seen,
            warn=seen & (figures.psi >= warn_at).any(axis=1),
            critical=seen & (figures.psi >= critical_at).any(axis=1),
            ok=seen & (figures.psi < self._monitor.resolve_below * warn_at).all(axis=1),
        )

    def _count(self, grades: Grades, watched: Flags) -> None:
        """Evaluations in a row, as `domain.snapshot.Counts`; too little data leaves them as they are."""
        passed = np.where(self._blind | (self._oks == 0), 0.0, self._monitor.every_seconds)
        self._ok_seconds = np.where(grades.seen, np.where(grades.ok, self._ok_seconds + passed, 0.0), self._ok_seconds)
        self._oks = _in_a_row(self._oks, grades.ok, grades.seen)
        self._warns = _in_a_row(self._warns, grades.warn, grades.seen)
        self._criticals = _in_a_row(self._criticals, grades.critical, grades.seen)
        self._blind = np.where(watched, ~grades.seen, self._blind)

    def _note(self, models: Flags, kind: TransitionKind, at: datetime) -> None:
        self.steps += [Step(model, kind, at) for model in np.flatnonzero(models).tolist()]


def _in_a_row(counts: NDArray[np.int64], true: Flags, seen: Flags) -> NDArray[np.int64]:
    return np.where(seen, np.where(true, counts + 1, 0), counts)
