"""Every event is counted once, whatever happens to the combiners: schedules of rebalances, deaths, refusals by seed."""

from __future__ import annotations

import asyncio
import random
from collections import Counter, defaultdict
from collections.abc import Iterable
from contextlib import suppress
from datetime import UTC, datetime
from types import SimpleNamespace
from typing import Any, cast

import orjson
import pytest
from aiokafka.errors import KafkaConnectionError, KafkaError

from sentryml_common.contracts.topics import DEAD_LETTERS, HISTOGRAMS, PREDICTIONS, REQUEST_IDS
from sentryml_common.health import Health
from sentryml_common.kafka.dead_letter import DeadLetters
from sentryml_common.kafka.epochs import TopicIncarnation
from sentryml_drift import event_loop_slices
from sentryml_drift.combiner import emission
from sentryml_drift.combiner.loop import Combiner, group_of
from sentryml_drift.combiner.stored_ids import Stored, read_stored
from sentryml_drift.domain.chunked_sum import NOTHING, ChunkedSum
from sentryml_drift.domain.chunks import MOST_RECORD_BYTES, SIZE_CLASSES, ChunkRules
from sentryml_drift.domain.partials import SLICED, Kind, Target, partition_of, unpack_record
from sentryml_drift.domain.payloads import counts_of, facts_of, slice_of
from sentryml_drift.domain.read_report import report_in
from sentryml_drift.domain.rows import PaneRules
from sentryml_drift.settings import DriftSettings
from sentryml_statistics.time.panes import PaneGrid
from tests.support.memory_consumer import MemoryConsumer
from tests.support.memory_log import Chances, MemoryLog
from tests.support.virtual_time import run_in_virtual_time

RULES = ChunkRules(PaneRules(PaneGrid(60.0), 8 * 86_400, 300), epoch=1)
SETTINGS = DriftSettings(kafka_bootstrap="nowhere:1", emit_seconds=1.0)
NOON = 1_795_521_600
EVENTFUL_SECONDS, ENOUGH_SECONDS = 60.0, 600.0
PARTITIONS = 2
TOPICS = (PREDICTIONS, REQUEST_IDS, HISTOGRAMS, DEAD_LETTERS)
LENGTHS = [0, 0, 0, 600, 9_000, 140_000]
"""Bytes of blanks in a record, so that all size classes occur."""

Counts = Counter[tuple[str, int, str]]
"""Events by model, coarse pane, and the version or segment; of all of them under an empty name."""


def _events_in(kind: Kind, known: ChunkedSum) -> int:
    return (slice_of(known.values()).counts if kind in SLICED else counts_of(known.values())).total


def now() -> datetime:
    """The time of day in virtual time."""
    return datetime.fromtimestamp(NOON + asyncio.get_running_loop().time(), UTC)


class Worker:
    """One combiner on the log in memory."""

    def __init__(self, log: MemoryLog) -> None:
        self._log, self.consumers, self.health = log, list[MemoryConsumer](), Health()
        incarnation = cast(TopicIncarnation, SimpleNamespace(check=self._check))
        letters = DeadLetters("drift-combiner", log.publisher())
        self.combiner = Combiner(
            SETTINGS, RULES, incarnation, log.publisher(), letters, self._committed, self._stored, self._make, now
        )
        self.running = asyncio.create_task(self.combiner.run(self.health))

    async def _check(self) -> None:
        await self._log.at("incarnation")

    async def _committed(self) -> dict[Any, Any]:
        await self._log.at("committed")
        return dict(self._log.group(group_of(1)).committed)

    async def _stored(self, partitions: Iterable[int]) -> Stored:
        while True:
            consumer = self._log.consumer(auto_offset_reset="earliest")
            await consumer.start()
            with suppress(KafkaError):  # the service asks again
                return await read_stored(consumer, REQUEST_IDS.name, partitions)

    def _make(self, _: DriftSettings, group: str) -> Any:
        self.consumers.append(self._log.consumer(group_id=group, auto_offset_reset="earliest"))
        return self.consumers[-1]

    def kill(self) -> None:
        """The process dies: nobody is notified."""
        self.running.cancel()
        for consumer in self.consumers:
            consumer.kill()


