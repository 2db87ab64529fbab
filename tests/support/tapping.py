"""A tap as a process, and what it has to do with Kafka."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from secrets import token_hex

from aiokafka.admin import NewTopic

from sentryml_common.health import Health
from sentryml_common.kafka.group_offsets import committed_offsets
from sentryml_common.settings import KafkaSettings
from tests.integration.ingest.conftest import Ingest
from tests.support.eventually import eventually
from tests.support.kafka_admin import kafka_admin
from tests.support.ports import free_port
from tests.support.processes import Process


class Tap(Ingest):
    """A running tap: what is asked of it is what is asked of an ingest."""


@contextmanager
def tapping(folder: Path, **settings: str) -> Iterator[Tap]:
    """A tap with settings, by their names without the prefix; it is killed at the end."""
    port, log = free_port(), folder / f"tap-{token_hex(4)}.log"
    environment = {f"SENTRYML_{name.upper()}": value for name, value in settings.items()}
    environment |= {"SENTRYML_HTTP_PORT": str(port), "SENTRYML_LOG_LEVEL": "debug"}
    process = Process("tests.support.impatient_kafka", "sentryml_tap", environment=environment, log=log)
    try:
        yield Tap(process, f"http://127.0.0.1:{port}", log)
    finally:
        process.kill()
        process.wait()


async def foreign_topic(kafka_bootstrap: str) -> str:
    """The name of a topic of two partitions that nobody else uses."""
    name = f"foreign.{token_hex(6)}"
    async with kafka_admin(kafka_bootstrap) as admin:
        await admin.create_topics([NewTopic(name, 2, 1)])
    return name


async def all_committed(kafka_bootstrap: str, group: str, topic: str, records: int) -> None:
    """Wait until a group has committed that it has read all records of a topic."""

    async def done() -> bool:
        commits = await committed_offsets(group, KafkaSettings(kafka_bootstrap=kafka_bootstrap), Health())
        mine = [commit for tp, commit in commits.items() if tp.topic == topic]
        return sum(commit.offset for commit in mine) == records and all(commit.metadata == "" for commit in mine)

    await eventually(done, what=f"{records} records of {topic} to be committed")
