"""The tap as a process of its own, between a real Kafka and a real ingest."""

from __future__ import annotations

import random
import signal
from collections.abc import AsyncIterator, Iterable, Iterator
from contextlib import contextmanager
from itertools import chain
from pathlib import Path
from secrets import token_hex
from typing import Any

import httpx
import orjson
import pytest
from aiokafka import AIOKafkaConsumer, AIOKafkaProducer, TopicPartition
from aiokafka.admin import AIOKafkaAdminClient, NewTopic

from sentryml_common.contracts.api_key import Scope
from sentryml_common.contracts.topics import PREDICTIONS, TOPICS
from sentryml_common.http.health import Health
from sentryml_common.kafka.group_offsets import committed_offsets
from sentryml_common.settings import KafkaSettings
from tests.integration.ingest.conftest import Ingest, StartIngest, make_key, start_ingest
from tests.support.eventually import eventually
from tests.support.ingest_stand_in import KEY, Received, Reply, StandIn, stand_in
from tests.support.ports import free_port
from tests.support.processes import Process
from tests.unit.tap.conftest import as_ingest
from tests.unit.tap.test_kserve import ATTRIBUTES, V2

__all__ = ["start_ingest"]

SECRET = "n0t-f0r-y0u"
"""In all that is sent to the tap but in the fields that are mapped."""


class Tap(Ingest):
    """A running tap: what is asked of a process is the same."""


@contextmanager
def tapping(folder: Path, **settings: str) -> Iterator[Tap]:
    """A tap, which is killed at the end."""
    port, log = free_port(), folder / f"tap-{token_hex(4)}.log"
    environment = {f"SENTRYML_{name.upper()}": value for name, value in settings.items()}
    environment |= {"SENTRYML_HTTP_PORT": str(port), "SENTRYML_LOG_LEVEL": "debug"}
    process = Process("tests.support.impatient_kafka", "sentryml_tap", environment=environment, log=log)
    try:
        yield Tap(process, f"http://127.0.0.1:{port}", log)
    finally:
        process.kill()
        process.wait()


@pytest.fixture
async def topic(kafka_bootstrap: str) -> str:
    """A foreign topic of two partitions."""
    admin, name = AIOKafkaAdminClient(bootstrap_servers=kafka_bootstrap), f"foreign.{token_hex(6)}"
    await admin.start()
    try:
        await admin.create_topics([NewTopic(name, 2, 1)])
    finally:
        await admin.close()
    return name


@pytest.fixture
async def producer(kafka_bootstrap: str) -> AsyncIterator[AIOKafkaProducer]:
    """A foreign producer."""
    async with AIOKafkaProducer(bootstrap_servers=kafka_bootstrap) as producer:
        yield producer


async def all_committed(kafka_bootstrap: str, group: str, topic: str, records: int) -> None:
    """Wait until the group has committed that it has read all records of the topic."""

    async def done() -> bool:
        commits = await committed_offsets(group, KafkaSettings(kafka_bootstrap=kafka_bootstrap), Health())
        mine = [commit for tp, commit in commits.items() if tp.topic == topic]
        return sum(commit.offset for commit in mine) == records and all(commit.metadata == "" for commit in mine)

    await eventually(done, what=f"{records} records of {topic} to be committed")


class Afterwards:
    """Reads what has come into SentryML's topics since it began."""

    def __init__(self, kafka_bootstrap: str) -> None:
        self._consumer = AIOKafkaConsumer(bootstrap_servers=kafka_bootstrap, enable_auto_commit=False)

    async def __aenter__(self) -> Afterwards:
        await self._consumer.start()
        known = await self._consumer.topics()
        names = [topic for topic in TOPICS if topic.name in known]
        self._consumer.assign([TopicPartition(each.name, n) for each in names for n in range(each.partitions)])
        self._begin = await self._consumer.end_offsets(list(self._consumer.assignment()))
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._consumer.stop()

    async def records(self) -> list[Any]:
        """All of them."""
        ends, found = await self._consumer.end_offsets(list(self._begin)), []
        for tp, offset in self._begin.items():
            self._consumer.seek(tp, offset)
        while any([await self._consumer.position(tp) < end for tp, end in ends.items()]):
            for records in (await self._consumer.getmany(timeout_ms=200)).values():
                found += records
        return found


