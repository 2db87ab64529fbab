"""What needs a Kafka of its own: the command over an empty one, and publishing to one that has frozen."""

from __future__ import annotations

import asyncio
import os
import subprocess
import sys
from collections.abc import AsyncIterator, Iterator
from contextlib import ExitStack
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from aiokafka import AIOKafkaConsumer, AIOKafkaProducer, TopicPartition
from aiokafka.admin import AIOKafkaAdminClient, NewPartitions, NewTopic
from aiokafka.admin.config_resource import ConfigResource, ConfigResourceType
from aiokafka.errors import TopicAuthorizationFailedError

from sentryml_common.clock import system_clock
from sentryml_common.contracts.topics import HISTOGRAMS, PREDICTIONS, TIMESTAMP_TYPE, TOPICS, Topic
from sentryml_common.errors import ConfigurationError, Unavailable
from sentryml_common.health import Health
from sentryml_common.kafka import client as client_module
from sentryml_common.kafka import producer as producer_module
from sentryml_common.kafka.client import ask_with_client, client_options
from sentryml_common.kafka.producer import Publisher, Record, open_publisher
from sentryml_common.kafka.topics import ensure_topics, find_differences
from tests.support.eventually import eventually
from tests.support.kafka_admin import kafka_admin
from tests.support.own_kafka import OwnKafka, own_kafka

REQUEST_SECONDS = 1


@pytest.fixture(scope="module")
def kafka() -> Iterator[OwnKafka]:
    """Without any topic at first."""
    with own_kafka() as own:
        yield own


def command(kafka: OwnKafka, action: str) -> subprocess.CompletedProcess[str]:
    """`sentryml-topics`, as a person runs it."""
    return subprocess.run(
        [str(Path(sys.executable).with_name("sentryml-topics")), action],
        env=os.environ | {"SENTRYML_KAFKA_BOOTSTRAP": kafka.bootstrap},
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )


async def configured(kafka: OwnKafka) -> dict[str, dict[str, str]]:
    """What Kafka says of each topic of the registry."""
    async with kafka_admin(kafka.bootstrap) as admin:
        asked = [ConfigResource(ConfigResourceType.TOPIC, topic.name) for topic in TOPICS]
        answers = await admin.describe_configs(asked)
    return {
        name: {entry[0]: entry[1] for entry in entries}
        for answer in answers
        for _, _, _, name, entries in answer.resources
    }


async def configure(kafka: OwnKafka, topic: Topic, config: dict[str, str]) -> None:
    """Give a topic another configuration, and wait until Kafka says so."""
    async with kafka_admin(kafka.bootstrap) as admin:
        await admin.alter_configs([ConfigResource(ConfigResourceType.TOPIC, topic.name, config)])

    async def done() -> bool:
        return (await configured(kafka))[topic.name].items() >= config.items()

    await eventually(done, what=f"{topic.name} to be configured")


async def test_check_names_what_is_missing_and_apply_makes_it_as_declared(kafka: OwnKafka) -> None:
    refused = command(kafka, "check")
    assert refused.returncode == 1
    assert refused.stdout.splitlines() == [f"{topic.name}: missing" for topic in TOPICS]
    applied = command(kafka, "apply")
    assert applied.returncode == 0, applied.stderr
    assert applied.stdout.splitlines() == [f"{topic.name}: as declared" for topic in TOPICS]
    checked = command(kafka, "check")
    assert (checked.returncode, checked.stdout) == (0, applied.stdout)
    found = await configured(kafka)
    assert {topic.name: {key: found[topic.name][key] for key in topic.config} for topic in TOPICS} == {
        topic.name: topic.config for topic in TOPICS
    }


async def test_a_topic_that_takes_its_producers_clocks_is_named_with_the_command_and_used_as_it_is(
    kafka: OwnKafka,
) -> None:
    await ensure_topics(kafka.settings, Health())
    await configure(kafka, PREDICTIONS, PREDICTIONS.config | {TIMESTAMP_TYPE: "CreateTime"})
    health = Health()
    await ensure_topics(kafka.settings, health)
    said = health.all_details["topics"][PREDICTIONS.name]
    assert "has message.timestamp.type=CreateTime, needs LogAppendTime" in said
    assert (
        f"kafka-configs.sh --bootstrap-server {kafka.settings.kafka_bootstrap} --alter --entity-type topics "
        f"--entity-name {PREDICTIONS.name} --add-config message.timestamp.type=LogAppendTime" in said
    )
    assert "kafka" not in health.waiting_for, "it does not keep a service from starting"
    checked = command(kafka, "check")
    assert checked.returncode == 1
    assert f"{PREDICTIONS.name}: {said}" in checked.stdout.splitlines()
    await configure(kafka, PREDICTIONS, PREDICTIONS.config)
    await ensure_topics(kafka.settings, health)
    assert health.all_details == {}


async def test_a_record_has_the_time_of_the_broker_whatever_its_producer_says(kafka: OwnKafka) -> None:
    await ensure_topics(kafka.settings, Health())
    three_hours_ago = int((system_clock() - timedelta(hours=3)).timestamp() * 1000)
    async with (
        AIOKafkaProducer(bootstrap_servers=kafka.bootstrap, compression_type="lz4") as producer,
        AIOKafkaConsumer(
            PREDICTIONS.name, bootstrap_servers=kafka.bootstrap, group_id=None, auto_offset_reset="earliest"
        ) as consumer,
    ):
        before = system_clock().timestamp()
        await producer.send_and_wait(PREDICTIONS.name, b"{}", timestamp_ms=three_hours_ago)
        record = await consumer.getone()
    assert record.timestamp / 1000 > before - 60


