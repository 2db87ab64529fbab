"""Which versions and segments of a model are kept, and for how long."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import timedelta

import pytest

from sentryml_drift.domain.partials import Kind, Label, Partial, Target, pack
from sentryml_drift.domain.slices import MOST_PER_MODEL, SliceCounts
from sentryml_drift.processor.models import OwnedModel
from sentryml_drift.processor.slices import read_slice
from sentryml_drift.state.table import target_of
from sentryml_statistics.histograms.pane_counts import PaneCounts
from sentryml_statistics.time.panes import Resolution
from tests.unit.drift import test_processor
from tests.unit.drift.test_processor import HOUR, MODEL, NOW, Worker, one

COUNTS = SliceCounts(NOW.timestamp(), PaneCounts.of(["late"], [0.5])).pack()


def of_slices(
    number: int, values: Iterable[str], kind: Kind = Kind.SEGMENT, pane: int = HOUR, payload: bytes = COUNTS
) -> tuple[int, bytes]:
    """A record of one event of each of these slices, by its offset."""
    label = Label(0, 1, number, number, final=True)
    made = (Partial(Target(MODEL, kind, pane, value), label, payload) for value in values)
    return number, b"\x01" + b"".join(map(pack, made))


def model_of(worker: Worker) -> OwnedModel:
    return worker.processor.models.by_id[MODEL]


def kept(worker: Worker, kind: Kind = Kind.SEGMENT) -> dict[str, int]:
    """Events by value, in the table in Kafka; and the view is the same."""
    slices = model_of(worker).slices
    assert slices is not None
    view = {
        value: sum(read_slice(packed).counts.total for packed in slices.panes(kind, value).values())
        for value in slices.values(kind)
    }
    table: dict[str, int] = {}
    for key, packed in worker.kafka.values(0).items():
        target = target_of(key)
        if target is not None and target.kind is kind:
            table[target.value] = table.get(target.value, 0) + read_slice(packed).counts.total
    assert table == view
    return view


async def restarted(worker: Worker) -> Worker:
    """Another worker on the same table."""
    other = Worker(kafka=worker.kafka)
    await other.begin()
    return other


async def test_the_first_values_of_a_model_are_kept_and_no_others_also_after_a_restart() -> None:
    worker = Worker()
    await worker.begin()
    values = [f"s{number}" for number in range(MOST_PER_MODEL + 5)]
    await worker.take(of_slices(0, values[:30]), of_slices(1, values), of_slices(2, ["2.3"], Kind.VERSION))
    expected = {value: 2 if number < 30 else 1 for number, value in enumerate(values[:MOST_PER_MODEL])}
    assert kept(worker) == expected
    assert kept(worker, Kind.VERSION) == {"2.3": 1}, "versions and segments have places of their own"

    worker = await restarted(worker)
    assert kept(worker) == expected
    await worker.take(of_slices(3, reversed(values)))
    assert kept(worker) == {value: count + 1 for value, count in expected.items()}


async def test_a_value_whose_panes_are_all_purged_leaves_its_place_to_another(monkeypatch: pytest.MonkeyPatch) -> None:
    worker = Worker()
    await worker.begin()
    old = worker.retention.kept(MODEL)[Resolution.COARSE].first
    await worker.take(
        of_slices(0, ["old", "both"], pane=old),
        of_slices(1, ["both", *(f"s{number}" for number in range(MOST_PER_MODEL - 2))]),
        of_slices(2, ["new"]),
    )
    assert "new" not in kept(worker)
    monkeypatch.setattr(test_processor, "NOW", NOW + timedelta(hours=1))
    assert await worker.housekeeping.purge() == 2
    assert "old" not in kept(worker)
    assert kept(worker)["both"] == 1
    await worker.take(of_slices(3, ["new", "newer"]))
    assert kept(worker)["new"] == 1
    assert "newer" not in kept(worker)


async def test_an_expired_pane_takes_no_place() -> None:
    worker = Worker()
    await worker.begin()
    old = worker.retention.kept(MODEL)[Resolution.COARSE].first - 1
    await worker.take(of_slices(0, [f"s{number}" for number in range(MOST_PER_MODEL)], pane=old), of_slices(1, ["eu"]))
    assert kept(worker) == {"eu": 1}


async def test_a_record_that_cannot_be_read_takes_no_place() -> None:
    worker = Worker()
    await worker.begin()
    _, half_good = of_slices(0, [f"s{number}" for number in range(MOST_PER_MODEL)])
    _, bad = of_slices(0, ["bad"], payload=b"damaged")
    await worker.take((0, half_good + bad[1:]), of_slices(1, ["eu"]))
    assert kept(worker) == {"eu": 1}


async def test_a_deleted_model_takes_its_slices_with_it() -> None:
    worker = Worker()
    await worker.begin()
    await worker.take(one(0), of_slices(1, ["eu", "us"]))
    assert await worker.housekeeping.forget({MODEL: NOW.timestamp()}) == 1
    assert [key for key in worker.kafka.values(0) if target_of(key) is not None] == []


@pytest.mark.parametrize("count", [0, 3])
async def test_a_model_without_slices_holds_none(count: int) -> None:
    worker = Worker()
    await worker.begin()
    await worker.take(*(one(offset) for offset in range(count + 1)))
    assert model_of(worker).slices is None
