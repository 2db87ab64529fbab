"""What a worker writes to while partitions come and go: only to what is surely its own."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import UTC, datetime
from itertools import count
from pathlib import Path
from typing import Any, cast

import pytest
from faust.types import TP

from sentryml_common.contracts.topics import HISTOGRAMS
from sentryml_common.http.health import Health
from sentryml_common.kafka.dead_letter import DeadLetters
from sentryml_drift.domain.chunked_sum import ChunkedSum
from sentryml_drift.domain.facts import ModelFacts
from sentryml_drift.domain.panes import PaneGrid
from sentryml_drift.domain.partials import Kind, Target, partition_of
from sentryml_drift.faust_app import make_app
from sentryml_drift.processor import Processor
from sentryml_drift.retention import Retention
from sentryml_drift.settings import DriftSettings
from sentryml_drift.table import Place, Table, key_of

NOW = datetime(2026, 11, 23, 12, 20, 30, tzinfo=UTC)
SEEN = ChunkedSum((ModelFacts(late=1).pack(),)).pack()
MODELS = [
    next(name for name in map("model-{}".format, count()) if partition_of(name, HISTOGRAMS.partitions) == partition)
    for partition in range(2)
]


class NotedTable:
    """A partition with one model, and what was written to it."""

    def __init__(self, partition: int) -> None:
        self.place = Place(epoch=1)
        self.written: list[Target] = []
        self._items = {key_of(Target(MODELS[partition], Kind.FACTS, 0)): SEEN}

    async def recover(self, health: Health) -> dict[bytes, bytes]:
        return self._items

    async def write(self, place: Place, values: Iterable[tuple[Target, Any]] = (), records: object = ()) -> None:
        self.written += [target for target, _ in values]

    async def close(self) -> None:
        pass


async def given(processor: Processor, partitions: Iterable[int]) -> None:
    await processor.app.on_partitions_assigned.send({TP(HISTOGRAMS.name, partition) for partition in partitions})


@pytest.mark.parametrize("moment", ["reassigned", "rebalancing"])
async def test_nothing_is_written_to_a_partition_that_has_gone_or_may_be_going(moment: str, tmp_path: Path) -> None:
    settings = DriftSettings(kafka_bootstrap="nowhere:1", state_dir=tmp_path)
    tables = {partition: NotedTable(partition) for partition in range(2)}

    async def open_table(partition: int) -> Table:
        return cast(Table, tables[partition])

    retention = Retention(PaneGrid(60.0), lambda _: None, lambda: NOW)
    processor = Processor(make_app(settings), settings, open_table, cast(DeadLetters, None), retention, Health())
    await given(processor, [0, 1])
    await processor._hold_owned()
    assert sorted(processor.models.by_id) == sorted(MODELS)
    if moment == "reassigned":
        await given(processor, [0])  # another worker may have taken over partition 1 by now; it is held still
    else:
        processor.app.on_rebalance_start()

    gone = await processor.forget(dict.fromkeys(MODELS, NOW.timestamp()))
    await processor.publish(1, [], evaluated_until=NOW.timestamp())

    mine = [0] if moment == "reassigned" else []
    assert gone == len(mine)
    assert {partition for partition, table in tables.items() if table.written} == set(mine)
    assert tables[1].place.evaluated_until is None
