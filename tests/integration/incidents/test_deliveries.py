"""What the notifier tells of deliveries: kept by the highest revision, and shown to who may see the model."""

from __future__ import annotations

import asyncio
import random
from dataclasses import replace
from itertools import permutations
from typing import Any
from uuid import UUID, uuid5

import httpx
import pytest
from aiokafka import AIOKafkaProducer

from sentryml_common.contracts.api_key import Scope
from sentryml_common.contracts.delivery import Delivery
from sentryml_common.contracts.message import encode
from sentryml_common.contracts.topics import DEAD_LETTERS, DELIVERIES
from sentryml_common.health import Health
from sentryml_common.kafka.consumer import BatchConsumer
from sentryml_common.kafka.dead_letter import DeadLetters
from sentryml_common.kafka.producer import open_publisher
from sentryml_common.kafka.topics import ensure_topics
from sentryml_common.postgres.pool import Pool
from sentryml_common.settings import KafkaSettings
from sentryml_incidents.consumers.deliveries import DeliveryConsumer
from tests.integration.incidents.conftest import Life, MakeClient
from tests.integration.incidents.test_stream import Replica, follower, replica
from tests.support.eventually import eventually
from tests.unit.incidents.builders import IDS, MODEL, Story, a_delivery

__all__ = ["replica"]

REVISIONS = [
    a_delivery("pending", revision=1),
    a_delivery("parked", revision=2, text="This Slack channel is archived."),
    a_delivery("pending", revision=3),
    a_delivery("delivered", revision=4),
]


async def of(api: httpx.AsyncClient, number: int = 1, **params: Any) -> list[dict[str, Any]]:
    answer = await api.get(f"/v1/incidents/{number}/deliveries", params=params)
    assert answer.status_code == 200, answer.text
    return list(answer.json()["items"])


async def incident_of(api: httpx.AsyncClient, life: Life) -> UUID:
    """An incident that is open."""
    await life.sees("critical")
    return UUID((await api.get("/v1/incidents/1")).json()["incident_id"])


async def test_a_delivery_is_shown_as_it_was_sent(api: httpx.AsyncClient, life: Life, pool: Pool) -> None:
    reported = a_delivery(incident_id=await incident_of(api, life))
    await DeliveryConsumer(pool).take_all([reported])
    (shown,) = await of(api)
    assert Delivery.model_validate(shown) == reported
    assert (shown["state"], shown["latency_seconds"], shown["channel"]) == ("delivered", 1.2, "slack")


@pytest.mark.parametrize("at_once", [True, False])
async def test_the_highest_revision_holds_in_whatever_order_they_come(
    api: httpx.AsyncClient, life: Life, pool: Pool, at_once: bool
) -> None:
    incident_id = await incident_of(api, life)
    consumer = DeliveryConsumer(pool)
    for number, order in enumerate(permutations(REVISIONS)):
        one = {"incident_id": incident_id, "delivery_id": uuid5(IDS, f"{number}")}
        reported = [each.model_copy(update=one) for each in order]
        for batch in [reported] if at_once else [[each] for each in reported]:
            await consumer.take_all(batch)
    shown = await of(api)
    assert len(shown) == 24
    assert {(each["revision"], each["state"]) for each in shown} == {(4, "delivered")}


async def test_telling_all_again_changes_nothing(api: httpx.AsyncClient, life: Life, pool: Pool) -> None:
    incident_id = await incident_of(api, life)
    story = [each.model_copy(update={"incident_id": incident_id}) for each in REVISIONS]
    await DeliveryConsumer(pool).take_all(story)
    before = await pool.fetch("SELECT *, xmin FROM delivery")
    for _ in range(2):
        await DeliveryConsumer(pool).take_all(random.Random(1).sample(story, len(story)))
    assert await pool.fetch("SELECT *, xmin FROM delivery") == before, "no row was written"


async def test_they_come_page_by_page_in_the_order_of_the_timeline(
    api: httpx.AsyncClient, life: Life, pool: Pool
) -> None:
    incident_id = await incident_of(api, life)
    reported = [
        a_delivery(incident_id=incident_id, sequence=sequence, delivery_id=uuid5(IDS, f"{sequence}/{channel}"))
        for sequence in (3, 1, 2)
        for channel in ("slack", "mail")
    ]
    await DeliveryConsumer(pool).take_all(reported)
    shown, cursor = [], None
    while True:
        params = {"limit": 4} | ({"cursor": cursor} if cursor else {})
        page = (await api.get("/v1/incidents/1/deliveries", params=params)).json()
        shown += page["items"]
        cursor = page["next_cursor"]
        if cursor is None:
            break
    assert [each["sequence"] for each in shown] == [1, 1, 2, 2, 3, 3]
    assert len({each["delivery_id"] for each in shown}) == 6


