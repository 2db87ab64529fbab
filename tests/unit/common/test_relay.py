"""The relay on schedules: outboxes in memory that behave as their tables do, and the log in memory for Kafka."""

from __future__ import annotations

import asyncio
from collections import defaultdict
from collections.abc import AsyncIterator, Callable, Coroutine
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any, cast

import asyncpg
import pytest
from prometheus_client import CollectorRegistry, Counter, Gauge
from structlog.testing import capture_logs

from sentryml_common.contracts.message import decode
from sentryml_common.contracts.topic_epoch import TopicEpoch
from sentryml_common.health import Health
from sentryml_common.kafka.producer import Publisher
from sentryml_common.outbox import Claim, Outbox
from sentryml_common.postgres.pool import Pool
from sentryml_common.relay import Outboxes, Relay, RelayMetrics
from tests.support.memory_log import Chances, MemoryLog, MemoryProducer
from tests.support.virtual_time import run_in_virtual_time

KEYS, STORM, MORE = "keys", "transitions", "more keys"
"""Outboxes; the last goes to the topic of the first."""
NOW = datetime(2026, 11, 23, tzinfo=UTC)
LONG = 300.0
CLAIM_ROWS = 20
SCHEDULES = 40


pytestmark = pytest.mark.usefixtures("quiet")


@dataclass(eq=False, slots=True)
class Row:
    """A row of an outbox; `holder` is the transaction that has locked it."""

    key: str
    number: int
    published: bool = False
    holder: Transaction | None = None


@dataclass(eq=False, slots=True)
class Transaction:
    """What it has claimed."""

    rows: list[Row] = field(default_factory=list)


class Database:
    """Outboxes whose rows are claimed as in the tables: of each key from its oldest on, by one transaction at a time.

    It is a pool, too: as much of one as the relay uses. With `faults`, connections break, at a commit before or after
    it has taken effect.
    """

    def __init__(self, log: MemoryLog, faults: float = 0.0) -> None:
        self.log, self.faults = log, faults
        self.rows: dict[str, list[Row]] = {KEYS: [], STORM: [], MORE: []}
        self.notified: set[Callable[..., None]] = set()

    def write(self, box: str, key: str) -> None:
        """The next row of a key in an outbox, with a NOTIFY, which may be lost."""
        number = sum(row.key == key for row in self.rows[box]) + 1
        self.rows[box].append(Row(key, number))
        for notified in self.notified if self.log.rng.random() < 0.8 else ():
            notified()

    def waiting(self, box: str) -> int:
        """How many rows are not published."""
        return sum(not row.published for row in self.rows[box])

    async def claim(self, connection: Any, box: str) -> list[Claim]:
        """Claim rows."""
        await asyncio.sleep(self.log.rng.random() * 0.01)
        if self.log.happens(self.faults):
            raise asyncpg.ConnectionDoesNotExistError("cut")
        unpublished = [row for row in self.rows[box] if not row.published]
        held = {row.key for row in unpublished if row.holder is not None}
        connection.rows = [row for row in unpublished if row.key not in held][:CLAIM_ROWS]
        for row in connection.rows:
            row.holder = connection
        return [Claim(row.key, TopicEpoch(topic=row.key, epoch=row.number, made_at=NOW)) for row in connection.rows]

    @asynccontextmanager
    async def acquire(self, timeout: float | None = None) -> AsyncIterator[Connection]:
        """A connection of the pool."""
        if self.log.happens(self.faults):
            raise asyncpg.CannotConnectNowError("starting up")
        yield Connection(self)


class Connection(Transaction):
    """A connection, and the one transaction on it."""

    def __init__(self, database: Database) -> None:
        super().__init__()
        self._database = database

    @asynccontextmanager
    async def transaction(self) -> AsyncIterator[None]:
        """What was claimed is published if this ends well, and free again if not."""
        database = self._database
        try:
            yield
            await asyncio.sleep(database.log.rng.random() * 0.01)
            broken = database.log.happens(database.faults)
            for row in self.rows:
                row.published = not broken or database.log.happens(0.5)
            if broken:
                raise asyncpg.ConnectionDoesNotExistError("cut")
        finally:
            for row in self.rows:
                row.holder = None

    def add_termination_listener(self, _: Callable[..., None]) -> None:
        """It runs until cancelled."""

    async def add_listener(self, _: str, notified: Callable[..., None]) -> None:
        """LISTEN."""
        self._database.notified.add(notified)

    async def remove_listener(self, _: str, notified: Callable[..., None]) -> None:
        """UNLISTEN."""
        self._database.notified.discard(notified)


def metrics() -> RelayMetrics:
    registry = CollectorRegistry()
    gauges = [Gauge(name, name, registry=registry) for name in ("pending", "oldest")]
    return RelayMetrics(Counter("published", "published", ["topic"], registry=registry), *gauges)


class Running:
    """A relay of a process of its own."""

    def __init__(self, database: Database) -> None:
        def box(name: str, topic: str | None = None) -> Outbox:
            return Outbox(topic or name, lambda connection, _: database.claim(connection, name))

        async def measure(*_: Any) -> tuple[int, float]:
            return 0, 0.0

        self.producer, self.health = MemoryProducer(database.log), Health()
        self.health.ready("start")
        boxes = Outboxes((box(KEYS), box(STORM), box(MORE, KEYS)), "channel", measure)
        pool = cast(Pool, database)
        self.task = asyncio.create_task(
            Relay(pool, Publisher(self.producer), boxes, metrics(), self.health, lambda: NOW).run()
        )

    async def stop(self) -> None:
        """End it; what it has given to Kafka still gets there."""
        self.task.cancel()
        await asyncio.wait([self.task])

    async def kill(self) -> None:
        """End it with all it has in hand."""
        self.producer.kill()
        await self.stop()


