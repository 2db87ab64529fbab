"""Every partial is counted once, whatever happens to the workers: schedules of rebalances, deaths, freezes by seed."""

from __future__ import annotations

import asyncio
import random
from collections import Counter, defaultdict
from datetime import UTC, datetime

import pytest

from sentryml_common.contracts.topics import DEAD_LETTERS, HISTOGRAMS
from sentryml_drift import event_loop_slices
from sentryml_drift.domain.partials import Kind, Label, Partial, Target, pack_records, partition_of
from sentryml_drift.domain.read_report import HEADER, ReadReport
from sentryml_drift.domain.slices import SliceCounts
from sentryml_drift.processor import loop as processor_loop
from sentryml_drift.processor.models import read_counts
from sentryml_drift.processor.retention import Retention
from sentryml_drift.processor.slices import read_slice
from sentryml_drift.state.table import PLACE, Place, target_of
from sentryml_statistics.histograms.pane_counts import PaneCounts
from sentryml_statistics.time.panes import PaneGrid, Resolution
from tests.support.memory_input import Worker
from tests.support.memory_log import Chances, MemoryLog
from tests.support.memory_table import MemoryChangelogs
from tests.support.virtual_time import run_in_virtual_time

NOW = datetime(2026, 11, 23, 12, 20, 30, tzinfo=UTC)
GRID = PaneGrid(60.0)
HOUR = GRID.pane_of(NOW.timestamp(), Resolution.COARSE)
MODELS, EVENTFUL_SECONDS, ENOUGH_SECONDS = 12, 90.0, 1200.0
PARTITIONS = range(HISTOGRAMS.partitions)

MOST_VERSIONS = 3

Counts = Counter[tuple[str, int, str]]
"""Events by model, pane, and version; of all of them under an empty name."""


