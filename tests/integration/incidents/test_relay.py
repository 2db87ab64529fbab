"""The outbox on a real PostgreSQL: order per key with many relays, nothing lost when one dies, and real Kafka."""

from __future__ import annotations

import asyncio
import random
from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass, replace
from itertools import pairwise
from typing import Any
from uuid import uuid5

import pytest
from aiokafka import AIOKafkaConsumer

from sentryml_common.contracts.api_key import ApiKey, Scope
from sentryml_common.contracts.message import decode
from sentryml_common.contracts.monitor import Monitor
from sentryml_common.contracts.topics import API_KEYS, MONITORS, TRANSITIONS, Topic
from sentryml_common.contracts.transition import SYSTEM, Transition
from sentryml_common.errors import Unavailable
from sentryml_common.health import Health
from sentryml_common.kafka.producer import Publisher, Record, open_publisher
from sentryml_common.kafka.topics import ensure_topics
from sentryml_common.postgres.pool import Pool, transaction
from sentryml_common.relay import Relay
from sentryml_common.settings import KafkaSettings
from sentryml_incidents.domain.api_keys import make_api_key
from sentryml_incidents.outboxes import METRICS, outboxes
from sentryml_incidents.store.people.api_keys import insert_api_key, revoke_api_key
from tests.integration.incidents.conftest import PUBLIC_URL, Life, StillClock, register
from tests.support.eventually import eventually
from tests.unit.incidents.builders import IDS, MODEL, MONDAY, quick


class Log(Publisher):
    """Kafka as the relay sees it: an append-only list, acknowledged a moment later, that may refuse."""

    def __init__(self, rng: random.Random, refuse: float = 0.0) -> None:
        self._rng, self._refuse = rng, refuse
        self.records: list[Record] = []

    async def publish(self, records: Iterable[Record]) -> None:
        for record in records:
            await asyncio.sleep(self._rng.random() / 200)
            self.records.append(record)
        if self._rng.random() < self._refuse:
            raise Unavailable("acknowledged, but the answer was lost")

    def of(self, topic: Topic) -> dict[str, list[Record]]:
        """Records by key, in order."""
        found = defaultdict(list)
        for record in self.records:
            if record.topic == topic.name and record.key is not None:
                found[record.key.decode()].append(record)
        return found


def relay(pool: Pool, log: Publisher) -> Relay:
    return Relay(pool, log, outboxes(PUBLIC_URL), METRICS, Health(), StillClock())


async def several_lives(pool: Pool, models: int, turns: int) -> None:
    """Models that open, escalate, resolve and reopen, each on its own."""

    async def live(number: int) -> None:
        await register(pool, f"model-{number}", quick())
        await Life(pool, model_id=f"model-{number}").sees(*["warn", "critical", "ok"] * turns)

    await asyncio.gather(*(live(number) for number in range(models)))


def sequences(log: Log) -> dict[str, list[int]]:
    return {
        key: [decode(Transition, record.value).sequence for record in records]
        for key, records in log.of(TRANSITIONS).items()
    }


@pytest.fixture
def small_claims(monkeypatch: pytest.MonkeyPatch) -> None:
    """Few rows at a time, so that several relays have something to do at once."""
    monkeypatch.setattr("sentryml_incidents.store.outbox.CLAIM_ROWS", 3)


@pytest.mark.usefixtures("small_claims")
async def test_four_relays_keep_the_order_of_every_model(pool: Pool) -> None:
    """Relays run while transitions are still being written."""
    log = Log(random.Random(1))
    relays = [asyncio.create_task(relay(pool, log).run()) for _ in range(4)]
    try:
        await several_lives(pool, models=5, turns=6)
        requested = {f"model-{number}": list(range(1, 19)) for number in range(5)}

        async def all_there() -> bool:
            return {key: len(each) for key, each in sequences(log).items()} == dict.fromkeys(requested, 18)

        await eventually(all_there, what="every transition to be published")
        assert sequences(log) == requested
    finally:
        for task in relays:
            task.cancel()
        await asyncio.gather(*relays, return_exceptions=True)


@pytest.mark.usefixtures("small_claims")
async def test_relays_that_fail_after_publishing_repeat_and_never_lose_or_reorder(pool: Pool) -> None:
    await several_lives(pool, models=4, turns=4)
    log = Log(random.Random(2), refuse=0.3)

    async def drain(one: Relay) -> None:
        while True:
            try:
                await one.publish_all()
            except Unavailable:
                continue
            return

    await asyncio.gather(*(drain(relay(pool, log)) for _ in range(4)))
    for published in sequences(log).values():
        firsts = list(dict.fromkeys(published))
        assert firsts == list(range(1, 13))
        steps = [after - before for before, after in pairwise(published)]
        assert max(steps) == 1, "a repetition goes back to what was not marked, and leaves nothing out from there"
    assert await pool.fetchval("SELECT count(*) FROM transition WHERE published_at IS NULL") == 0


async def test_a_transaction_that_commits_late_is_not_passed_over(pool: Pool, life: Life) -> None:
    """Positions are given before commit: a row that becomes visible after a later one was published is found."""
    log = Log(random.Random(3))
    await register(pool, "slow", quick())
    async with pool.acquire() as connection:
        slow = connection.transaction()
        await slow.start()
        await connection.execute("SELECT nextval(pg_get_serial_sequence('transition', 'position'))")
        await life.sees("critical")
        await relay(pool, log).publish_all()
        await slow.rollback()
    await Life(pool, model_id="slow").sees("critical")
    await relay(pool, log).publish_all()
    assert set(sequences(log)) == {MODEL, "slow"}


