"""When Kafka last answered, as a metric: the alert on Kafka uses it, since Kafka exports none itself."""

from __future__ import annotations

import pytest

from sentryml_common.health import Health
from sentryml_common.kafka import producer
from sentryml_common.metrics import KAFKA_ANSWERED
from tests.support.eventually import eventually
from tests.support.own_kafka import own_kafka


def answered() -> float:
    return float(KAFKA_ANSWERED._value.get())


async def answers_again(since: float) -> None:
    async def later() -> bool:
        return answered() > since

    await eventually(later, what="Kafka's next answer to be noted")


async def test_metric_moves_while_kafka_answers_and_stays_while_it_does_not(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(producer, "ASK_SECONDS", 0.05)
    monkeypatch.setattr(producer, "REQUEST_TIMEOUT_SECONDS", 1)
    with own_kafka() as kafka:
        async with producer.open_publisher(kafka.settings, Health()) as publisher:
            await answers_again(answered())
            client = publisher._producer.client
            with kafka.frozen():

                async def fails() -> bool:
                    return not await client.force_metadata_update()

                await eventually(fails, what="Kafka to be asked in vain")
                last = answered()
                assert await fails()
                assert await fails()
                assert answered() == last
            await answers_again(last)
