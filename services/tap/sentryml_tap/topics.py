"""Foreign topics of JSON: each record is sent on once, whatever ends when.

commit first offset, metadata "plan:LAST OFFSET"    what is sent next
send                                               its key is made of the plan: the same events, the same key
commit last offset + 1                             ingest has it

Who reads on after an end between these steps finds the plan, and sends the same events with the same key again, which
ingest counts once. While ingest is away the same batch is read again and again: so the group is served meanwhile.
"""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Iterable
from hashlib import sha256
from typing import Any, NoReturn

from aiokafka import ConsumerRebalanceListener, TopicPartition
from aiokafka.errors import CommitFailedError, KafkaError
from aiokafka.structs import OffsetAndMetadata

from sentryml_common.errors import Unavailable
from sentryml_common.health import Health
from sentryml_common.kafka.client import start_client
from sentryml_common.kafka.consumer import Batches, Consumer, make_consumer
from sentryml_common.kafka.group_offsets import committed_offsets
from sentryml_common.kafka.lag import LagSeries
from sentryml_common.logging import get_logger
from sentryml_common.metrics import CONSUMED_TOTAL, RETRIES_TOTAL
from sentryml_tap.domain.paths import FieldMapping
from sentryml_tap.domain.reading import Fault, TappedEvent, read
from sentryml_tap.metrics import DROPPED
from sentryml_tap.sender import Sender
from sentryml_tap.settings import TapSettings

log = get_logger(__name__)

PLAN = "plan:"
BATCH_RECORDS = 1_000
POLL_MILLISECONDS = 500
RETRY_PAUSE_SECONDS = 1.0
LONGEST_WAIT_SECONDS = 30.0
"""For ingest, before Kafka is asked again: a member that does not ask is thrown out of its group."""


class TopicReader:
    """Reads all topics that are tapped, in one group."""

    def __init__(self, settings: TapSettings, sender: Sender, health: Health) -> None:
        self._settings, self._sender, self._health = settings, sender, health
        self._mappings = settings.topics
        self._lag = {topic: LagSeries(topic) for topic in self._mappings}
        self._rebalances = _Rebalances()
        self._known = 0
        """The rebalance after which plans and places are known."""
        self._plans: dict[TopicPartition, int] = {}
        self._held: dict[TopicPartition, list[Any]] = {}

    async def run(self) -> NoReturn:
        """Read until cancelled. A consumer that fails is replaced."""
        while True:
            consumer = await start_client(self._make, self._settings, self._health)
            # Not before: a start waits for each topic, and one that is not there would stop all.
            consumer.subscribe(list(self._mappings), listener=self._rebalances)
            try:
                await self._consume(consumer)
            finally:
                self._clear_lag()
                await consumer.stop()
            await asyncio.sleep(RETRY_PAUSE_SECONDS)

    def _make(self) -> Consumer:
        return make_consumer(self._settings, self._settings.tap_group)

    async def _consume(self, consumer: Consumer) -> None:
        """Read until that fails."""
        while True:
            try:
                batches = await consumer.getmany(timeout_ms=POLL_MILLISECONDS, max_records=BATCH_RECORDS)
            except KafkaError as err:
                why = f"reading failed: {type(err).__name__}: {err}"
                log.warning("consumer_replaced", why=why)
                self._health.waiting("topics", why)
                return
            self._health.ready("topics")
            missing = [topic for topic in self._mappings if not consumer.partitions_for_topic(topic)]
            self._health.details("missing_topics", dict.fromkeys(missing, "is not in Kafka"))
            if self._known != self._rebalances.count:
                await self._begin(consumer, batches)
            else:
                await asyncio.gather(*(self._take(consumer, tp, records) for tp, records in batches.items()))

    async def _begin(self, consumer: Consumer, read: Batches) -> None:
        """After a rebalance: go back to what is committed, and know what was planned. What has been read since is read
        again."""
        count = self._rebalances.count
        commits = await committed_offsets(self._settings.tap_group, self._settings, self._health)
        starts = {tp: records[0].offset for tp, records in read.items()}
        starts |= {tp: commit.offset for tp, commit in commits.items()}
        for tp in consumer.assignment() & starts.keys():
            consumer.seek(tp, starts[tp])
        plans = {tp: commit.metadata.removeprefix(PLAN) for tp, commit in commits.items() if PLAN in commit.metadata}
        self._plans = {tp: int(last) for tp, last in plans.items() if last.isdecimal()}
        self._held.clear()
        self._clear_lag()
        self._known = count

    async def _take(self, consumer: Consumer, tp: TopicPartition, records: list[Any]) -> None:
        """Send the records of a partition that are next: the planned ones, else all that have been read."""
        held, planned = [*self._held.pop(tp, ()), *records], self._plans.get(tp)
        if planned is not None and held[-1].offset < planned:
            self._held[tp] = held
            return
        # Where retention has taken all that was planned, the plan is void.
        batch = [record for record in held if planned is None or record.offset <= planned] or held
        first, last = batch[0].offset, batch[-1].offset
        try:
            if last != planned:
                await self._commit(consumer, tp, first, f"{PLAN}{last}")
                self._plans[tp] = last
            await self._deliver(tp, batch)
        except (Unavailable, KafkaError) as err:
            await self._try_again(consumer, tp, first, err)
            return
        self._plans.pop(tp, None)
        try:
            await self._commit(consumer, tp, last + 1, "")
        except KafkaError as err:  # the next plan says the same; after a rebalance the batch is sent again
            log.info("commit_superseded", topic=tp.topic, why=type(err).__name__)
        if not self._owns(consumer, tp):
            return
        if last < held[-1].offset:
            consumer.seek(tp, last + 1)
        self._lag[tp.topic].show(tp.partition, last + 1, consumer.highwater(tp))

    def _owns(self, consumer: Consumer, tp: TopicPartition) -> bool:
        """Whether the partition is still the same one: not after a rebalance, though it may be here again."""
        return self._known == self._rebalances.count and tp in consumer.assignment()

    async def _commit(self, consumer: Consumer, tp: TopicPartition, offset: int, metadata: str) -> None:
        if not self._owns(consumer, tp):
            raise CommitFailedError("the group has been balanced")
        await consumer.commit({tp: OffsetAndMetadata(offset, metadata)})

    async def _try_again(self, consumer: Consumer, tp: TopicPartition, offset: int, err: Exception) -> None:
        RETRIES_TOTAL.labels(topic=tp.topic).inc()
        if isinstance(err, Unavailable):
            await self._sender.back(LONGEST_WAIT_SECONDS)
        else:
            log.info("batch_read_again", topic=tp.topic, partition=tp.partition, why=type(err).__name__)
            await asyncio.sleep(RETRY_PAUSE_SECONDS)
        if self._owns(consumer, tp):
            consumer.seek(tp, offset)
            self._lag[tp.topic].show(tp.partition, offset, consumer.highwater(tp))

    async def _deliver(self, tp: TopicPartition, batch: list[Any]) -> None:
        events, faults = _read(batch, self._mappings[tp.topic])
        refused = await self._sender.send(tp.topic, events, _key(self._settings.tap_group, batch))
        for _, fault in faults:
            DROPPED.labels(source=tp.topic, reason=fault.reason).inc()
        CONSUMED_TOTAL.labels(topic=tp.topic).inc(len(batch))
        _say(tp, [*faults, *((batch[0].offset, fault) for fault in refused)])

    def _clear_lag(self) -> None:
        for series in self._lag.values():
            series.clear()