async def test_a_commit_wakes_the_relay(pool: Pool, life: Life, monkeypatch: pytest.MonkeyPatch) -> None:
    """With polling as good as switched off, NOTIFY alone does it."""
    monkeypatch.setattr("sentryml_common.relay.POLL_SECONDS", 3600.0)
    log = Log(random.Random(4))
    running = asyncio.create_task(relay(pool, log).run())
    try:

        async def listening() -> bool:
            return bool(await pool.fetchval("SELECT count(*) FROM pg_stat_activity WHERE query LIKE 'LISTEN%'"))

        async def published() -> bool:
            return MODEL in sequences(log)

        await eventually(listening, what="the relay to listen")
        await life.sees("critical")
        await eventually(published, what="the transition to be published", within=10)
    finally:
        running.cancel()
        await asyncio.gather(running, return_exceptions=True)


async def test_the_relay_listens_again_after_its_connection_was_cut(pool: Pool, life: Life) -> None:
    log = Log(random.Random(5))
    running = asyncio.create_task(relay(pool, log).run())
    cut = (
        "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE query LIKE 'LISTEN%' AND pid <> pg_backend_pid()"
    )
    try:

        async def was_cut() -> bool:
            return bool(await pool.fetch(cut))

        async def listens_again() -> bool:
            return bool(await pool.fetchval("SELECT count(*) FROM pg_stat_activity WHERE query LIKE 'LISTEN%'"))

        async def published() -> bool:
            return MODEL in sequences(log)

        await eventually(was_cut, what="a listening connection to cut")
        await eventually(listens_again, what="a new listening connection")
        await life.sees("critical")
        await eventually(published, what="the transition to be published")
    finally:
        running.cancel()
        await asyncio.gather(running, return_exceptions=True)


async def test_monitor_versions_and_keys_go_out_too(pool: Pool, life: Life) -> None:
    _, key = make_api_key("ci", (Scope.EVENTS_WRITE,), ("fraud-*",), None, bytes(48))
    log = Log(random.Random(6))
    async with transaction(pool) as connection:
        await insert_api_key(connection, key, SYSTEM, MONDAY)
    await relay(pool, log).publish_all()
    async with transaction(pool) as connection:
        assert await revoke_api_key(connection, key.key_id, MONDAY)
        assert await revoke_api_key(connection, key.key_id, MONDAY)
    await relay(pool, log).publish_all()
    keys = [decode(ApiKey, record.value) for record in log.of(API_KEYS)[key.key_id]]
    assert keys == [key, key.model_copy(update={"revoked_at": MONDAY})]
    (monitor,) = [decode(Monitor, record.value) for record in log.of(MONITORS)[MODEL]]
    assert (monitor.version, monitor.confirm_warn) == (1, 1)


async def test_an_answer_that_never_comes_leaves_the_row_for_others(pool: Pool, life: Life) -> None:
    await life.sees("critical")
    with pytest.raises(Unavailable):
        await relay(pool, Log(random.Random(7), refuse=1.0)).publish_all()
    log = Log(random.Random(8))
    await relay(pool, log).publish_all()
    assert sequences(log) == {MODEL: [1]}


@dataclass
class OwnTopics:
    """Topics of the test's own in the shared Kafka."""

    transitions: Topic
    monitors: Topic
    api_keys: Topic

    def __iter__(self) -> Any:
        return iter((self.transitions, self.monitors, self.api_keys))


@pytest.fixture
async def topics(kafka_settings: KafkaSettings, request: pytest.FixtureRequest, database_url: str) -> OwnTopics:
    mark = uuid5(IDS, f"{request.node.nodeid}/{database_url}").hex[:12]
    own = OwnTopics(*(replace(each, name=f"test.{mark}.{each.name}") for each in (TRANSITIONS, MONITORS, API_KEYS)))
    await ensure_topics(kafka_settings, Health(), own)
    return own


async def test_what_reaches_kafka_is_the_contract_under_the_models_key(
    pool: Pool, life: Life, kafka_settings: KafkaSettings, topics: OwnTopics
) -> None:
    await life.sees("warn", "critical", "ok")
    async with open_publisher(kafka_settings, Health()) as publisher:
        boxes = outboxes(PUBLIC_URL, transitions=topics.transitions, monitors=topics.monitors, api_keys=topics.api_keys)
        assert await Relay(pool, publisher, boxes, METRICS, Health(), StillClock()).publish_all() == 6
    consumer = AIOKafkaConsumer(
        topics.transitions.name, bootstrap_servers=kafka_settings.kafka_bootstrap, auto_offset_reset="earliest"
    )
    await consumer.start()
    try:
        records = [await asyncio.wait_for(consumer.getone(), 30) for _ in range(3)]
    finally:
        await consumer.stop()
    assert {record.key for record in records} == {MODEL.encode()}
    assert len({record.partition for record in records}) == 1
    steps = [decode(Transition, record.value) for record in records]
    assert [step.kind for step in steps] == ["opened", "escalated", "resolved"]
    assert steps[0].from_ is None
    assert steps[1].from_ == steps[0].to
    assert steps[0].incident_url == f"{PUBLIC_URL}/incidents/1"
    assert steps[0].why[0].top_bins[0].contribution == 0.234
