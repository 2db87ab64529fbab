"""A backtest finds exactly what combiner, processor and incidents would have found, evaluation by evaluation."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import cast
from uuid import UUID

import numpy as np
import pytest

from sentryml_common.contracts.evaluation import Evaluation, Level
from sentryml_common.contracts.message import decode
from sentryml_common.contracts.monitor import DAY, HOUR, MINUTE, Monitor, MonitorSettings
from sentryml_common.contracts.prediction import EventRow
from sentryml_common.contracts.reference import Reference
from sentryml_common.contracts.transition import Cause, TransitionKind
from sentryml_common.kafka.producer import Record
from sentryml_drift.domain.arrivals import by_day, with_arrivals
from sentryml_drift.domain.chunked_sum import ChunkedSum, unpack_sum
from sentryml_drift.domain.partials import KIND_OF, Kind
from sentryml_drift.domain.rows import PaneRules, sort_rows
from sentryml_drift.evaluation.evaluator import Evaluator
from sentryml_drift.processor.loop import Processor
from sentryml_drift.processor.models import FACTS, OwnedModel, OwnedModels, pane_of
from sentryml_drift.settings import DriftSettings
from sentryml_drift.state.local_copy import MemoryStore
from sentryml_drift.state.partition_writer import Changelog
from sentryml_drift.state.table import Place, Table
from sentryml_lifecycle.backtest.counted import CountedEvents
from sentryml_lifecycle.backtest.events import Collected, Events
from sentryml_lifecycle.backtest.run import ALLOWED_LATENESS_SECONDS, Backtest
from sentryml_lifecycle.decision import Decision
from sentryml_lifecycle.snapshot import Snapshot
from sentryml_lifecycle.state_machine import Evaluated, Ticked, decide
from sentryml_statistics.time.panes import PaneGrid
from sentryml_statistics.time.schedule import delay_of

MODEL = "fraud"
GRID = PaneGrid(60.0)
START = datetime(2026, 11, 2, 7, 13, 5, tzinfo=UTC).timestamp()
SETTINGS = MonitorSettings(every_seconds=3 * HOUR)
QUICK = MonitorSettings(
    every_seconds=40 * MINUTE,
    baseline_seconds=DAY,
    current_seconds=1.5 * HOUR,
    season_seconds=None,
    bins=4,
    slow_drift=False,
)
"""Windows of whole coarse panes, and one that ends in fine panes."""


def rows_of(days: float, per_hour: float, shift: tuple[float, float], silent: tuple[float, float]) -> list[EventRow]:
    """Text, and some numbers and booleans; scores from some hours on; days of the week that differ; a shift, and a time
    without events."""
    rng = np.random.default_rng(7)
    rows = []
    for at in np.sort(rng.uniform(0, days, int(per_hour * 24 * days))).tolist():
        if silent[0] <= at < silent[1]:
            continue
        score = float(np.clip(rng.beta(2, 5) + 0.02 * (int(at) % 7 == 5), 0, 1))
        score = score**0.5 if shift[0] <= at < shift[1] else score
        prediction: str | bool | float = "high" if score > 0.4 else "low"
        if rng.random() < 0.02:
            prediction = True if rng.random() < 0.5 else round(score, 1)
        shown = None if at < 0.2 or rng.random() < 0.05 else score
        rows.append(EventRow(MODEL, prediction, shown, START + at * DAY))
    return rows


MONTH = rows_of(20, 20, (10, 11), (13, 13.6))
WEEK = rows_of(4, 60, (2.3, 2.5), (3, 3.2))


class Services:
    """The parts of the services that decide, without any server: events in, evaluations and decisions out."""

    def __init__(self, rows: list[EventRow], settings: MonitorSettings) -> None:
        self.rows, self.taken = rows, 0
        self.models = OwnedModels()
        self.model = self.models.by_id[MODEL] = OwnedModel(0)
        self.snapshot = Snapshot(MODEL, 1, settings)
        self.references: dict[UUID, Reference] = {}
        self.found: list[tuple[Evaluation, tuple[Decision, Decision]]] = []
        self.now = START
        self.table = Table(cast(Changelog, None), MemoryStore(), epoch=1)
        self.table.place = Place(1, 0, START)
        self.evaluator = Evaluator(
            cast(Processor, self),
            lambda _: Monitor(**dict(settings), model_id=MODEL, version=1, normal_time=self.snapshot.normal_time),
            lambda _: None,
            lambda _: self.references.get(self.snapshot.normal_time.reference_id or UUID(int=0)),
            GRID,
            DriftSettings(kafka_bootstrap="nowhere:1"),
            lambda: datetime.fromtimestamp(self.now, UTC),
        )

    async def at(self, now: float) -> None:
        """Take in all events of before, and evaluate."""
        self.now = now
        until = self.taken
        while until < len(self.rows) and self.rows[until].seconds() < now:
            until += 1
        if until > self.taken:
            self._take(self.rows[self.taken : until])
            self.taken = until
        await self.evaluator._round(0, self.table, now - ALLOWED_LATENESS_SECONDS)

    def _take(self, rows: list[EventRow]) -> None:
        """As the combiner sorts them, and the processor adds them up."""
        found = sort_rows(rows, [row.seconds() for row in rows], PaneRules(GRID, 60 * DAY, 300))
        for gain in found.panes:
            self._add(pane_of(KIND_OF[gain.resolution], gain.pane), gain.counts.pack())
        for _, facts, _ in found.facts:
            self._add(FACTS, facts.pack())
        for day, panes in by_day(pane for _, pane in found.arrivals).items():
            pane = pane_of(Kind.ARRIVALS, day)
            self.model.put(pane, with_arrivals(self.model.sums.get(pane), panes))

    def _add(self, pane: int, value: bytes) -> None:
        known = self.model.sums.get(pane)
        sealed = () if known is None else unpack_sum(known).sealed
        self.model.put(pane, ChunkedSum((*sealed, value)).pack())

    def read_until(self, _: int) -> float:
        """All of the log has been read."""
        return self.now

    async def publish(self, _: int, records: list[Record], evaluated_until: float) -> None:
        """As incidents takes it in."""
        self.table.place = Place(1, 0, evaluated_until)
        (record,) = records
        evaluation = decode(Evaluation, record.value or b"")
        ticked = decide(self.snapshot, Ticked(), evaluation.evaluated_at)
        decision = decide(ticked.snapshot, Evaluated(evaluation), evaluation.evaluated_at)
        self.snapshot = decision.snapshot
        if evaluation.new_reference is not None:
            self.references[evaluation.new_reference.reference_id] = evaluation.new_reference
        self.found.append((evaluation, (ticked, decision)))

    @property
    def partitions(self) -> None:
        """None is asked for."""


def collected(rows: list[EventRow]) -> Events:
    events = Collected()
    for row in reversed(rows):  # a file may be in any order
        events.add(row.seconds(), row.prediction, row.score)
    return events.events()


@pytest.mark.parametrize(("settings", "rows"), [(SETTINGS, MONTH), (QUICK, WEEK)], ids=["month", "week"])
async def test_it_finds_what_the_services_find(settings: MonitorSettings, rows: list[EventRow]) -> None:
    services = Services(rows, settings)
    backtest = Backtest(MODEL, settings, CountedEvents(GRID, collected(rows)))
    later = delay_of(GRID, MODEL, settings.every_seconds) + ALLOWED_LATENESS_SECONDS
    found = []
    for at in backtest.instants:
        await services.at(at + later)
        step = backtest.step(at)
        expected, decisions = services.found[-1]
        assert decode(Evaluation, step.evaluation.model_dump_json().encode()) == expected, expected.evaluated_at
        assert step.decisions == decisions
        found += [transition for decision in step.decisions for transition in decision.transitions]
    assert len(services.found) == len(backtest.instants)
    kinds = {each.kind for each in found}
    assert {TransitionKind.OPENED, TransitionKind.RESOLVED} <= kinds
    if settings is SETTINGS:
        assert Cause.NO_PREDICTIONS in {each.cause for each in found}
        assert TransitionKind.CLOSED in kinds
        assert any(evaluation.slow_drift for evaluation, _ in services.found)
    assert {evaluation.level for evaluation, _ in services.found} >= {Level.OK, Level.CRITICAL, Level.INSUFFICIENT_DATA}
