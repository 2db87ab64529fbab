"""The processor's tables outlive their worker: killed, and its folder lost, the next one says the same counts."""

from __future__ import annotations

import shutil
import signal
import time
from collections import Counter
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import orjson
import pytest
from aiokafka import AIOKafkaProducer

from sentryml_common.contracts.activity import Activity
from sentryml_common.contracts.dead_letter import DeadLetter
from sentryml_common.contracts.evaluation import Evaluation, Window
from sentryml_common.contracts.message import decode, encode
from sentryml_common.contracts.monitor import Monitor
from sentryml_common.contracts.topics import ACTIVITY, DEAD_LETTERS, EVALUATIONS, HISTOGRAMS, MONITORS
from tests.integration.drift.conftest import Part, StartPart, event, produce
from tests.support.eventually import eventually
from tests.support.http_client import http_client
from tests.support.own_kafka import OwnKafka

FINE_SECONDS = EVERY_SECONDS = 1.0
EVENTS = 1200
SPAN_SECONDS = 400.0


async def activity_of(kafka: OwnKafka, model_id: str, since: datetime) -> Activity | None:
    """The newest that was said of a model."""
    records = await kafka.records(ACTIVITY)
    said = [decode(Activity, record.value) for record in records if record.key == model_id.encode()]
    return said[-1] if said and said[-1].at > since else None


async def evaluation_of(kafka: OwnKafka, model_id: str, since: datetime) -> Evaluation | None:
    records = await kafka.records(EVALUATIONS)
    said = [decode(Evaluation, record.value) for record in records if record.key == model_id.encode()]
    return said[-1] if said and said[-1].evaluated_at > since else None


@pytest.fixture
async def events(producer: AIOKafkaProducer, model_id: str) -> list[dict[str, Any]]:
    """Those of a model over some minutes, in Kafka, and a monitor of the model."""
    made = [event(model_id, number, SPAN_SECONDS * number / EVENTS) for number in range(EVENTS)]
    await produce(producer, 0, *(orjson.dumps(made[first : first + 10]) for first in range(0, EVENTS, 10)))
    return made


@pytest.fixture
async def watched(producer: AIOKafkaProducer, model_id: str) -> AsyncIterator[str]:
    """The model, with a monitor of short windows."""
    monitor = Monitor(
        model_id=model_id,
        version=1,
        baseline_seconds=600,
        current_seconds=60,
        every_seconds=EVERY_SECONDS,
        min_baseline_coverage=0,
    )
    await producer.send_and_wait(MONITORS.name, encode(monitor), key=model_id.encode())
    yield model_id
    await producer.send_and_wait(MONITORS.name, None, key=model_id.encode())


def left_out(part: Part) -> int:
    """How many evaluations a processor says that it has left out."""
    said = [orjson.loads(line) for line in part.log.read_text().splitlines() if '"evaluations_skipped"' in line]
    return sum(line["count"] for line in said)


def within(events: list[dict[str, Any]], window: Window) -> int:
    return sum(window.start.timestamp() <= each["timestamp"] < window.end.timestamp() for each in events)


async def says_what_was_produced(kafka: OwnKafka, model_id: str, events: list[dict[str, Any]], since: datetime) -> None:
    """Wait until the model's activity and evaluations are of after `since`, and hold them against the events."""

    async def active() -> Activity | None:
        return await activity_of(kafka, model_id, since)

    async def evaluated() -> Evaluation | None:
        return await evaluation_of(kafka, model_id, since)

    activity = await eventually(active, what="activity of the model")
    assert activity is not None
    assert sum(pane.count for pane in activity.coarse_panes) == len(events)
    assert {signal.signal.value: signal.numbers + signal.categories for signal in activity.signals} == {
        "score": len(events),
        "prediction": len(events),
    }
    assert activity.first_seen.timestamp() == pytest.approx(min(each["timestamp"] for each in events))
    evaluation = await eventually(evaluated, what="an evaluation of the model")
    assert evaluation is not None
    for found in evaluation.signals:
        assert found.baseline_count == within(events, evaluation.baseline) > 0
        assert found.current_count == within(events, evaluation.current)