def foreign_records(rng: random.Random, model_id: str) -> Iterator[tuple[bytes, int]]:
    """Records with the secret, and how many predictions are in each that can be used."""
    values: list[Any] = [1, 0.5, True, "yes", {SECRET: 1}, [SECRET, 1], SECRET * 20, None]
    for number in range(300):
        rows = [
            {"p": rng.choice(values), SECRET: SECRET, "s": rng.choice([0.5, None])} for _ in range(rng.randint(0, 4))
        ]
        document = {"model": model_id, "features": {SECRET: [SECRET]}, "rows": rows}
        good = sum(isinstance(row["p"], bool | int | float) or row["p"] == "yes" for row in rows)
        match number % 10:
            case 0:
                yield orjson.dumps(document)[:-3], 0
            case 1:
                yield orjson.dumps({**document, "model": f"{SECRET} {SECRET}"}), 0
            case 2:
                yield orjson.dumps({**document, "at": SECRET}), 0
            case 3:
                yield rng.randbytes(20) + SECRET.encode(), 0
            case 4:
                yield orjson.dumps([SECRET, document]), 0
            case _:
                yield orjson.dumps(document), good


async def post_cloudevents(url: str, model_id: str) -> list[httpx.Response]:
    """Send what holds the secret and no prediction, and one event that holds two."""
    own = {**ATTRIBUTES, "inferenceservicename": model_id, "subject": SECRET, "id": SECRET}
    headers = {f"ce-{name}": value for name, value in own.items()} | {"content-type": "application/json"}
    structured, good = {"content-type": "application/cloudevents+json"}, {**V2, "parameters": {SECRET: SECRET}}
    now = {"ce-time": "2026-11-29T10:00:00Z"}
    sent: list[tuple[str, Any, dict[str, str]]] = [
        ("", {"instances": [SECRET]}, {**headers, "ce-type": "org.kubeflow.serving.inference.request"}),
        ("", f"{{{SECRET}".encode(), headers),
        ("", {"predictions": [{SECRET: SECRET}, SECRET * 20, [SECRET, SECRET]]}, headers),
        ("", {"predictions": [1]}, {**headers, "ce-time": SECRET}),
        ("", {"predictions": [1]}, {**headers, "ce-inferenceservicename": f"{SECRET} {SECRET}"}),
        (f"?{SECRET}={SECRET}", good, headers),
        ("?prediction=/data/outputs/0", good, headers),
        ("", {SECRET: SECRET, "data": SECRET}, structured),
        ("", {**own, "data_base64": SECRET}, structured),
        ("", f"[{SECRET}".encode(), structured),
        (f"/{SECRET}", good, headers),
        ("", good, {**headers, **now}),
    ]
    answers = []
    async with httpx.AsyncClient(trust_env=False, timeout=60) as client:
        for query, body, given in sent:
            content = body if isinstance(body, bytes) else orjson.dumps(body)
            answers.append(await client.post(f"{url}/kserve{query}", content=content, headers=given))
    return answers


def assert_nowhere(where: str, found: Iterable[bytes]) -> None:
    for text in found:
        assert SECRET.encode() not in text, f"a payload is in {where}: {text[:300]!r}"