class Schedule:
    """What is sent, and what happens to the combiners meanwhile, all by one seed."""

    def __init__(self, seed: int) -> None:
        self.rng = random.Random(seed)
        self.log = MemoryLog(seed, Chances(rebalance=0.005, commit=0.1, publish=0.02, getmany=0.01, short_read=0.2))
        for topic in TOPICS:
            self.log.create(topic.name, PARTITIONS if topic is PREDICTIONS else topic.partitions)
        for partition in range(PARTITIONS):  # so that the records lie over the borders of all kinds of chunks
            self.log.skip(PREDICTIONS.name, partition, SIZE_CLASSES[0].offsets - self.rng.randint(1, 150))
            self.log.delete_before(self.log.partitions_of([PREDICTIONS.name])[partition], self._end(partition))
        self.workers: list[Worker] = []
        self.sent: Counts = Counter()
        self.live: list[tuple[float, int, str]] = []
        """Events that a fine pane takes: when they were written, to which partition, and of which model."""
        self.bad = 0
        self._sums: dict[Target, ChunkedSum] = {}
        self._summed: Counter[int] = Counter()
        """How many records of each partition of the histograms are in the sums."""

    def _end(self, partition: int) -> int:
        return self.log.partition(self.log.partitions_of([PREDICTIONS.name])[partition]).end

    async def run(self) -> None:
        """Let things happen for a while; then leave the combiners alone until all is counted."""
        loop = asyncio.get_running_loop()
        self.workers.append(Worker(self.log))
        while loop.time() < EVENTFUL_SECONDS:
            for _ in range(self.rng.randint(0, 12)):
                self._send()
            await asyncio.sleep(self.rng.random() * 3)
            self._happen()
        self.log.chances = Chances()
        while +self.counted() != self.sent:
            await asyncio.sleep(5)
            self._keep_one_alive()
            assert loop.time() < ENOUGH_SECONDS, (
                f"missing {self.sent - self.counted()}, too many {self.counted() - self.sent}"
            )
        await asyncio.sleep(30)  # long enough for somebody who was late to say something wrong
        self.check_reports()
        for worker in self.workers:
            worker.kill()
        await asyncio.sleep(0)

    def _happen(self) -> None:
        what, worker = (
            self.rng.choice(["start", "kill", "expel", "rebalance", "hole", "nothing"]),
            self.rng.choice(self.workers),
        )
        if what == "start" and len(self.workers) < 3:
            self.workers.append(Worker(self.log))
        elif what == "kill":
            worker.kill()
            self.workers.remove(worker)
        elif what == "expel" and worker.consumers and not worker.consumers[0]._reassigning:
            worker.consumers[0].expel()
        elif what == "rebalance":
            self.log.group(group_of(1)).rebalance()
        elif what == "hole":
            self.log.skip(PREDICTIONS.name, self.rng.randrange(PARTITIONS), self.rng.choice([1, 3, 70]))
        self._keep_one_alive()

    def _keep_one_alive(self) -> None:
        for worker in [each for each in self.workers if each.running.done()]:
            worker.running.result()  # nothing that Kafka does ends a combiner
        if not self.workers:
            self.workers.append(Worker(self.log))

    def _send(self) -> None:
        rng, written_at = self.rng, NOON + asyncio.get_running_loop().time()
        at, partition = int(written_at), rng.randrange(PARTITIONS)
        if rng.random() < 0.05:
            self.bad += 1
            bad = [b"{", None, b"[{}]", b"[" + bytes(MOST_RECORD_BYTES) + b"]"]
            self.log.append(PREDICTIONS.name, rng.choice(bad), partition=rng.randrange(PARTITIONS), timestamp=at * 1000)
            return
        events: list[dict[str, Any]] = [
            {"model_id": rng.choice("abc"), "prediction": 1.0, "timestamp": at - rng.choice([0, 7_190, 7_200, 90_000])}
            for _ in range(rng.randint(1, 4))
        ]
        for event in (each for each in events if each["model_id"] == "c"):
            event |= {"version": rng.choice([None, "2.2", "2.3"]), "segment": rng.choice([None, "eu"])}
        value = orjson.dumps(events) + b" " * rng.choice(LENGTHS)
        self.log.append(PREDICTIONS.name, value, partition=partition, timestamp=at * 1000)
        self.live += [
            (written_at, partition, event["model_id"]) for event in events if at - event["timestamp"] <= 7_200
        ]
        self.sent.update(
            (event["model_id"], event["timestamp"] // 3600, slice_)
            for event in events
            for slice_ in ("", event.get("version"), event.get("segment"))
            if slice_ is not None
        )

    def sums(self) -> dict[Target, ChunkedSum]:
        """What the processor makes of what was emitted."""
        for partition in self.log.partitions_of([HISTOGRAMS.name]):
            records = self.log.partition(partition).records
            for record in records[self._summed[partition.partition] :]:
                for partial in unpack_record(record.value):
                    known = self._sums.get(partial.target, NOTHING)
                    self._sums[partial.target] = known.apply(partial.label, partial.payload)
            self._summed[partition.partition] = len(records)
        return self._sums

    def counted(self) -> Counts:
        return Counter(
            {
                (target.model_id, target.pane, target.value): _events_in(target.kind, known)
                for target, known in self.sums().items()
                if target.kind in (Kind.COARSE, *SLICED)
            }
        )

    def check_reports(self) -> None:
        """See that everything that was written before the time of a report is in what was emitted before it, in each
        partition of the histograms; and that the newest reports are of now."""
        for target in range(HISTOGRAMS.partitions):
            sums: defaultdict[tuple[int, Target], ChunkedSum] = defaultdict(lambda: NOTHING)
            came_in: set[tuple[str, int]] = set()
            newest: dict[int, float] = {}
            for record in (each for each in self.log.records(HISTOGRAMS.name) if each.partition == target):
                for partial in unpack_record(record.value):
                    source = partial.label.source // len(SIZE_CLASSES), partial.target
                    sums[source] = sums[source].apply(partial.label, partial.payload)
                report = report_in(record.headers)
                if report is None:
                    continue
                assert report.partitions == PARTITIONS
                came_in |= {(model_id, pane) for model_id, panes in report.arrivals.items() for pane in panes}
                for partition, until in report.read_until.items():
                    if record.offset % 8 == 0:  # each of them takes time
                        self._check_report(target, partition, until, sums, came_in)
                    newest[partition] = max(until, newest.get(partition, until))
            late = NOON + asyncio.get_running_loop().time() - 15
            assert len(newest) == PARTITIONS
            assert min(newest.values()) > late

    def _check_report(
        self,
        target: int,
        partition: int,
        until: float,
        sums: dict[tuple[int, Target], ChunkedSum],
        came_in: set[tuple[str, int]],
    ) -> None:
        written = Counter(
            (model_id, int(at) // 60)
            for at, to, model_id in self.live
            if at < until and to == partition and partition_of(model_id, HISTOGRAMS.partitions) == target
        )
        assert written.keys() <= came_in
        for model in {model_id for model_id, _ in written}:
            emitted = sum(
                counts_of(known.values()).total
                for (source, each), known in sums.items()
                if source == partition and each.kind is Kind.FINE and each.model_id == model
            )
            assert emitted >= sum(count for (model_id, _), count in written.items() if model_id == model)


@pytest.fixture(autouse=True)
def all_takes_turns(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let others in wherever work may give way to them, and let backfilled panes wait for long."""
    monkeypatch.setattr(emission, "BACKFILLED_PER_SECOND", 1)
    monkeypatch.setattr(event_loop_slices, "SLICE_SECONDS", 0.0)
    monkeypatch.setattr(event_loop_slices.Pacer.__init__, "__defaults__", (0.0,))


async def read_again(log: MemoryLog) -> None:
    """One bad record among good ones; Kafka refuses what is emitted of them for a while."""
    for topic in TOPICS:
        log.create(topic.name, topic.partitions)
    good = orjson.dumps({"model_id": "a", "prediction": 1.0})
    for value in (good, b"{", good):
        log.append(PREDICTIONS.name, value, partition=0, timestamp=NOON * 1000)
    worker = Worker(log)
    await asyncio.sleep(0.5)
    for _ in range(5):
        log.fail_next("publish", KafkaConnectionError())
    await asyncio.sleep(60)
    worker.kill()


def test_a_bad_record_that_is_read_again_after_a_failure_is_dead_lettered_once() -> None:
    log = MemoryLog(1, Chances(longest_pause=0.01))
    run_in_virtual_time(read_again(log))
    assert log.records(HISTOGRAMS.name), "in the end all is emitted"
    assert len(log.records(DEAD_LETTERS.name)) == 1


async def truncated(log: MemoryLog) -> None:
    """The end of the log is lost, as by an unclean election; other events are written in its place."""
    for topic in TOPICS:
        log.create(topic.name, topic.partitions)
    value = orjson.dumps({"model_id": "a", "prediction": 1.0})
    (partition,) = (each for each in log.partitions_of([PREDICTIONS.name]) if each.partition == 0)
    for _ in range(10):
        log.append(PREDICTIONS.name, value, partition=0, timestamp=NOON * 1000)
    worker = Worker(log)
    await asyncio.sleep(5)
    part = log.partition(partition)
    del part.records[4:]
    part.end = 4
    log.notify()
    await asyncio.sleep(5)
    for _ in range(9):
        log.append(PREDICTIONS.name, value, partition=0, timestamp=NOON * 1000)
    await asyncio.sleep(30)
    worker.kill()


def test_what_is_left_of_a_log_that_became_shorter_is_counted_once() -> None:
    log = MemoryLog(1, Chances(longest_pause=0.01))
    run_in_virtual_time(truncated(log))
    sums: dict[Target, ChunkedSum] = {}
    for record in log.records(HISTOGRAMS.name):
        for partial in unpack_record(record.value):
            sums[partial.target] = sums.get(partial.target, NOTHING).apply(partial.label, partial.payload)
    counts = [counts_of(known.values()).total for target, known in sums.items() if target.kind is Kind.COARSE]
    assert counts == [4 + 9]


@pytest.mark.parametrize("block", range(4))
def test_every_event_is_counted_once_and_every_bad_record_is_dead_lettered(block: int) -> None:
    for seed in range(10 * block, 10 * block + 10):
        schedule = Schedule(seed)
        try:
            run_in_virtual_time(schedule.run())
            assert schedule.counted() == schedule.sent
            seen = {
                target.model_id: facts_of(known.values())
                for target, known in schedule.sums().items()
                if target.kind is Kind.FACTS
            }
            assert all(facts.late == facts.future == 0 for facts in seen.values())
            letters = {
                (letter["partition"], letter["offset"])
                for letter in map(orjson.loads, (r.value for r in schedule.log.records(DEAD_LETTERS.name)))
            }
            assert len(letters) == schedule.bad
        except BaseException as err:
            err.add_note(f"seed {seed}")
            raise
