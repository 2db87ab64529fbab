"""What others send to a tap beside the whole stack: its predictions are counted, and nothing else of it is anywhere."""

from __future__ import annotations

import random
import time
from collections.abc import Iterable, Iterator
from datetime import UTC, datetime
from pathlib import Path
from secrets import token_hex
from typing import Any

import httpx
import orjson
from aiokafka import AIOKafkaConsumer, AIOKafkaProducer, TopicPartition

from sentryml_common.contracts.topics import PREDICTIONS, TOPICS
from sentryml_local.stack import Stack
from tests.e2e.test_failures import counted
from tests.e2e.user import User
from tests.integration.keys.test_secrecy import everything_kept
from tests.support.eventually import eventually
from tests.support.http_client import http_client
from tests.support.tapping import all_committed, foreign_topic, tapping
from tests.unit.tap.test_kserve import ATTRIBUTES, V2

SECRET = "n0t-f0r-y0u"
"""In all that is sent to the tap, but in the values of the fields that are mapped."""


class Afterwards:
    """Reads what has come into SentryML's topics since it began."""

    def __init__(self, kafka_bootstrap: str) -> None:
        self._consumer = AIOKafkaConsumer(bootstrap_servers=kafka_bootstrap, enable_auto_commit=False)

    async def __aenter__(self) -> Afterwards:
        await self._consumer.start()
        self._consumer.assign([TopicPartition(topic.name, n) for topic in TOPICS for n in range(topic.partitions)])
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
    now = datetime.fromtimestamp(time.time(), UTC).isoformat()
    own = {**ATTRIBUTES, "inferenceservicename": model_id, "subject": SECRET, "id": SECRET, "time": now}
    headers = {f"ce-{name}": value for name, value in own.items()} | {"content-type": "application/json"}
    structured, good = {"content-type": "application/cloudevents+json"}, {**V2, "parameters": {SECRET: SECRET}}
    sent: list[tuple[str, Any, dict[str, str]]] = [
        ("", {"instances": [SECRET]}, {**headers, "ce-type": "org.kubeflow.serving.inference.request"}),
        ("", f"{{{SECRET}".encode(), headers),
        ("", {"predictions": [{SECRET: SECRET}, SECRET * 20, [SECRET, SECRET]]}, headers),
        ("", {"predictions": [1]}, {**headers, "ce-time": SECRET}),
        ("", {"predictions": [1]}, {**headers, "ce-time": "2021-04-10T00:23:26Z"}),
        ("", {"predictions": [1]}, {**headers, "ce-inferenceservicename": f"{SECRET} {SECRET}"}),
        (f"?{SECRET}={SECRET}", good, headers),
        ("?prediction=/data/outputs/0", good, headers),
        ("", {SECRET: SECRET, "data": SECRET}, structured),
        ("", {**own, "data_base64": SECRET}, structured),
        ("", f"[{SECRET}".encode(), structured),
        (f"/{SECRET}", good, headers),
        ("", good, headers),
    ]
    answers = []
    async with http_client(timeout=60) as client:
        for query, body, given in sent:
            content = body if isinstance(body, bytes) else orjson.dumps(body)
            answers.append(await client.post(f"{url}/kserve{query}", content=content, headers=given))
    return answers


def assert_nowhere(where: str, found: Iterable[bytes]) -> None:
    looked_at = 0
    for text in found:
        assert SECRET.encode() not in text, f"a payload is in {where}: {text[:300]!r}"
        looked_at += len(text)
    assert looked_at > 100, f"{where} is empty"


async def test_predictions_are_counted_and_no_payload_is_in_a_topic_a_table_a_log_an_answer_or_a_metric(
    stack: Stack, user: User, tmp_path: Path
) -> None:
    environment, group, model_id = stack.environment(), token_hex(6), f"tapped-{token_hex(6)}"
    kafka, records = environment["SENTRYML_KAFKA_BOOTSTRAP"], list(foreign_records(random.Random(1), model_id))
    topic = await foreign_topic(kafka)
    async with AIOKafkaProducer(bootstrap_servers=kafka) as producer:
        for value, _ in records:
            await producer.send(topic, value, key=value[:20], headers=[(SECRET, SECRET.encode())])
        await producer.flush()
    settings = {
        "kafka_bootstrap": kafka,
        "tap_ingest_url": environment["SENTRYML_INGEST_URL"],
        "tap_api_key": environment["SENTRYML_EVENTS_KEY"],
        "tap_topics": f"{topic} model_id=/model prediction=/rows/*/p score=/rows/*/s timestamp=/at segment=eu",
        "tap_group": group,
        "tap_kserve": "true",
    }
    good = sum(good for _, good in records)
    async with Afterwards(kafka) as afterwards:
        with tapping(tmp_path, **settings) as tap:
            await tap.until_ready()
            answers = await post_cloudevents(tap.url, model_id)
            await all_committed(kafka, group, topic, len(records))
            metrics = await tap.ask("GET", "/metrics")
            assert await tap.stop() == 0
        await eventually(counted(user, model_id, good + 2), what="the predictions to be counted")
        found = await afterwards.records()
    assert [answer.status_code for answer in answers] == [200, *[422] * 10, 404, 200]
    assert {(line["topic"], line["reason"]) for line in tap.logged("records_dropped")} == {
        (topic, reason) for reason in ("not_json", "invalid_field", "missing_field")
    }
    assert metrics is not None
    assert f'sentryml_tap_dropped_total{{reason="invalid_field",source="{topic}"}}' in metrics.text
    events = [event for record in found if record.topic == PREDICTIONS.name for event in orjson.loads(record.value)]
    assert len([event for event in events if event["model_id"] == model_id]) == good + 2
    assert_nowhere("a topic", (repr((record.key, record.value, record.headers)).encode() for record in found))
    assert_nowhere("a table", await everything_kept(environment["SENTRYML_POSTGRES_URL"]))
    assert_nowhere("a log", [tap.log.read_bytes(), *(log.read_bytes() for log in (stack.folder / "logs").iterdir())])
    assert_nowhere("an answer", [answer.content + str(answer.headers.raw).encode() for answer in answers])
    assert_nowhere("a metric", [metrics.content])
