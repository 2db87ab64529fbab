"""`sentryml-topics apply | check`: the topics in Kafka as the registry declares them.

`apply` makes what is missing; `check` only compares. Neither ever deletes or shrinks anything.
"""

from __future__ import annotations

import argparse
import asyncio
import sys
from collections.abc import Iterable

from aiokafka.admin import AIOKafkaAdminClient, NewTopic
from aiokafka.admin.config_resource import ConfigResource, ConfigResourceType
from aiokafka.errors import TopicAlreadyExistsError, for_code

from sentryml_common.contracts.topics import TIMESTAMP_TYPE, TOPICS, Topic
from sentryml_common.errors import ConfigurationError
from sentryml_common.health import Health
from sentryml_common.kafka.client import ask_admin
from sentryml_common.kafka.topic_ids import open_topic_ids
from sentryml_common.logging import configure_logging, get_logger
from sentryml_common.settings import KafkaSettings, LogSettings, load_settings

log = get_logger(__name__)

KNOWN_WITHIN_SECONDS, KNOWN_PAUSE_SECONDS = 15.0, 0.1


async def ensure_topics(settings: KafkaSettings, health: Health, topics: Iterable[Topic] = TOPICS) -> None:
    """Make sure that `topics` exist as declared; make the missing ones where the settings allow it. One that takes
    timestamps from another clock than declared is named in the log and on `/readyz`, and used as it is.

    Raises:
        ConfigurationError: a topic is missing and may not be made, or an internal one has another number of
            partitions than its tables and chunks were made for; or Kafka is older than 3.1.
    """
    async with open_topic_ids(settings, health) as ids:
        await ids.wait_for_ids(settings, health)  # of none: brokers that are too old are refused here
    requested = list(topics)
    problems = await find_differences(settings, health, requested)
    missing = [topic for topic in requested if problems.get(settings.prefixed(topic.name)) == "missing"]
    if missing and settings.topics_create:
        await _make(settings, health, missing)
        problems = await _differences_once_known(settings, health, requested)
    if problems:
        lines = "; ".join(f"{name}: {what}" for name, what in problems.items())
        raise ConfigurationError(f"topics are not as declared ({lines}). {_advice(problems)}")
    clocks = await find_other_clocks(settings, health, requested)
    health.details("topics", clocks)
    for name, what in clocks.items():
        log.warning("topic_not_as_declared", topic=name, why=what)


def _advice(problems: dict[str, str]) -> str:
    """What to do about differences, by their kinds."""
    advice = []
    if "missing" in problems.values():
        advice.append(
            "Run `sentryml-topics apply`, or let the services make what is missing with SENTRYML_TOPICS_CREATE=true."
        )
    if set(problems.values()) != {"missing"}:
        advice.append(
            "Tables and chunks depend on the number of partitions, and Kafka takes none away: where there are too "
            "many, delete the topic (what it holds is lost) and run `sentryml-topics apply`; where there are too few, "
            "add some."
        )
    return " ".join(advice)


async def _differences_once_known(settings: KafkaSettings, health: Health, topics: list[Topic]) -> dict[str, str]:
    """What differs, once the brokers know the topics that were made a moment ago, here or by another
    service: until then they still answer that there is no such topic."""
    loop = asyncio.get_running_loop()
    give_up = loop.time() + KNOWN_WITHIN_SECONDS
    while True:
        problems = await find_differences(settings, health, topics)
        if "missing" not in problems.values() or loop.time() > give_up:
            return problems
        await asyncio.sleep(KNOWN_PAUSE_SECONDS)


async def find_differences(settings: KafkaSettings, health: Health, topics: Iterable[Topic]) -> dict[str, str]:
    """What differs from the registry, by name in Kafka; an empty dictionary means nothing."""

    async def describe(admin: AIOKafkaAdminClient) -> dict[str, int]:
        return {found["topic"]: len(found["partitions"]) for found in await admin.describe_topics()}

    present = await ask_admin(describe, settings, health)
    named = {settings.prefixed(topic.name): topic for topic in topics}
    found = {name: _difference(topic, present.get(name)) for name, topic in named.items()}
    return {name: what for name, what in found.items() if what}


