"""What becomes of each delivery is reported on Kafka: every state, once, and never in the way of sending."""

from __future__ import annotations

import asyncio
import signal
from collections.abc import AsyncIterator
from dataclasses import dataclass, replace
from datetime import timedelta
from pathlib import Path
from uuid import uuid5

import pytest
from aiokafka import AIOKafkaProducer

from sentryml_common.contracts.delivery import Delivery
from sentryml_common.contracts.topics import DELIVERIES, Topic
from sentryml_common.health import Health
from sentryml_common.kafka.producer import Publisher, open_publisher
from sentryml_common.kafka.topics import ensure_topics
from sentryml_common.postgres.pool import transaction
from sentryml_common.relay import Relay
from sentryml_common.settings import KafkaSettings
from sentryml_local.slack_stand_in.store import Script
from sentryml_notifier.relay import METRICS, outboxes
from sentryml_notifier.store.outbox import claim_deliveries, measure_outbox
from tests.integration.notifier.conftest import Slack, World
from tests.integration.notifier.test_lease_takeover import claim_and_vanish
from tests.integration.notifier.test_service import notifier, producer, publish, settings_of, titles_of
from tests.support.dying_notifier import STEPS
from tests.support.eventually import LONG_SECONDS, eventually
from tests.support.own_kafka import own_kafka
from tests.support.reading import messages_in
from tests.unit.notifier.builders import IDS, NIGHT, acknowledged, opened_critical, resolved

__all__ = ["producer"]


@dataclass
class Telling:
    """A relay to a topic of the test's own, and what is there."""

    world: World
    publisher: Publisher
    bootstrap: str
    topic: Topic

    def relay(self) -> Relay:
        return Relay(self.world.pool, self.publisher, outboxes(self.topic), METRICS, Health(), self.world.clock)

    async def reported(self) -> list[Delivery]:
        """Everything reported so far."""
        return await messages_in(self.bootstrap, self.topic, Delivery)

    async def tell(self) -> list[Delivery]:
        """Tell what has changed; return that."""
        before = len(await self.reported())
        count = await self.relay().publish_all()
        new = (await self.reported())[before:]
        assert len(new) == count
        return new


@pytest.fixture
async def telling(
    world: World, kafka_bootstrap: str, request: pytest.FixtureRequest, database_url: str
) -> AsyncIterator[Telling]:
    mark = uuid5(IDS, f"{request.node.nodeid}/{database_url}").hex[:12]
    topic = replace(DELIVERIES, name=f"test.{mark}.deliveries.v1", partitions=1)
    settings = KafkaSettings(kafka_bootstrap=kafka_bootstrap)
    await ensure_topics(settings, Health(), (topic,))
    async with open_publisher(settings, Health()) as publisher:
        yield Telling(world, publisher, kafka_bootstrap, topic)


async def test_a_delivery_is_reported_when_it_is_made_and_when_it_has_arrived(world: World, telling: Telling) -> None:
    alert = opened_critical()
    await world.take_in(alert)
    (made,) = await telling.tell()
    assert (made.revision, made.state, made.attempts, made.latency_seconds) == (1, "pending", 0, None)
    assert (made.channel, made.channel_kind, made.route) == ("slack", "slack_webhook", "slack")
    assert (made.transition_id, made.incident_id) == (alert.transition_id, alert.incident_id)
    assert (made.model_id, made.sequence, made.kind) == (alert.model_id, alert.sequence, alert.kind)
    world.clock.advance(0.2)
    await world.dispatch()
    (done,) = await telling.tell()
    assert (done.delivery_id, done.revision, done.state) == (made.delivery_id, 2, "delivered")
    assert (done.happened_at, done.delivered_at) == (NIGHT, NIGHT + timedelta(seconds=1.2))
    assert done.latency_seconds == pytest.approx(1.2)
    assert not done.possibly_repeated
    (attempt,) = done.latest_attempts
    assert (attempt.outcome, attempt.text, attempt.http_status) == ("delivered", "Accepted by Slack.", 200)
    assert await telling.tell() == [], "each change is reported once"


