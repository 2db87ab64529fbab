"""What the processor takes in of the combiner's reports: arrivals, and how far the log is read."""

from __future__ import annotations

from sentryml_common.contracts.dead_letter import DeadLetter
from sentryml_common.contracts.message import decode
from sentryml_drift.domain.read_report import HEADER, ReadReport
from sentryml_statistics.time.panes import Resolution
from tests.unit.drift.test_processor import HOUR, MODEL, Worker


async def test_arrivals_and_how_far_the_log_is_read_follow_what_is_durable() -> None:
    worker = Worker()
    await worker.begin()
    minute = HOUR * 60 + 7

    async def report(offset: int, *panes: int, until: float) -> None:
        header = HEADER, ReadReport(1, 1, {0: until}, {MODEL: panes}).pack()
        await worker.processor.take([worker.stream.record(b"\x01", offset, headers=(header,))])

    assert worker.processor.read_until(0) is None
    await report(0, minute, until=100.0)
    await report(1, minute, minute + 2, until=105.0)
    assert worker.processor.read_until(0) == 105.0
    model = worker.processor.models.by_id[MODEL]
    assert model.arrivals(minute, minute + 9).tolist() == [minute, minute + 2]
    assert model.arrivals(minute + 1, minute + 2).tolist() == []

    await worker.begin()
    assert worker.processor.read_until(0) is None, "it may have been another's in between"
    again = Worker(worker.kafka)
    await again.begin()
    assert again.processor.models.by_id[MODEL].arrivals(minute, minute + 9).tolist() == [minute, minute + 2]
    assert again.place() == 2


async def test_a_report_that_cannot_be_read_is_dead_lettered() -> None:
    worker = Worker()
    await worker.begin()
    await worker.processor.take([worker.stream.record(b"\x01", 0, headers=((HEADER, b"?"),))])
    assert [decode(DeadLetter, each.value or b"").reason for each in worker.kafka.published] == ["bad_report"]
    assert worker.processor.read_until(0) is None


async def test_days_of_arrivals_are_freed_with_the_coarse_panes_of_their_time() -> None:
    worker = Worker()
    await worker.begin()
    today = HOUR // 24
    days = [today - age for age in range(12)]
    header = HEADER, ReadReport(1, 1, {}, {MODEL: tuple(day * 1440 for day in days)}).pack()
    await worker.processor.take([worker.stream.record(b"\x01", 0, headers=(header,))])
    await worker.housekeeping.purge()
    kept = worker.retention.kept(MODEL)[Resolution.COARSE].oldest // 24
    found = worker.processor.models.by_id[MODEL].arrivals(0, (HOUR + 24) * 60).tolist()
    assert [pane // 1440 for pane in found] == sorted(day for day in days if day >= kept)
    assert 8 <= len(found) < len(days)