def _read(batch: Iterable[Any], mapping: FieldMapping) -> tuple[list[TappedEvent], list[tuple[int, Fault]]]:
    """The events of records, and the faults of what could not be used, with offsets."""
    events: list[TappedEvent] = []
    faults: list[tuple[int, Fault]] = []
    for record in batch:
        if record.value is not None:
            reading = read(record.value, mapping, record.timestamp / 1000)
            events += reading.events
            faults += [(record.offset, fault) for fault in reading.faults]
    return events, faults


def _key(group: str, batch: list[Any]) -> str:
    """The same for the same records, and no others: the times tell a topic from one that had its name before."""
    first, last = batch[0], batch[-1]
    parts = group, first.topic, first.partition, first.offset, last.offset, first.timestamp, last.timestamp
    return sha256(repr(parts).encode()).hexdigest()


def _say(tp: TopicPartition, faults: Iterable[tuple[int, Fault]]) -> None:
    """Log each kind of fault of a batch once, with the first offset."""
    first: dict[Fault, int] = {}
    count: Counter[Fault] = Counter()
    for offset, fault in faults:
        first.setdefault(fault, offset)
        count[fault] += 1
    for fault, offset in first.items():
        where = {"topic": tp.topic, "partition": tp.partition, "offset": offset}
        log.warning("records_dropped", **where, count=count[fault], reason=fault.reason, why=fault.text)


class _Rebalances(ConsumerRebalanceListener):  # type: ignore[misc]
    """Counts rebalances."""

    def __init__(self) -> None:
        self.count = 0

    async def on_partitions_revoked(self, revoked: Iterable[TopicPartition]) -> None:
        self.count += 1

    async def on_partitions_assigned(self, assigned: Iterable[TopicPartition]) -> None:
        self.count += 1