async def test_what_waits_says_why_and_until_when(world: World, telling: Telling) -> None:
    world.slack.play(Script(status=429, body="rate_limited", headers={"Retry-After": "7"}))
    await world.take_in(opened_critical())
    await world.dispatch()
    (reported,) = await telling.tell()
    assert (reported.state, reported.text) == ("pending", "Slack asked to send more slowly (429).")
    assert reported.due_at == world.clock.now + timedelta(seconds=7.35)


async def test_a_claim_alone_is_no_news(world: World, telling: Telling) -> None:
    await world.take_in(opened_critical())
    await telling.tell()
    await claim_and_vanish(world)
    assert await telling.tell() == []


async def test_what_is_undeliverable_and_what_is_freed_is_notified_of_every_delivery(
    world: World, telling: Telling
) -> None:
    world.slack.play(Script(status=410, body="channel_is_archived"))
    await world.take_in(opened_critical(incident=1), opened_critical(incident=2))
    await world.dispatch()
    undeliverable = await telling.tell()
    assert [(each.state, each.parked_because) for each in undeliverable] == [("parked", "channel_broken")] * 2
    assert all("is archived" in (each.text or "") for each in undeliverable)
    await world.open_channel()
    freed = await telling.tell()
    assert {each.state for each in freed} == {"pending"}
    await world.dispatch()
    done = await telling.tell()
    assert {each.state for each in done} == {"delivered"}
    for delivery in await world.deliveries():
        revisions = [each.revision for each in await telling.reported() if each.delivery_id == delivery["delivery_id"]]
        assert revisions == sorted(set(revisions)), "each change has a revision of its own"


async def test_a_message_that_may_have_come_twice_says_so(world: World, telling: Telling) -> None:
    world.slack.play(Script(status=504))
    await world.take_in(opened_critical())
    await world.dispatch()
    world.clock.advance(1)
    await world.dispatch()
    (reported,) = await telling.tell()
    assert (reported.state, reported.possibly_repeated, reported.attempts) == ("delivered", True, 2)
    assert [each.reason for each in reported.latest_attempts] == ["http_5xx", "ok"]


async def test_the_newest_attempts_travel_along(world: World, telling: Telling) -> None:
    world.slack.play(Script(status=503, times=24))
    await world.take_in(opened_critical())
    for _ in range(25):
        assert await world.dispatch(at_most=1) == 1
        world.clock.advance(300)
    (reported,) = await telling.tell()
    assert (reported.state, reported.attempts, len(reported.latest_attempts)) == ("delivered", 25, 20)
    assert reported.latest_attempts[-1].reason == "ok"
    assert [each.at for each in reported.latest_attempts] == sorted(each.at for each in reported.latest_attempts)


async def test_an_alert_that_no_route_takes_is_reported_with_what_to_do(world: World, telling: Telling) -> None:
    await world.pool.execute("UPDATE route SET model_patterns = '{fraud-*}'")
    unheard, quiet = opened_critical(), acknowledged()
    await world.take_in(unheard, quiet)
    await world.take_in(unheard)
    (reported,) = await telling.tell()
    assert (reported.state, reported.transition_id, reported.channel) == ("no_route", unheard.transition_id, None)
    assert reported.text is not None
    assert "later alerts go there" in reported.text
    await world.pool.execute("DELETE FROM route")
    await world.take_in(resolved(sequence=3))
    assert await telling.tell() == [], "nobody is notified of the end of an alert that nobody was notified of"
    await world.take_in(opened_critical(incident=2))
    (reported,) = await telling.tell()
    assert "Set SENTRYML_SLACK_WEBHOOK_URL" in (reported.text or "")


async def test_sending_does_not_wait_for_kafka(world: World, telling: Telling) -> None:
    """A relay holds what it has claimed for as long as Kafka does not answer."""
    await world.take_in(opened_critical(incident=1), opened_critical(incident=2))
    async with transaction(world.pool) as connection:
        assert len(await claim_deliveries(connection, world.clock())) == 2
        assert await world.dispatch() == 2
        await world.open_channel()
    assert {each.state for each in await telling.tell()} == {"delivered"}