async def test_one_that_comes_before_its_incident_is_kept(api: httpx.AsyncClient, life: Life, pool: Pool) -> None:
    """A database that was set back: its incident is opened again, with the id that it had."""
    incident = Story().sees("critical").snapshot.incident
    assert incident is not None
    early = a_delivery(incident_id=incident.incident_id)
    await DeliveryConsumer(pool).take_all([early, a_delivery("no_route", delivery_id=UUID(int=1))])
    assert await incident_of(api, life) == incident.incident_id
    assert [each["delivery_id"] for each in await of(api)] == [str(early.delivery_id)]


async def test_a_key_for_other_models_sees_none(
    api: httpx.AsyncClient, client_with: MakeClient, life: Life, pool: Pool
) -> None:
    await DeliveryConsumer(pool).take_all([a_delivery(incident_id=await incident_of(api, life))])
    other, mine = [await client_with(Scope.READ, name=each, models=(each,)) for each in ("fraud-*", "flights-*")]
    refused = await other.get("/v1/incidents/1/deliveries")
    assert (refused.status_code, refused.json()["type"]) == (404, "urn:sentryml:problem:unknown-incident")
    assert len(await of(mine)) == 1


async def test_a_change_is_reported_on_the_stream_to_those_who_may_see_the_model(
    api: httpx.AsyncClient, client_with: MakeClient, life: Life, pool: Pool, replica: Replica
) -> None:
    incident_id = await incident_of(api, life)
    url = await replica()
    client = await follower(api, url, kind="delivery")
    other = await follower(await client_with(Scope.READ, name="fraud", models=("fraud-*",)), url)
    story = [each.model_copy(update={"incident_id": incident_id}) for each in REVISIONS]
    await DeliveryConsumer(pool).take_all(story[:1])
    await DeliveryConsumer(pool).take_all(story)
    await DeliveryConsumer(pool).take_all(story)
    await DeliveryConsumer(pool).take_all([a_delivery(model_id="fraud-eu", delivery_id=UUID(int=1))])
    reported = await client.until(3, "delivery")
    assert [(each["state"], each["revision"]) for each in reported] == [
        ("pending", 1),
        ("delivered", 4),
        ("delivered", 2),
    ]
    assert reported[0] == {
        "model_id": MODEL,
        "incident_id": str(incident_id),
        "transition_id": str(story[0].transition_id),
        "delivery_id": str(story[0].delivery_id),
        "revision": 1,
        "state": "pending",
    }
    assert [each["model_id"] for each in await other.until(1, "delivery")] == ["fraud-eu"]
    for each in (client, other):
        await each.stop()


async def test_from_kafka_to_the_api_and_what_cannot_be_read_is_set_aside(
    api: httpx.AsyncClient, life: Life, pool: Pool, kafka_settings: KafkaSettings, database_url: str
) -> None:
    reported = a_delivery(incident_id=await incident_of(api, life))
    mark = uuid5(IDS, database_url).hex[:12]
    topic = replace(DELIVERIES, name=f"test.{mark}.deliveries.v1")
    await ensure_topics(kafka_settings, Health(), (topic, DEAD_LETTERS))
    producer = AIOKafkaProducer(bootstrap_servers=kafka_settings.kafka_bootstrap)
    await producer.start()
    async with open_publisher(kafka_settings, Health()) as publisher:
        group = f"test.{mark}"
        consumer = BatchConsumer(
            topic, Delivery, group, DeliveryConsumer(pool).take_all, DeadLetters("incidents", publisher)
        )
        running = asyncio.create_task(consumer.run(kafka_settings, Health()))
        try:
            await producer.send_and_wait(topic.name, b'{"v":1}', MODEL.encode())
            await producer.send_and_wait(topic.name, encode(reported), MODEL.encode())

            async def shown() -> list[dict[str, Any]]:
                return await of(api)

            (item,) = await eventually(shown, what="the delivery to be shown")
            assert Delivery.model_validate(item) == reported
        finally:
            running.cancel()
            await asyncio.wait({running})
            await producer.stop()
