"""Evaluations are those of a worker that was never disturbed and never freed a pane, whatever happens to the workers.

Models have normal time with excluded intervals (some of drift that lasts), references, and revisions that come in
between; see `test_processor_schedules` for what happens to the workers.
"""

from __future__ import annotations

import asyncio
from base64 import b64encode
from collections import defaultdict
from collections.abc import Iterator
from datetime import UTC, datetime
from functools import partial
from uuid import UUID

import numpy as np
import pytest

from sentryml_common.contracts.evaluation import Evaluation, Level
from sentryml_common.contracts.message import decode
from sentryml_common.contracts.monitor import Monitor
from sentryml_common.contracts.normal_time import ExcludedInterval, NormalSpan, NormalTime, SetAside
from sentryml_common.contracts.reference import Reference, ReferenceSource
from sentryml_common.contracts.topics import EVALUATIONS, HISTOGRAMS
from sentryml_drift import event_loop_slices
from sentryml_drift.domain.chunked_sum import ChunkedSum
from sentryml_drift.domain.facts import ModelFacts
from sentryml_drift.domain.partials import Kind, Label, Partial, Target, pack_records
from sentryml_drift.domain.slices import SliceCounts, merge_slices
from sentryml_drift.evaluation.counting import evaluate_model
from sentryml_drift.processor.models import FACTS, OwnedModel, WindowSums, pane_of
from sentryml_drift.settings import DriftSettings
from sentryml_statistics.comparison.slow_drift import with_slow_drift
from sentryml_statistics.histograms.pane_counts import PaneCounts, merge_panes
from sentryml_statistics.time.panes import PaneGrid, Resolution
from sentryml_statistics.time.plan import plan_evaluation
from sentryml_statistics.time.schedule import compares_slowly
from tests.support.evaluating_worker import Board, EvaluatingWorker
from tests.support.virtual_time import run_in_virtual_time
from tests.unit.drift.test_normal_time import moment
from tests.unit.drift.test_processor_schedules import EVENTFUL_SECONDS, Schedule

FINE = 0.5
GRID = PaneGrid(FINE)
START = datetime(2026, 11, 23, 12, 20, 30, tzinfo=UTC).timestamp()
HISTORY, FINE_SECONDS_SENT, LONGEST_SENDING, LATENESS, QUIET_SECONDS = 800, 100, 2.0, 5.0, 20.0
SETTINGS = DriftSettings(kafka_bootstrap="nowhere:1", fine_pane_seconds=FINE, allowed_lateness_seconds=LATENESS)
LONG: dict[str, object] = {"baseline_seconds": 240, "current_seconds": 90, "season_seconds": 120}
SHORT: dict[str, object] = {"baseline_seconds": 20, "current_seconds": 5, "season_seconds": None}
"""Windows of whole coarse panes, and windows of fine panes alone."""
SLICED = "sliced"
"""A model whose segments are evaluated."""
SETTINGS_OF_ALL = {"version": 1, "every_seconds": 2, "bins": 5}
MODELS = {
    "normal": LONG,
    "drifted": LONG,
    "drifts": LONG,
    "accepted": LONG,
    "short": SHORT,
    "shortly": SHORT,
    SLICED: LONG,
}


