"""Emission: what goes out together, and what work of complete chunks brings it forward."""

from __future__ import annotations

from sentryml_common.contracts.prediction import EventRow
from sentryml_common.kafka.producer import Record
from sentryml_drift.combiner.emission import Emitter
from sentryml_drift.combiner.partition import OpenPartition
from sentryml_drift.domain.chunks import SIZE_CLASSES, ChunkRules
from sentryml_drift.domain.partials import RECORD_BYTES_MAX
from sentryml_drift.domain.resume_offsets import Places
from sentryml_drift.domain.rows import PaneRules
from sentryml_statistics.time.panes import PaneGrid

RULES = ChunkRules(PaneRules(PaneGrid(60.0), 40 * 86_400, 300), epoch=1)
NOON = 1_795_521_600.0


class Publishing:
    """Keeps what is published together."""

    def __init__(self) -> None:
        self.batches: list[list[Record]] = []

    async def publish(self, records: list[Record]) -> None:
        self.batches.append(records)


def opened(events: int) -> OpenPartition:
    partition = OpenPartition(0, Places.all_from(0), RULES)
    chunk = partition.chunk_for(0, SIZE_CLASSES[3])
    assert chunk is not None
    chunk.add(0, [EventRow("m" * 120 + str(n % 40), float(n), None, NOON - n * 3600) for n in range(events)], NOON)
    partition.read_through(0)
    return partition


async def test_never_are_two_records_of_one_partition_under_way() -> None:
    """Kafka may lose the first and keep the second, which seals the chunk of the first."""
    publishing, batches = Publishing(), []
    partition = opened(900)
    for n in range(20):
        chunk = partition.chunk_for(0, SIZE_CLASSES[3])
        assert chunk is not None
        rows = [EventRow(f"{'m' * 120}{n}-{k}", float(k), None, NOON - k % 900 * 3600) for k in range(900)]
        chunk.add(0, rows, NOON)
    await Emitter(publishing, lambda: batches.append(1)).emit([partition], 1e9)  # type: ignore[arg-type]
    partitions = [[record.partition for record in batch] for batch in publishing.batches]
    assert sum(map(len, partitions)) > 5, "it takes several records"
    assert all(len(set(batch)) == len(batch) for batch in partitions)
    assert len(batches) == len(partitions)
    assert all(len(record.value or b"") <= RECORD_BYTES_MAX for batch in publishing.batches for record in batch)


def test_rows_of_a_chunk_that_another_size_has_closed_bring_an_emission_forward() -> None:
    partition = opened(700)
    partition.read_through(3)  # the last offset of a chunk of the longest records
    assert [chunk.complete for chunk in partition.chunks()] == [True]
    assert partition.complete_work() == 700