async def test_predictions_get_through_and_no_payload_is_in_a_topic_a_log_an_answer_or_a_metric(
    kafka_bootstrap: str, topic: str, producer: AIOKafkaProducer, start_ingest: StartIngest, tmp_path: Path
) -> None:
    """Tables are made of topics alone, so nothing is in a table that is in no topic."""
    key, _ = await make_key(kafka_bootstrap, Scope.EVENTS_WRITE)
    ingest, group, model_id = (
        start_ingest(kafka_bootstrap=kafka_bootstrap, log_level="debug"),
        token_hex(6),
        token_hex(6),
    )
    await ingest.until_ready()
    missing = f"foreign.{token_hex(6)}"
    mapping = f"{topic} model_id=/model prediction=/rows/*/p score=/rows/*/s timestamp=/at segment=eu"
    mapping = f"{mapping} {missing} model_id=m prediction=/p"
    records = list(foreign_records(random.Random(1), model_id))
    for value, _ in records:
        await producer.send(topic, value, key=value[:20], headers=[(SECRET, SECRET.encode())])
    await producer.flush()
    settings = {"tap_ingest_url": ingest.url, "tap_api_key": key, "tap_topics": mapping, "tap_group": group}
    async with Afterwards(kafka_bootstrap) as afterwards:
        with tapping(tmp_path, kafka_bootstrap=kafka_bootstrap, tap_kserve="true", **settings) as tap:
            await tap.until_ready()
            answers = await post_cloudevents(tap.url, model_id)
            await all_committed(kafka_bootstrap, group, topic, len(records))
            ready, metrics = await tap.ask("GET", "/readyz"), await tap.ask("GET", "/metrics")
            assert await tap.stop() == 0
        found = await afterwards.records()
    assert [answer.status_code for answer in answers] == [200, *[422] * 9, 404, 200]
    events = [
        event
        for record in found
        if record.topic == PREDICTIONS.name
        for event in orjson.loads(record.value)
        if event["model_id"] == model_id
    ]
    assert len([event for event in events if event.get("segment") == "eu"]) == sum(good for _, good in records)
    assert sorted(event["prediction"] for event in events if event.get("version") == "7") == [0, 2]
    assert ready is not None
    assert ready.json()["missing_topics"] == {missing: "is not in Kafka"}
    assert metrics is not None
    assert f'sentryml_tap_dropped_total{{reason="invalid_field",source="{topic}"}}' in metrics.text
    assert {(line["topic"], line["reason"]) for line in tap.logged("records_dropped")} == {
        (topic, reason) for reason in ("not_json", "invalid_field", "missing_field")
    }
    assert_nowhere(
        "a topic",
        (part for record in found for part in (record.key, record.value, str(record.headers).encode()) if part),
    )
    assert_nowhere("a log", [tap.log.read_bytes(), ingest.log.read_bytes()])
    assert_nowhere("an answer", [answer.content + str(answer.headers.raw).encode() for answer in answers])
    assert_nowhere("a metric", [metrics.content])


async def test_what_was_accepted_when_the_tap_died_is_sent_again_with_the_same_key(
    kafka_bootstrap: str, topic: str, producer: AIOKafkaProducer, tmp_path: Path
) -> None:
    group, mapping = token_hex(6), f"{topic} model_id=m prediction=/p"

    async def produce(first: int, last: int) -> None:
        for number in range(first, last):
            await producer.send_and_wait(topic, b'{"p": %d}' % number, partition=0)

    await produce(0, 3)
    with stand_in() as ingest:
        ingest.answering = as_ingest
        settings = {
            "kafka_bootstrap": kafka_bootstrap, "tap_ingest_url": ingest.url, "tap_api_key": KEY,
            "tap_topics": mapping, "tap_group": group,
        }  # fmt: skip
        with tapping(tmp_path, **settings) as tap:

            def accept_and_kill(request: Received) -> Reply:
                if request.body:
                    tap.process.send_signal(signal.SIGKILL)
                return as_ingest(request)

            ingest.answering = accept_and_kill
            await eventually(lambda: has_ended(tap, ingest), what="the tap to be killed, and the answer to be given")
        [(key, numbers)] = requests(ingest).items()
        assert numbers == [0, 1, 2]
        await produce(3, 5)
        ingest.received.clear()
        ingest.answers.clear()
        ingest.answering = as_ingest
        with tapping(tmp_path, **settings) as tap:
            await all_committed(kafka_bootstrap, group, topic, 5)
            assert await tap.stop() == 0
        again = requests(ingest)
    assert again.pop(key) == [0, 1, 2]
    assert sorted(chain(*again.values())) == [3, 4]


def requests(ingest: StandIn) -> dict[str, list[float]]:
    """The predictions of each key."""
    found: dict[str, list[float]] = {}
    for request in ingest.accepted:
        if request.body:
            numbers = [event["prediction"] for event in request.body]
            assert found.setdefault(request.headers["idempotency-key"], numbers) == numbers
    return found


async def has_ended(tap: Tap, ingest: StandIn) -> bool:
    return tap.process.poll() is not None and bool(requests(ingest))