class EvaluationSchedule(Schedule):
    """What is sent, revised and evaluated, all by one seed."""

    def __init__(self, seed: int) -> None:
        super().__init__(seed)
        self.board = Board()
        self.counts: defaultdict[tuple[str, int], list[PaneCounts]] = defaultdict(list)
        self.slices: defaultdict[Target, list[SliceCounts]] = defaultdict(list)
        for model_id, windows in MODELS.items():
            normal = {"normal_time": first_normal(model_id), "evaluate_segments": model_id == SLICED}
            self.board.publish(Monitor.model_validate({**SETTINGS_OF_ALL, "model_id": model_id, **windows, **normal}))

    def now(self) -> datetime:
        """The wall clock of all workers."""
        return moment(START + asyncio.get_running_loop().time())

    def _start(self) -> None:
        self.workers.append(EvaluatingWorker(self.log, self.changelogs, self.board, self.now, SETTINGS))

    def all_taken_in(self) -> bool:
        return asyncio.get_running_loop().time() > EVENTFUL_SECONDS + QUIET_SECONDS and super().all_taken_in()

    async def _send(self) -> None:
        """A long history, then what comes; the models' normal time is revised meanwhile."""
        self._emit(START - HISTORY, START)
        loop, sent = asyncio.get_running_loop(), START
        while loop.time() < EVENTFUL_SECONDS + QUIET_SECONDS:
            await asyncio.sleep(self.rng.random() * LONGEST_SENDING)
            until = GRID.start_of(GRID.pane_of(START + loop.time(), Resolution.FINE), Resolution.FINE)
            self._emit(sent, until)
            sent = until
            if self.rng.random() < 0.2:
                self._revise(self.rng.choice(list(MODELS)))

    def _emit(self, start: float, end: float) -> None:
        """The events of all models in [start, end), in whole fine panes."""
        partials = [each for model_id in MODELS for each in self._partials(model_id, start, end)]
        for partition, record in pack_records(partials, HISTOGRAMS.partitions):
            self.log.append(HISTOGRAMS.name, record, partition=partition)

    def _partials(self, model_id: str, start: float, end: float) -> Iterator[Partial]:
        if start == end:
            return
        coarse: defaultdict[int, list[PaneCounts]] = defaultdict(list)
        parts_of: defaultdict[tuple[int, str], list[SliceCounts]] = defaultdict(list)
        for fine in range(GRID.pane_of(start, Resolution.FINE), GRID.pane_of(end, Resolution.FINE)):
            scores = [round(self.rng.random() + self.rng.random() * (fine % 700) / 700, 3) for _ in range(6)]
            counts = counts_of(scores)
            if model_id == SLICED:
                for name, part in (("eu", scores[:4]), ("us", [1 - score for score in scores[4:]])):
                    parts_of[GRID.pane_of(fine * FINE, Resolution.COARSE), name].append(
                        SliceCounts(fine * FINE, counts_of(part))
                    )
            coarse[GRID.pane_of(fine * FINE, Resolution.COARSE)].append(counts)
            if fine * FINE > START - FINE_SECONDS_SENT:
                yield self._adding(Target(model_id, Kind.FINE, fine), counts)
        for pane, parts in coarse.items():
            yield self._adding(Target(model_id, Kind.COARSE, pane), merge_panes(parts))
        for (pane, name), slices in parts_of.items():
            yield self._adding_slice(Target(model_id, Kind.SEGMENT, pane, name), merge_slices(slices))
        facts = ModelFacts(start, start, end).pack()
        self._number += 1
        yield Partial(Target(model_id, Kind.FACTS, 0), Label(0, 1, self._number, self._number, final=True), facts)

    def _adding(self, target: Target, counts: PaneCounts) -> Partial:
        self._number += 1
        self.counts[target.model_id, pane_of(target.kind, target.pane)].append(counts)
        return Partial(target, Label(0, 1, self._number, self._number, final=True), counts.pack())

    def _adding_slice(self, target: Target, counts: SliceCounts) -> Partial:
        self._number += 1
        self.slices[target].append(counts)
        return Partial(target, Label(0, 1, self._number, self._number, final=True), counts.pack())

    def _revise(self, model_id: str) -> None:
        """The next revision of a model's normal time, as incidents might decide it now."""
        monitor, reference = self.board.monitors[model_id], None
        normal = self._revised(monitor)
        if self.rng.random() < 0.5:
            reference = self._reference(monitor)
            normal["reference_id"] = reference.reference_id
        known = {"set_aside": None, **dict(monitor.normal_time), **normal}
        known["revision"] = monitor.normal_time.revision + 1
        self.board.publish(monitor.model_copy(update={"normal_time": NormalTime(**known)}), reference)

    def _revised(self, monitor: Monitor) -> dict[str, object]:
        normal = monitor.normal_time
        at = GRID.start_of(GRID.pane_of(self.now().timestamp() - LATENESS, Resolution.FINE), Resolution.FINE)
        earlier, last = normal.excluded[:-1], normal.excluded[-1] if normal.excluded else None
        aside = SetAside(**NormalSpan(**_span(normal)).model_dump(), until=moment(at + 40))
        undoable = normal.set_aside is not None and self.now() < normal.set_aside.until
        if normal.set_aside is not None and undoable and self.rng.random() < 0.5:
            return {**_span(normal.set_aside), "set_aside": None}
        if last is None or last.end is not None:
            start = max(
                at - monitor.current_seconds - 4, 0.0 if last is None or last.end is None else last.end.timestamp()
            )
            return {"excluded": (*normal.excluded, ExcludedInterval(start=moment(start), confirmed_at=moment(at)))}
        if self.rng.random() < 0.5:
            return {"excluded": (*earlier, last.model_copy(update={"end": moment(at)}))}
        if self.rng.random() < 0.5:
            return {"excluded": earlier, "set_aside": aside}
        return {"since": last.start, "excluded": (), "set_aside": aside}

    def _reference(self, monitor: Monitor) -> Reference:
        scores = np.linspace(0, 1 + self.rng.random(), 500).round(3).tolist()
        counts = counts_of(scores)
        return Reference(
            reference_id=UUID(int=self.rng.getrandbits(128)),
            model_id=monitor.model_id,
            source=ReferenceSource.UPLOAD,
            made_at=self.now(),
            events=500,
            counts=b64encode(counts.pack()).decode(),
        )

    def published(self) -> list[Evaluation]:
        """All evaluations, in the order in which they were published."""
        records = [each for each in self.changelogs.published if each.topic == EVALUATIONS.name]
        return [decode(Evaluation, each.value or b"") for each in records]

    def undisturbed(self) -> Undisturbed:
        """All that was sent, in a view that nothing has happened to."""
        return Undisturbed(self.board, self.counts, self.slices)


