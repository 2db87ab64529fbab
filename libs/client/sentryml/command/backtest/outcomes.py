"""Each variant of the settings on each model, evaluation by evaluation, and what is kept of it for people."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from uuid import UUID

import numpy as np

from sentryml.command.backtest.variants import Variant
from sentryml.command.terminal import Failed, Terminal
from sentryml_common.contracts.evaluation import Evaluation, Level, SignalEvaluation
from sentryml_common.contracts.monitor import DAY
from sentryml_common.contracts.transition import Severity, TransitionKind
from sentryml_lifecycle.backtest.counted import CountedEvents
from sentryml_lifecycle.backtest.events import Events
from sentryml_lifecycle.backtest.run import Backtest, Step
from sentryml_lifecycle.regrading import segments_left_out
from sentryml_lifecycle.snapshot import Incident, Transition
from sentryml_lifecycle.text.psi_explanation import in_one_line, in_words
from sentryml_lifecycle.would_be import WouldBe, WouldBeIncidents
from sentryml_statistics.time.panes import PaneGrid

FINE_PANE_SECONDS = 60.0
"""As the services have it by default."""
MOST_EVALUATIONS = 500_000
"""Four years, every 5 minutes: some 20 minutes."""


@dataclass(frozen=True, slots=True)
class Point:
    """An evaluation that could see: the highest PSI of its signals, and that signal's thresholds."""

    at: float
    psi: float
    warn_at: float
    critical_at: float


@dataclass(slots=True)
class Found:
    """An incident that would have opened: what the alert would have said, and the evaluation with its highest PSI."""

    headline: str
    why: str
    reasons: tuple[str, ...]
    worst: SignalEvaluation | None = None


@dataclass(frozen=True, slots=True)
class Opened:
    """The same, once all evaluations are done; `until` is when it resolved, or was closed; None: it lasts."""

    incident: WouldBe
    until: datetime | None
    found: Found

    def lasted(self, end: datetime) -> timedelta:
        """How long it was live."""
        return (self.until or end) - self.incident.opened_at


@dataclass(slots=True)
class Outcome:
    """One variant on one model."""

    variant: Variant
    incidents: Sequence[Opened] = ()
    alerts: int = 0
    levels: Counter[str] = field(default_factory=Counter)
    """How many evaluations had which level, or which reason for having none."""
    points: list[Point] = field(default_factory=list)

    @property
    def critical(self) -> int:
        """How many incidents were critical."""
        return sum(each.incident.severity is Severity.CRITICAL for each in self.incidents)


@dataclass(frozen=True, slots=True)
class Tried:
    """One model: its events, and what each variant made of them."""

    model_id: str
    events: int
    start: datetime
    end: datetime
    per_day: Mapping[int, int]
    """Events by the number of the day since the epoch."""
    outcomes: Sequence[Outcome]

    @property
    def segments_left_out(self) -> str | None:
        """What to say of segments, where they are asked for."""
        return segments_left_out(*(each.variant.settings for each in self.outcomes))


def try_models(events: Mapping[str, Events], variants: Sequence[Variant], terminal: Terminal) -> list[Tried]:
    """Try all variants on all models."""
    for model_id, of_model in events.items():
        for variant in variants:
            _check_length(model_id, of_model, variant)
    found = []
    for number, (model_id, of_model) in enumerate(events.items()):
        counted = CountedEvents(PaneGrid(FINE_PANE_SECONDS), of_model)
        outcomes = []
        for place, variant in enumerate(variants):
            begun = (number * len(variants) + place) / (len(events) * len(variants))
            trying = _Trying(model_id, variant, counted)
            for share in trying.run():
                done = begun + share / (len(events) * len(variants))
                terminal.progress(done, f"{model_id}: {variant.name}")
            outcomes.append(trying.outcome())
        days, counts = np.unique(of_model.times // DAY, return_counts=True)
        per_day = dict(zip(days.astype(int).tolist(), counts.tolist(), strict=True))
        start, end = (datetime.fromtimestamp(at, UTC) for at in (counted.first_seen, counted.last_seen))
        found.append(Tried(model_id, len(of_model), start, end, per_day, outcomes))
    return found


def _check_length(model_id: str, events: Events, variant: Variant) -> None:
    """One wrong time would make a backtest of decades."""
    first, last = (float(events.times[place]) for place in (0, -1))
    evaluations = (last - first) / variant.settings.every_seconds
    if evaluations > MOST_EVALUATIONS:
        start, end = (f"{datetime.fromtimestamp(at, UTC):%Y-%m-%d}" for at in (first, last))
        raise Failed(
            f"{model_id}: from {start} to {end} are {evaluations:,.0f} evaluations. Are these times right? "
            "If so, evaluate less often: --set every_seconds=86400"
        )


class _Trying:
    """One variant on one model, while it runs."""

    def __init__(self, model_id: str, variant: Variant, counted: CountedEvents) -> None:
        self._backtest = Backtest(model_id, variant.settings, counted)
        self._outcome = Outcome(variant)
        self._would_be = WouldBeIncidents()
        self._found: dict[UUID, Found] = {}
        self._incident: Incident | None = None

    def run(self) -> Iterator[float]:
        """Make all evaluations; gives now and then how much is done."""
        instants = self._backtest.instants
        for number, at in enumerate(instants):
            self._take(self._backtest.step(at))
            if number % 50 == 0:
                yield number / len(instants)

    def outcome(self) -> Outcome:
        """What came of it."""
        incidents = zip(self._would_be.incidents, self._found.values(), strict=True)
        self._outcome.incidents = [Opened(each, each.resolved_at or each.closed_at, found) for each, found in incidents]
        self._outcome.alerts = self._would_be.alerts
        return self._outcome

    def _take(self, step: Step) -> None:
        for decision in step.decisions:
            for transition in decision.transitions:
                if transition.kind is TransitionKind.OPENED:
                    self._found[transition.incident_id] = _found(transition)
            self._would_be.take(self._incident, decision)
            self._incident = decision.snapshot.incident
        self._note(step.evaluation)

    def _note(self, evaluation: Evaluation) -> None:
        sufficient = evaluation.level is not Level.INSUFFICIENT_DATA or evaluation.reason is None
        self._outcome.levels[evaluation.level.value if sufficient else str(evaluation.reason)] += 1
        worst = max(evaluation.signals, key=lambda each: -1.0 if each.psi is None else each.psi, default=None)
        if worst is None or worst.psi is None or worst.warn_at is None or worst.critical_at is None:
            return
        at = evaluation.evaluated_at.timestamp()
        self._outcome.points.append(Point(at, worst.psi, worst.warn_at, worst.critical_at))
        if self._incident is not None and self._incident.live:
            found = self._found[self._incident.incident_id]
            if found.worst is None or worst.psi > (found.worst.psi or 0.0):
                found.worst = worst


def _found(opened: Transition) -> Found:
    return Found(opened.text.headline, in_one_line(opened.why) or opened.text.headline, in_words(opened.why))