class Schedule:
    """What is sent, and what happens to the workers meanwhile, all by one seed."""

    def __init__(self, seed: int) -> None:
        self.rng = random.Random(seed)
        chances = Chances(rebalance=0.002, commit=0.05, getmany=0.01, short_read=0.2)
        self.log = MemoryLog(seed, chances)
        self.log.create(HISTOGRAMS.name, HISTOGRAMS.partitions)
        self.log.create(DEAD_LETTERS.name)
        self.changelogs = MemoryChangelogs()
        self.workers: list[Worker] = []
        self.sent: Counts = Counter()
        self.versions: defaultdict[str, list[str]] = defaultdict(list)
        """Of each model those that came first, and so have a place."""
        self.numbered: list[tuple[int, tuple[str, int], int]] = []
        """Of each partial its number, model and pane, and events."""
        self.bad = 0
        self._number = 0
        self.reports_seen = 0

    async def run(self) -> None:
        """Let things happen for a while; then leave the workers alone until all is taken in."""
        loop = asyncio.get_running_loop()
        self._start()
        sending = asyncio.create_task(self._send())
        while loop.time() < EVENTFUL_SECONDS:
            await asyncio.sleep(self.rng.random() * 4)
            self._happen()
            self._check_reports()
        await sending
        self.log.chances = Chances()
        for worker in self.workers:
            worker.thaw()
        while not self.all_taken_in():
            await asyncio.sleep(1)
            self._keep_one_alive()
            assert loop.time() < ENOUGH_SECONDS, f"no progress: {self.places()}"
        for worker in self.workers:
            worker.kill()

    def _start(self) -> None:
        self.workers.append(Worker(self.log, self.changelogs, Retention(GRID, lambda _: None, lambda: NOW)))

    def _happen(self) -> None:
        what = self.rng.choice(["start", "kill", "freeze", "stall", "thaw", "thaw", "rebalance", "hole"])
        worker = self.rng.choice(self.workers)
        if what == "start" and len(self.workers) < 4:
            self._start()
        elif what == "kill":
            worker.kill()
            self.workers.remove(worker)
        elif what == "freeze":
            worker.freeze()
        elif what == "stall":
            worker.stall()
        elif what == "thaw":
            worker.thaw()
        elif what == "rebalance":
            self.log.group("processor").rebalance()
        elif what == "hole":
            self.log.skip(HISTOGRAMS.name, self.rng.choice(PARTITIONS), self.rng.randint(1, 5))
        self._keep_one_alive()

    def _keep_one_alive(self) -> None:
        for worker in [each for each in self.workers if each.running.done()]:
            failure = None if worker.running.cancelled() else worker.running.exception()
            assert failure is None, f"a worker has ended by {failure!r}"
            self.workers.remove(worker)
        if not self.workers:
            self._start()

    async def _send(self) -> None:
        """Records of partials, more than the workers are fast; now and then one that cannot be read."""
        loop = asyncio.get_running_loop()
        while loop.time() < EVENTFUL_SECONDS:
            partials = [self._partial() for _ in range(self.rng.randint(1, 8))]
            records = list(pack_records(partials, HISTOGRAMS.partitions))
            for partition, record in records:
                if self.rng.random() < 0.05:
                    half_good = record + pack_bad(partials[0])
                    self.log.append(HISTOGRAMS.name, self.rng.choice([None, b"", half_good]), partition=partition)
                    self.bad += 1
                self.log.append(HISTOGRAMS.name, record, partition=partition)
            self._report()
            if self.rng.random() < 0.7:
                continue  # a burst
            await asyncio.sleep(self.rng.random() * 2)

    def _report(self) -> None:
        """All partials so far, in each partition; in the report, a partial's number stands for its time."""
        for partition in PARTITIONS:
            header = HEADER, ReadReport(1, 1, {0: float(self._number)}).pack()
            self.log.append(HISTOGRAMS.name, b"\x01", partition=partition, headers=(header,))

    def _check_reports(self) -> None:
        """See that a worker's view holds everything up to the time that it takes for read."""
        for worker in self.workers:
            for partition in worker.processor.partitions.tables:
                until = worker.processor.read_until(partition)
                if until is not None:
                    self.reports_seen += 1
                    self._check_view(worker, partition, until)

    def _check_view(self, worker: Worker, partition: int, until: float) -> None:
        expected: Counter[tuple[str, int]] = Counter()
        for number, at, events in self.numbered:
            if number <= until and partition_of(at[0], HISTOGRAMS.partitions) == partition:
                expected[at] += events
        for (model_id, pane), events in expected.items():
            packed = worker.processor.models.packed(Target(model_id, Kind.COARSE, pane))
            assert packed is not None
            assert read_counts(packed).total >= events

    def _partial(self) -> Partial:
        """Of a chunk of its own, so that each adds."""
        self._number += 1
        target = Target(f"model-{self.rng.randrange(MODELS)}", Kind.COARSE, HOUR - self.rng.randrange(3))
        events = self.rng.randint(1, 3)
        counts = PaneCounts.of(["late"] * events, [0.5] * events)
        label = Label(0, 1, self._number, self._number, final=True)
        if self.rng.random() < 0.4:
            return Partial(self._of_version(target, events), label, SliceCounts(float(self._number), counts).pack())
        self.sent[target.model_id, target.pane, ""] += events
        self.numbered.append((self._number, (target.model_id, target.pane), events))
        return Partial(target, label, counts.pack())

    def _of_version(self, target: Target, events: int) -> Target:
        """The same pane of one of more versions than have a place."""
        version = f"v{self.rng.randrange(2 * MOST_VERSIONS)}"
        known = self.versions[target.model_id]
        if version not in known and len(known) < MOST_VERSIONS:
            known.append(version)
        if version in known:
            self.sent[target.model_id, target.pane, version] += events
        return target._replace(kind=Kind.VERSION, value=version)

    def places(self) -> dict[int, int]:
        """By partition, the next offset that a restart would read."""
        tables = {partition: self.changelogs.values(partition) for partition in PARTITIONS}
        return {partition: Place.read(table.get(PLACE), 1).next_offset for partition, table in tables.items()}

    def all_taken_in(self) -> bool:
        """Whether the tables hold everything that was sent."""
        return all(place > max(self._offsets(partition), default=-1) for partition, place in self.places().items())

    def _offsets(self, partition: int) -> list[int]:
        return [each.offset for each in self.log.records(HISTOGRAMS.name) if each.partition == partition]

    def counted(self) -> Counts:
        """Events by model and pane, as the tables in Kafka hold them."""
        found: Counts = Counter()
        for partition in PARTITIONS:
            for key, value in self.changelogs.values(partition).items():
                target = target_of(key)
                if target is not None:
                    counts = read_slice(value).counts if target.kind is Kind.VERSION else read_counts(value)
                    found[target.model_id, target.pane, target.value] += counts.total
        return found


def pack_bad(partial: Partial) -> bytes:
    """One more partial of a record, with a payload that cannot be read."""
    ((_, record),) = pack_records([partial._replace(payload=b"damaged")], 1)
    return record[1:]


@pytest.mark.parametrize("seed", range(30))
def test_every_partial_is_counted_once(seed: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(event_loop_slices, "SLICE_SECONDS", 0.0)  # others have a turn between any two steps
    monkeypatch.setattr(processor_loop, "MOST_PER_MODEL", MOST_VERSIONS)
    schedule = Schedule(seed)
    run_in_virtual_time(schedule.run())
    assert schedule.counted() == schedule.sent
    assert any(len(known) == MOST_VERSIONS for known in schedule.versions.values())
    assert schedule.reports_seen > 0
    assert len(schedule.changelogs.published) == schedule.bad, "one dead letter of each bad record"
