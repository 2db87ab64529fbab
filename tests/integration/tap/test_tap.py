"""The tap as a process of its own, between a real Kafka and a stand-in for ingest."""

from __future__ import annotations

import signal
from itertools import chain
from pathlib import Path
from secrets import token_hex

from aiokafka import AIOKafkaProducer

from tests.support.eventually import eventually
from tests.support.ingest_stand_in import KEY, Received, Reply, StandIn, stand_in
from tests.support.tapping import Tap, all_committed, foreign_topic, tapping
from tests.unit.tap.conftest import as_ingest


async def test_what_was_accepted_when_the_tap_died_is_sent_again_with_the_same_key(
    kafka_bootstrap: str, tmp_path: Path
) -> None:
    topic, group = await foreign_topic(kafka_bootstrap), token_hex(6)
    missing = f"{topic}.missing"

    async def produce(first: int, last: int) -> None:
        async with AIOKafkaProducer(bootstrap_servers=kafka_bootstrap) as producer:
            for number in range(first, last):
                await producer.send_and_wait(topic, b'{"p": %d}' % number, partition=0)

    await produce(0, 3)
    with stand_in() as ingest:
        settings = {
            "kafka_bootstrap": kafka_bootstrap, "tap_ingest_url": ingest.url, "tap_api_key": KEY, "tap_group": group,
            "tap_topics": f"{missing} model_id=m prediction=/p {topic} model_id=m prediction=/p",
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
            ready = await tap.ask("GET", "/readyz")
            assert await tap.stop() == 0
        again = requests(ingest)
    assert again.pop(key) == [0, 1, 2]
    assert sorted(chain(*again.values())) == [3, 4]
    assert ready is not None
    assert ready.json()["missing_topics"] == {missing: "is not in Kafka"}


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
