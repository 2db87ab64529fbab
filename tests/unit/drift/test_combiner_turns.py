"""However much there is to read and emit, a combiner gives others their turn: its heartbeats and its health checks."""

from __future__ import annotations

import asyncio

import orjson
import pytest

from sentryml_common.contracts.topics import HISTOGRAMS, PREDICTIONS
from sentryml_drift import event_loop_slices
from sentryml_drift.combiner import loop as combiner_loop
from sentryml_drift.domain import chunks
from tests.support.memory_log import Chances, MemoryLog
from tests.support.virtual_time import VirtualTimeLoop, run_in_virtual_time
from tests.unit.drift.test_combiner_schedules import NOON, TOPICS, Worker

EVENTS, AT_ONCE = 2_000, 5
EVENT = {"model_id": "a", "prediction": 1.0, "timestamp": NOON}


async def turns_of_others(log: MemoryLog, values: list[bytes]) -> int:
    """How many turns all others have while what these records hold is read and emitted."""
    loop = asyncio.get_running_loop()
    assert isinstance(loop, VirtualTimeLoop)
    for topic in TOPICS:
        log.create(topic.name, topic.partitions)
    for value in values:
        log.append(PREDICTIONS.name, value, partition=0, timestamp=NOON * 1000)
    worker = Worker(log)
    await asyncio.sleep(10)
    assert any(len(record.value or b"") > 1 for record in log.records(HISTOGRAMS.name)), "it is emitted"
    worker.kill()
    return loop.turns


ONE_RECORD = [orjson.dumps([EVENT] * EVENTS)]


@pytest.mark.parametrize(
    ("values", "counts_at_once", "least"),
    [
        pytest.param([orjson.dumps(EVENT)] * EVENTS, {}, EVENTS, id="records that are read"),
        pytest.param(ONE_RECORD, {chunks: AT_ONCE}, EVENTS // AT_ONCE, id="events that are emitted"),
        pytest.param(
            ONE_RECORD, {chunks: AT_ONCE, combiner_loop: AT_ONCE}, EVENTS // AT_ONCE, id="events that are settled"
        ),
    ],
)
def test_much_work_gives_others_their_turn(
    values: list[bytes], counts_at_once: dict[object, int], least: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(event_loop_slices, "SLICE_SECONDS", 0.0)
    for module, most in counts_at_once.items():
        monkeypatch.setattr(module, "ROWS_AT_ONCE", most)
    log = MemoryLog(1, Chances(longest_pause=0.01))
    assert run_in_virtual_time(turns_of_others(log, values)) > least