async def until(reached: Callable[[], bool], what: str) -> None:
    """Wait for a condition, five minutes at most."""
    end = asyncio.get_running_loop().time() + LONG
    while not reached():
        assert asyncio.get_running_loop().time() < end, f"waited {LONG:.0f} s for {what}"
        await asyncio.sleep(0.05)


def play(story: Callable[[MemoryLog], Coroutine[Any, Any, Database]], log: MemoryLog) -> Database:
    """Run a story on a log with the two topics."""
    log.create(KEYS, 1)
    log.create(STORM, 3)
    return run_in_virtual_time(story(log))


def published(log: MemoryLog, topic: str) -> dict[str, list[int]]:
    """Numbers by key, in the order of the log."""
    found = defaultdict(list)
    for record in log.records(topic):
        message = decode(TopicEpoch, record.value)
        found[message.topic].append(message.epoch)
    return found


def test_a_revoked_key_does_not_wait_for_a_backlog_of_transitions() -> None:
    async def story(log: MemoryLog) -> Database:
        database = Database(log)
        for number in range(1000):
            database.write(STORM, f"model-{number % 100}")
        relay = Running(database)
        await until(lambda: len(log.records(STORM)) > 200, "the relay to be at work")
        database.write(KEYS, "key")
        at = asyncio.get_running_loop().time()
        await until(lambda: bool(log.records(KEYS)), "the key")
        assert database.waiting(STORM) > 0
        assert asyncio.get_running_loop().time() - at < 1.5, "in the log's own time: a poll a second, and its pauses"
        await until(lambda: not database.waiting(STORM), "the transitions")
        await relay.stop()
        return database

    play(story, MemoryLog())


def test_a_topic_that_kafka_does_not_take_keeps_no_other_waiting_and_readyz_says_so() -> None:
    async def story(log: MemoryLog) -> Database:
        database = Database(log)
        log.hold(STORM)
        database.write(STORM, "model")
        relay = Running(database)
        await until(lambda: f": {STORM}" in relay.health.waiting_for.get("relay", ""), "/readyz to say so")
        database.write(KEYS, "key")
        await until(lambda: not database.waiting(KEYS), "the key")
        assert f": {STORM}" in relay.health.waiting_for["relay"]
        log.release(STORM)
        await until(lambda: not database.waiting(STORM), "the transition")
        await until(lambda: relay.health.waiting_for == {}, "/readyz to say that all is well")
        await relay.stop()
        return database

    play(story, MemoryLog())


def test_a_row_that_is_too_large_for_kafka_is_logged_and_holds_up_no_other() -> None:
    large = "model-" + 1000 * "x"

    async def story(log: MemoryLog) -> Database:
        log.most_bytes = 1000
        database = Database(log)
        for key in ("before", large, "after"):
            database.write(STORM, key)
        relay = Running(database)
        await until(lambda: not database.waiting(STORM), "the rows to be done with")
        assert relay.health.waiting_for == {}
        await relay.stop()
        return database

    log = MemoryLog()
    with capture_logs() as logs:
        play(story, log)
    assert published(log, STORM).keys() == {"before", "after"}
    assert [line["key"] for line in logs if line["event"] == "record_too_large"] == [large]


async def life(log: MemoryLog) -> Database:
    """Rows are written, relays come and go, both servers fail now and then; then all becomes calm."""
    database, rng = Database(log, faults=0.05), log.rng
    relays = [Running(database), Running(database)]
    for _ in range(40):
        for _ in range(rng.randint(0, 8)):
            box = rng.choice((KEYS, STORM, MORE))
            database.write(box, f"{box}-{rng.randrange(5)}")
        match rng.randrange(5):
            case 0 if relays:
                await relays.pop(rng.randrange(len(relays))).kill()
            case 1 if relays:
                await relays.pop(rng.randrange(len(relays))).stop()
            case 2 if len(relays) < 4:
                relays.append(Running(database))
        await asyncio.sleep(rng.random() * 3)
    log.chances, database.faults = Chances(), 0.0
    relays.append(Running(database))
    await until(lambda: not any(map(database.waiting, database.rows)), "all to be published")
    for relay in relays:
        assert not relay.task.done(), relay.task.exception()
        await relay.stop()
    return database


@pytest.mark.parametrize("batch", range(3))
def test_whatever_happens_rows_of_a_key_are_published_in_order_and_none_is_lost(batch: int) -> None:
    for seed in range(batch * SCHEDULES, (batch + 1) * SCHEDULES):
        log = MemoryLog(seed, Chances(publish=0.02))
        database = play(life, log)
        found = published(log, KEYS) | published(log, STORM)
        rows = [row for box in database.rows.values() for row in box]
        assert found.keys() == {row.key for row in rows}, f"seed {seed}"
        for key, numbers in found.items():
            expected = [row.number for row in rows if row.key == key]
            assert list(dict.fromkeys(numbers)) == expected, f"seed {seed}, {key}"
