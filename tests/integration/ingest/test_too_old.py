"""What is too old to count is refused by its model's own windows, as `monitors.v1` has them now."""

from __future__ import annotations

from collections import Counter
from typing import Any

from sentryml_common.clock import system_clock
from sentryml_common.contracts.api_key import Scope
from sentryml_common.contracts.message import encode
from sentryml_common.contracts.monitor import Monitor
from sentryml_common.contracts.topics import MONITORS
from sentryml_common.health import Health
from sentryml_common.kafka.producer import Record, open_publisher
from sentryml_common.settings import KafkaSettings
from tests.integration.ingest.conftest import Ingest, StartIngest, make_key, records_of
from tests.support.eventually import eventually

DAY = 86_400.0


async def publish_monitor(kafka_bootstrap: str, model_id: str, **windows: float) -> None:
    """Publish a monitor as incidents does, or a deletion where no windows are given."""
    value = encode(Monitor.model_validate({"model_id": model_id, "version": 1, **windows})) if windows else None
    async with open_publisher(KafkaSettings(kafka_bootstrap=kafka_bootstrap), Health()) as publisher:
        await publisher.publish([Record(MONITORS.name, model_id.encode(), value)])


def event(model_id: str, days_old: float) -> dict[str, Any]:
    return {"model_id": model_id, "prediction": 1, "timestamp": system_clock().timestamp() - days_old * DAY}


async def until_answered(ingest: Ingest, key: str, sent: dict[str, Any], status: int, answers: Counter[int]) -> str:
    """Wait until ingest answers so to an event; the answer's text. Counts all answers: until a change is known,
    they are those of before."""

    async def answered() -> list[str]:
        answer = await ingest.send(key, [sent])
        answers[answer.status_code] += 1
        return [answer.text] if answer.status_code == status else []

    return (await eventually(answered, what=f"{status} to {sent}"))[0]


async def test_windows_decide_how_old_an_event_may_be_and_ingest_follows_their_changes(
    kafka_bootstrap: str, start_ingest: StartIngest, model_id: str
) -> None:
    key, _ = await make_key(kafka_bootstrap, Scope.EVENTS_WRITE)
    await publish_monitor(kafka_bootstrap, model_id, baseline_seconds=20 * DAY, current_seconds=DAY)
    ingest = start_ingest(kafka_bootstrap=kafka_bootstrap)  # there is no PostgreSQL for it
    await ingest.until_ready()
    assert (await ingest.send(key, event(model_id, 20.9))).status_code == 202
    refused = await ingest.send(key, [event(model_id, 1), event(model_id, 21.1)])
    assert refused.status_code == 422
    [error] = refused.json()["errors"]
    assert (error["index"], error["field"]) == (1, "timestamp")
    assert "the monitor's windows reach back 1814400 s" in error["reason"]

    answers = Counter({202: 1})
    await publish_monitor(kafka_bootstrap, model_id, baseline_seconds=2 * DAY, current_seconds=DAY)
    assert "reach back 259200 s" in await until_answered(ingest, key, event(model_id, 20.9), 422, answers)
    await publish_monitor(kafka_bootstrap, model_id)
    await until_answered(ingest, key, event(model_id, 7.9), 202, answers)
    refused = await ingest.send(key, event(model_id, 8.1))
    assert "reach back 691200 s" in refused.json()["errors"][0]["reason"], "a model without a monitor has the default's"
    sizes = [len(events) for _, events in await records_of(kafka_bootstrap, model_id)]
    assert sizes == [1] * answers[202]


async def test_nothing_older_than_what_is_counted_is_taken_whatever_the_monitor_says(
    kafka_bootstrap: str, start_ingest: StartIngest, model_id: str
) -> None:
    key, _ = await make_key(kafka_bootstrap, Scope.EVENTS_WRITE)
    await publish_monitor(kafka_bootstrap, model_id, baseline_seconds=100 * DAY)
    ingest = start_ingest(kafka_bootstrap=kafka_bootstrap, longest_window_seconds=40 * DAY)
    await ingest.until_ready()
    refused = await ingest.send(key, event(model_id, 41))
    assert "SENTRYML_LONGEST_WINDOW_SECONDS" in refused.json()["errors"][0]["reason"]
    assert (await ingest.send(key, event(model_id, 39))).status_code == 202