class Undisturbed:
    """Evaluates at the time, with every pane that there ever was."""

    def __init__(
        self,
        board: Board,
        counts: dict[tuple[str, int], list[PaneCounts]],
        slices: dict[Target, list[SliceCounts]],
    ) -> None:
        self._monitors = {(each.model_id, each.normal_time.revision): each for each in board.all_monitors}
        self._references = {each.reference_id: each for each in board.all_references}
        self._models = {model_id: OwnedModel(0) for model_id in MODELS}
        for (model_id, pane), parts in counts.items():
            self._models[model_id].put(pane, ChunkedSum((merge_panes(parts).pack(),)).pack())
        for target, found in slices.items():
            self._models[target.model_id].set(target, ChunkedSum((merge_slices(found).pack(),)).pack())
        for model in self._models.values():
            model.put(FACTS, ChunkedSum((ModelFacts(START - HISTORY, START - HISTORY, START).pack(),)).pack())

    def monitor_of(self, evaluation: Evaluation) -> Monitor:
        """The monitor that an evaluation was made with."""
        return self._monitors[evaluation.model_id, evaluation.normal_time_revision]

    def same(self, evaluation: Evaluation, *, with_reference: bool = True) -> Evaluation:
        """The evaluation of the same model, monitor and time."""
        monitor, at = self.monitor_of(evaluation), evaluation.evaluated_at.timestamp()
        plan = plan_evaluation(GRID, monitor, at, START - HISTORY, at)
        sums, model = WindowSums(), self._models[evaluation.model_id]
        slices = model.sums_of_slices()
        if not compares_slowly(GRID, monitor, at):
            return without_shares(evaluate_model(GRID, monitor, model, sums, at, plan, slices=slices))
        reference_id = monitor.normal_time.reference_id
        reference = self._references.get(reference_id) if with_reference and reference_id else None
        slow = partial(with_slow_drift, reference=reference)
        return without_shares(evaluate_model(GRID, monitor, model, sums, at, plan, slow, slices=slices))


def without_shares(evaluation: Evaluation) -> Evaluation:
    """Without what is named of slices: that holds what of the newest coarse pane has come in so far."""
    return evaluation.model_copy(update={"slices": ()})


def counts_of(scores: list[float]) -> PaneCounts:
    return PaneCounts.of(["high" if score > 0.6 else "low" for score in scores], scores)


def _span(normal: NormalSpan) -> dict[str, object]:
    return {"since": normal.since, "reference_id": normal.reference_id, "excluded": normal.excluded}


def first_normal(model_id: str) -> NormalTime:
    """Drift that was over before the start, or that has lasted longer than any window reaches."""
    known: dict[str, list[tuple[float, float | None]]] = {
        "drifted": [(-200, -120)],
        "drifts": [(-700, -600), (-400, None)],
        "shortly": [(-40, None)],
    }
    excluded = tuple(
        ExcludedInterval(
            start=moment(START + start), confirmed_at=moment(START + start + 9), end=end and moment(START + end)
        )
        for start, end in known.get(model_id, [])
    )
    return NormalTime(since=moment(START - 250) if model_id == "accepted" else None, excluded=excluded)


@pytest.mark.parametrize("seed", range(3, 6))
def test_evaluations_are_those_of_an_undisturbed_worker(seed: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(event_loop_slices, "SLICE_SECONDS", 0.0)  # others have a turn between any two steps
    schedule = EvaluationSchedule(seed)
    run_in_virtual_time(schedule.run())
    found, undisturbed = schedule.published(), schedule.undisturbed()
    assert len({each.evaluation_id for each in found}) == len(found), "each is published once"
    for each in map(without_shares, found):
        assert each in (undisturbed.same(each), undisturbed.same(each, with_reference=False))
    held = [each for each in found if undisturbed.monitor_of(each).normal_time.drift_lasts]
    assert len([each for each in held if each.level is not Level.INSUFFICIENT_DATA]) > 20
    assert any(each.slow_drift for each in found)
    segments = [segment for each in found for segment in each.segments]
    assert {each.segment for each in segments if each.reason is None} == {"eu", "us"}
    assert all(each.model_id == SLICED for each in found if each.segments)