async def test_records_that_cannot_be_read_are_dead_lettered_and_hold_nothing_up(
    kafka: OwnKafka, start: StartPart, producer: AIOKafkaProducer, tmp_path: Path, model_id: str
) -> None:
    bad = [
        await producer.send_and_wait(HISTOGRAMS.name, value, key=b"key", partition=partition)
        for value in (None, b"", b"\x01 no partial")
        for partition in range(HISTOGRAMS.partitions)
    ]
    start("combiner", fine_pane_seconds=FINE_SECONDS)
    processor = start("processor", fine_pane_seconds=FINE_SECONDS, state_dir=tmp_path / "state")
    await produce(producer, 0, orjson.dumps(event(model_id, 1)))

    async def counted() -> bool:
        found = await activity_of(kafka, model_id, datetime.fromtimestamp(0, UTC))
        return found is not None and sum(pane.count for pane in found.coarse_panes) == 1

    async def dead_lettered() -> bool:
        records = await kafka.records(DEAD_LETTERS)
        letters = [decode(DeadLetter, record.value) for record in records]
        found = Counter((letter.partition, letter.offset) for letter in letters if letter.topic == HISTOGRAMS.name)
        return found == Counter((record.partition, record.offset) for record in bad)

    await eventually(counted, what="the event to be counted")
    await eventually(dead_lettered, what="a dead letter of each bad record")
    assert processor.process.poll() is None


@pytest.mark.parametrize("store", ["rocksdb", "memory"])
async def test_a_worker_killed_and_its_folder_lost_changes_no_count(
    kafka: OwnKafka,
    start: StartPart,
    events: list[dict[str, Any]],
    watched: str,
    store: str,
    tmp_path: Path,
) -> None:
    settings = {"fine_pane_seconds": FINE_SECONDS, "store": store, "state_dir": tmp_path / "state"}
    combiner = start("combiner", fine_pane_seconds=FINE_SECONDS)
    first = start("processor", **settings)

    async def all_counted() -> bool:
        found = await activity_of(kafka, watched, datetime.fromtimestamp(0, UTC))
        return found is not None and sum(pane.count for pane in found.coarse_panes) == EVENTS

    async def evaluated() -> Evaluation | None:
        found = await evaluation_of(kafka, watched, datetime.fromtimestamp(0, UTC))
        return found if found is not None and found.activity is not None else None

    begun = datetime.fromtimestamp(time.time(), UTC)
    await eventually(all_counted, what="all events to be counted")
    found = await eventually(evaluated, what="an evaluation that knows how far the log is read")
    assert found is not None
    assert found.activity is not None
    assert begun - timedelta(seconds=60) < found.activity.last_received < found.activity.read_until
    assert found.activity.read_until <= found.evaluated_at
    assert await combiner.end(signal.SIGTERM) == 0, "from here on, only the tables know"
    assert await first.end(signal.SIGKILL) == -signal.SIGKILL
    assert (tmp_path / "state").exists()
    shutil.rmtree(tmp_path / "state")
    killed_at = time.time()

    async def evaluations_fell_due() -> bool:
        return time.time() > killed_at + 3 * EVERY_SECONDS

    await eventually(evaluations_fell_due, what="evaluations to fall due while no processor runs")
    again = datetime.fromtimestamp(time.time(), UTC)
    second = start("processor", **settings)
    await second.until_ready()
    await says_what_was_produced(kafka, watched, events, again)
    unread = await evaluation_of(kafka, watched, again)
    assert unread is not None
    assert unread.activity is None or unread.activity.read_until < again, "no combiner says that it has read more"
    assert left_out(second) > 0, (
        "evaluations that fell due while no processor ran are not made up for, and that is said"
    )
    async with http_client() as client:
        metrics = (await client.get(f"{second.url}/metrics")).text
    assert f'sentryml_drift_partitions{{state="held"}} {HISTOGRAMS.partitions}.0' in metrics
    assert 'sentryml_drift_partitions{state="recovering"} 0.0' in metrics
    assert await second.end(signal.SIGTERM) == 0