async def test_relays_and_dispatchers_side_by_side_tell_how_it_ended(
    world: World, telling: Telling, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("sentryml_notifier.store.outbox.CLAIM_ROWS", 3)
    world.slack.play(Script(status=503, times=20))
    dispatcher = world.dispatcher(workers=3, jitter=0.0)
    running = [asyncio.create_task(each.run()) for each in (dispatcher, *(telling.relay() for _ in range(3)))]
    try:
        for number in range(1, 21):
            await world.take_in(opened_critical(incident=number))
            dispatcher.wake()

        async def all_told() -> bool:
            world.clock.advance(1)  # the channel's pace
            async with transaction(world.pool) as connection:
                pending, _ = await measure_outbox(connection, world.clock())
            return not pending and all(row["state"] == "delivered" for row in await world.deliveries())

        await eventually(all_told, what="every delivery to be delivered and reported")
    finally:
        for task in running:
            task.cancel()
        await asyncio.gather(*running, return_exceptions=True)
    newest = {}
    for reported in await telling.reported():
        if reported.delivery_id not in newest or newest[reported.delivery_id].revision < reported.revision:
            newest[reported.delivery_id] = reported
    rows = {row["delivery_id"]: (row["revision"], row["attempts"]) for row in await world.deliveries()}
    assert {key: (each.revision, each.attempts) for key, each in newest.items()} == rows
    assert {each.state for each in newest.values()} == {"delivered"}


async def states_of(bootstrap: str, model_id: str) -> list[str]:
    """The states of a model's one delivery as reported, by revision."""
    reported = await messages_in(bootstrap, DELIVERIES, Delivery, model_id)
    return [each.state for each in sorted(reported, key=lambda each: each.revision)]


async def delivered_is_reported(bootstrap: str, model_id: str) -> None:
    async def reported() -> bool:
        return (await states_of(bootstrap, model_id))[-1:] == ["delivered"]

    await eventually(reported, what="the delivery to be notified as delivered")


async def test_killed_at_each_step_of_telling_it_tells_in_the_end(
    kafka_bootstrap: str, database_url: str, slack: Slack, producer: AIOKafkaProducer, tmp_path: Path
) -> None:
    settings = settings_of(kafka_bootstrap, database_url, slack)
    for number, step in enumerate(STEPS):
        model_id = f"unrouted-{step}"
        with notifier(tmp_path, dies_at=(step, model_id), **settings) as service:
            await publish(producer, opened_critical(incident=200 + number, model_id=model_id))
            assert await asyncio.to_thread(service.process.wait, LONG_SECONDS) == -signal.SIGKILL, (
                service.log.read_text()
            )
    with notifier(tmp_path, **settings) as service:
        for step in STEPS:
            await delivered_is_reported(kafka_bootstrap, f"unrouted-{step}")
            assert len(await titles_of(slack, f"unrouted-{step}", 1)) == 1, "what was noted is not sent again"


async def test_while_kafka_is_away_slack_hears_and_the_rest_is_reported_later(
    world: World, database_url: str, slack: Slack, tmp_path: Path
) -> None:
    with own_kafka() as kafka:
        await ensure_topics(kafka.settings, Health())
        settings = settings_of(kafka.bootstrap, database_url, slack)
        with notifier(tmp_path, **settings) as service:
            await world.take_in(opened_critical(incident=1, model_id="before"))
            await delivered_is_reported(kafka.bootstrap, "before")
            with kafka.frozen():
                await world.take_in(opened_critical(model_id="meanwhile"))
                assert await titles_of(slack, "meanwhile", 1)

                async def says_so() -> object:
                    answer = await service.get("/readyz")
                    return answer is not None and "Kafka has not accepted pending records" in answer.text

                async def counts_what_waits() -> object:
                    pending = await world.pool.fetchval("SELECT count(*) FROM delivery_outbox")
                    answer = await service.get("/metrics")
                    shown = f"\nsentryml_notifier_outbox_pending {pending:.1f}\n"
                    return answer is not None and pending and shown in answer.text

                await eventually(says_so, what="/readyz to say that Kafka is away")
                await eventually(counts_what_waits, what="the metrics to count what waits in the database")
            await delivered_is_reported(kafka.bootstrap, "meanwhile")
            await service.ready()