def _difference(topic: Topic, partitions: int | None) -> str | None:
    if partitions is None:
        return "missing"
    if partitions == topic.partitions or (topic.grows and partitions > topic.partitions):
        return None
    return f"has {partitions} partitions, needs {topic.partitions}"


async def find_other_clocks(settings: KafkaSettings, health: Health, topics: Iterable[Topic]) -> dict[str, str]:
    """Topics whose records get their timestamps from another clock than declared, by name in Kafka, with what to do
    about it.

    Where Kafka does not let us see its configuration, nothing is found.
    """
    requested = {
        settings.prefixed(topic.name): topic.config[TIMESTAMP_TYPE]
        for topic in topics
        if TIMESTAMP_TYPE in topic.config
    }

    async def describe(admin: AIOKafkaAdminClient) -> dict[str, str]:
        asked = [ConfigResource(ConfigResourceType.TOPIC, name, {TIMESTAMP_TYPE: None}) for name in requested]
        answers = await admin.describe_configs(asked)
        return {
            resource[3]: entry[1]
            for answer in answers
            for resource in answer.resources
            for entry in resource[4]
            if entry[0] == TIMESTAMP_TYPE
        }

    if not requested:
        return {}
    try:
        present = await ask_admin(describe, settings, health)
    except ConfigurationError as err:
        log.info("topic_configuration_not_seen", why=str(err))
        return {}
    return {
        name: _other_clock(settings, name, present[name], clock)
        for name, clock in requested.items()
        if name in present and present[name] != clock
    }


def _other_clock(settings: KafkaSettings, name: str, present: str, expected: str) -> str:
    return (
        f"has {TIMESTAMP_TYPE}={present}, needs {expected}: until then the clock of a producer decides "
        f"which of its events are late or in the future. Run `kafka-configs.sh --bootstrap-server "
        f"{settings.kafka_bootstrap} --alter --entity-type topics --entity-name {name} "
        f"--add-config {TIMESTAMP_TYPE}={expected}`; this is checked again when a service starts"
    )


async def _make(settings: KafkaSettings, health: Health, topics: list[Topic]) -> None:
    async def make(admin: AIOKafkaAdminClient) -> None:
        for topic in topics:
            await _make_one(admin, settings.prefixed(topic.name), topic, settings.topics_replication)

    await ask_admin(make, settings, health)


async def _make_one(admin: AIOKafkaAdminClient, name: str, topic: Topic, replication: int) -> None:
    """Make one topic, unless another service was faster."""
    new = NewTopic(name, topic.partitions, replication, topic_configs=topic.config)
    response = await admin.create_topics([new])
    code, message = response.topic_errors[0][1], response.topic_errors[0][2]
    error = for_code(code)
    if error is TopicAlreadyExistsError:
        return
    if error.retriable:
        raise error(message)
    if code != 0:
        raise ConfigurationError(f"Kafka refused to make the topic {name}: {error.__name__}: {message}")
    log.info("topic_made", topic=name, partitions=topic.partitions)


async def _command(action: str) -> int:
    configure_logging("sentryml-topics", load_settings(LogSettings))
    settings, health = load_settings(KafkaSettings), Health()
    if action == "apply":
        await ensure_topics(settings.model_copy(update={"topics_create": True}), health)
    differences = await find_differences(settings, health, TOPICS)
    differences = await find_other_clocks(settings, health, TOPICS) | differences
    names = [settings.prefixed(topic.name) for topic in TOPICS]
    lines = [f"{name}: {differences.get(name, 'as declared')}" for name in names]
    sys.stdout.write("\n".join(lines) + "\n")
    return 1 if differences else 0


def main() -> None:
    """Entry point of `sentryml-topics`."""
    parser = argparse.ArgumentParser(
        prog="sentryml-topics", description="The topics in Kafka as the registry declares them."
    )
    parser.add_argument("action", choices=["apply", "check"], help="apply makes what is missing; check only compares")
    try:
        sys.exit(asyncio.run(_command(parser.parse_args().action)))
    except ConfigurationError as err:
        sys.exit(f"sentryml-topics: {err}")