async def test_check_and_apply_refuse_an_internal_topic_of_another_size(kafka: OwnKafka) -> None:
    await ensure_topics(kafka.settings, Health())
    async with kafka_admin(kafka.bootstrap) as admin:
        await admin.create_partitions({PREDICTIONS.name: NewPartitions(8)})
        assert command(kafka, "check").returncode == 0, "predictions may grow"
        await admin.create_partitions({HISTOGRAMS.name: NewPartitions(5)})
    wrong = f"{HISTOGRAMS.name}: has 5 partitions, needs {HISTOGRAMS.partitions}"
    checked = command(kafka, "check")
    assert checked.returncode == 1
    assert wrong in checked.stdout.splitlines()
    applied = command(kafka, "apply")
    assert applied.returncode == 1
    assert wrong in applied.stderr
    assert "Traceback" not in applied.stderr


@pytest.fixture
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    """Clients that ask for topics do not wait long for an answer."""
    monkeypatch.setattr(
        client_module, "client_options", lambda given: client_options(given) | {"request_timeout_ms": 500}
    )


@pytest.mark.parametrize("make", [False, True])
async def test_ensuring_topics_waits_while_kafka_hangs(
    kafka: OwnKafka, impatient: None, monkeypatch: pytest.MonkeyPatch, make: bool
) -> None:
    """Kafka freezes once it has accepted the client's connection: its port is open, and it does not answer."""
    health, asked = Health(), "create_topics" if make else "describe_topics"
    health.ready("start")
    topic = replace(TOPICS[0], name=f"hanging-{make}".lower())
    if not make:
        await ensure_topics(kafka.settings, Health(), [topic])
    hanging, ask = ExitStack(), getattr(AIOKafkaAdminClient, asked)

    async def freeze_first(self: AIOKafkaAdminClient, *what: Any) -> Any:
        monkeypatch.setattr(AIOKafkaAdminClient, asked, ask)
        assert "kafka" in health.waiting_for, "it is not ready before Kafka has answered"
        hanging.enter_context(kafka.frozen())
        return await ask(self, *what)

    async def said() -> bool:
        return "does not answer" in health.waiting_for.get("kafka", "")

    monkeypatch.setattr(AIOKafkaAdminClient, asked, freeze_first)
    with hanging:
        ensuring = asyncio.create_task(ensure_topics(kafka.settings, health, [topic]))
        await eventually(said, what="the word on /readyz")
        assert not ensuring.done()
    await asyncio.wait_for(ensuring, 120)
    assert health.waiting_for == {}
    assert await find_differences(kafka.settings, Health(), [topic]) == {}


async def test_topics_that_kafka_refuses_to_make_are_a_configuration_that_does_not_fit(kafka: OwnKafka) -> None:
    settings = kafka.settings.model_copy(update={"topics_replication": 3})
    with pytest.raises(ConfigurationError, match=r"Kafka refused to make the topic lone: InvalidReplicationFactor"):
        await ensure_topics(settings, Health(), [replace(TOPICS[0], name="lone")])


async def test_refusal_is_not_waited_out(kafka: OwnKafka) -> None:
    """Whatever it is about: waiting for an authorization would be for ever."""

    async def refused(_: AIOKafkaAdminClient) -> None:
        raise TopicAuthorizationFailedError("no")

    with pytest.raises(ConfigurationError, match="refuses what is asked of it: TopicAuthorizationFailedError"):
        await ask_with_client(
            lambda: AIOKafkaAdminClient(bootstrap_servers=kafka.bootstrap), refused, kafka.settings, Health()
        )


@pytest.fixture
async def publisher(kafka: OwnKafka, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Publisher]:
    """One that does not wait long for an answer."""
    monkeypatch.setattr(producer_module, "REQUEST_TIMEOUT_SECONDS", REQUEST_SECONDS)
    async with open_publisher(kafka.settings, Health()) as own:
        yield own


async def test_what_is_published_while_kafka_is_frozen_lands_once_and_in_order(
    kafka: OwnKafka, publisher: Publisher
) -> None:
    async with kafka_admin(kafka.bootstrap) as admin:
        await admin.create_topics([NewTopic("frozen", 1, 1)])
    await publisher.publish([Record("frozen", None, b"before")])
    with kafka.frozen():
        publishing = asyncio.create_task(
            publisher.publish([Record("frozen", None, b"1"), Record("frozen", None, b"2")])
        )
        done, _ = await asyncio.wait({publishing}, timeout=2 * REQUEST_SECONDS)
        assert not done, "nothing is published that Kafka has not acknowledged"
    await asyncio.wait_for(publishing, 60)
    await publisher.publish([Record("frozen", None, b"after")])
    assert await values_of(kafka, "frozen") == [b"before", b"1", b"2", b"after"]


async def values_of(kafka: OwnKafka, topic: str) -> list[bytes]:
    async with AIOKafkaConsumer(bootstrap_servers=kafka.bootstrap, group_id=None) as consumer:
        partition, found = TopicPartition(topic, 0), list[bytes]()
        consumer.assign([partition])
        await consumer.seek_to_beginning(partition)
        end = (await consumer.end_offsets([partition]))[partition]
        while await consumer.position(partition) < end:
            found += [r.value for r in (await consumer.getmany(partition, timeout_ms=200)).get(partition, [])]
        return found


async def test_a_topic_that_kafka_does_not_know_is_unavailable_in_bounded_time(publisher: Publisher) -> None:
    with pytest.raises(Unavailable, match="Kafka did not accept the records"):
        await asyncio.wait_for(publisher.publish([Record("nowhere", None, b"x")]), 60)
