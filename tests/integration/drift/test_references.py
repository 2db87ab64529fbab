"""A running processor compares with the reference that the topic holds, and goes on where that cannot be read."""

from __future__ import annotations

from base64 import b64encode
from datetime import UTC, datetime
from pathlib import Path
from uuid import NAMESPACE_OID, UUID, uuid5

import orjson
from aiokafka import AIOKafkaProducer

from sentryml_common.contracts.evaluation import Evaluation, Level, Signal
from sentryml_common.contracts.message import decode, encode
from sentryml_common.contracts.monitor import Monitor
from sentryml_common.contracts.normal_time import NormalTime
from sentryml_common.contracts.reference import Reference, ReferenceSource
from sentryml_common.contracts.topics import EVALUATIONS, MONITORS, REFERENCES
from sentryml_statistics.histograms.pane_counts import PaneCounts
from tests.integration.drift.conftest import StartPart, event, produce
from tests.support.eventually import eventually
from tests.support.own_kafka import OwnKafka

FINE_SECONDS = 0.1
"""A coarse pane is 6 s, so that there is a comparison that often."""
EVENTS, SPAN_SECONDS = 2400, 800.0


async def put_in_force(producer: AIOKafkaProducer, model_id: str, revision: int, packed: bytes) -> UUID:
    """Publish a reference, and then the monitor that names it, as incidents does."""
    reference = Reference(
        reference_id=uuid5(NAMESPACE_OID, f"{model_id}/{revision}"),
        model_id=model_id,
        source=ReferenceSource.UPLOAD,
        made_at=datetime(2026, 11, 23, tzinfo=UTC),
        events=1000,
        counts=b64encode(packed).decode(),
    )
    await producer.send_and_wait(REFERENCES.name, encode(reference), key=model_id.encode())
    monitor = Monitor(
        model_id=model_id,
        version=1,
        baseline_seconds=600,
        current_seconds=240,
        every_seconds=1,
        min_baseline_coverage=0,
        normal_time=NormalTime(revision=revision, reference_id=reference.reference_id),
    )
    await producer.send_and_wait(MONITORS.name, encode(monitor), key=model_id.encode())
    return reference.reference_id


async def test_slow_drift_is_found_against_the_reference_in_the_topic_and_left_out_where_that_is_unreadable(
    kafka: OwnKafka, start: StartPart, producer: AIOKafkaProducer, tmp_path: Path, model_id: str
) -> None:
    made = [event(model_id, number, SPAN_SECONDS * number / EVENTS) for number in range(EVENTS)]
    await produce(producer, 0, *(orjson.dumps(made[first : first + 10]) for first in range(0, EVENTS, 10)))
    await put_in_force(producer, model_id, 1, b"no histogram")
    start("combiner", fine_pane_seconds=FINE_SECONDS)
    processor = start("processor", fine_pane_seconds=FINE_SECONDS, state_dir=tmp_path / "state")

    async def evaluations(revision: int) -> list[Evaluation]:
        records = await kafka.records(EVALUATIONS)
        said = [decode(Evaluation, each.value) for each in records if each.key == model_id.encode()]
        return [each for each in said if each.normal_time_revision == revision]

    async def found_unreadable() -> bool:
        lines = [line for line in processor.log.read_text().splitlines() if '"reference_unreadable"' in line]
        return any(orjson.loads(line)["model_id"] == model_id for line in lines)

    await eventually(found_unreadable, what="the log to name the reference that cannot be read")

    async def compared_with_the_baseline() -> bool:
        return any(each.level is Level.OK for each in await evaluations(1))

    await eventually(compared_with_the_baseline, what="an evaluation all the same")
    assert {each.slow_drift for each in await evaluations(1)} == {None}

    # What the model sends, with a third of the scores elsewhere.
    shifted = PaneCounts.of(["late", "on time", "early"] * 400, [2.0, 0.5, 0.8] * 400)
    in_force = await put_in_force(producer, model_id, 2, shifted.pack())

    async def compared() -> Evaluation | None:
        return next((each for each in await evaluations(2) if each.slow_drift is not None), None)

    evaluation = await eventually(compared, what="a comparison with the reference")
    assert evaluation is not None
    assert evaluation.slow_drift is not None
    assert (evaluation.level, evaluation.slow_drift.reference_id) == (Level.OK, in_force)
    assert evaluation.slow_drift.level is Level.WARN
    found = {each.signal: each for each in evaluation.slow_drift.signals}
    assert {signal: each.level for signal, each in found.items()} == {
        Signal.SCORE: Level.WARN,
        Signal.PREDICTION: Level.OK,
    }
    baseline, current = evaluation.signals[0].baseline_count, evaluation.signals[0].current_count
    assert found[Signal.SCORE].baseline_count == shifted.total
    assert found[Signal.SCORE].current_count == baseline + current, "all events of both windows"
    for topic in (MONITORS, REFERENCES):
        await producer.send_and_wait(topic.name, None, key=model_id.encode())
