"""One partition of the table: what is found when it is read again, and what a crash leaves of it."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from pathlib import Path
from uuid import UUID

import pytest

from sentryml_common.errors import ConfigurationError
from sentryml_common.health import Health
from sentryml_drift import event_loop_slices
from sentryml_drift.domain.chunked_sum import ChunkedSum
from sentryml_drift.domain.partials import Kind, Target
from sentryml_drift.processor.models import LoadedModels
from sentryml_drift.state.local_copy import MemoryStore, RocksDBStore
from sentryml_drift.state.table import COPIED_AT_ONCE, Place, Table, key_of
from tests.support import memory_table
from tests.support.memory_table import MemoryChangelogs
from tests.unit.drift.test_local_copy import spoil, table_file

CHANGELOG = UUID(int=1)
OURS, FOREIGN = ChunkedSum((b"value" * 20,)).pack(), b"\x63" + b"value" * 20


def target(number: int) -> Target:
    return Target(f"model-{number}", Kind.FACTS, 0)


@pytest.mark.parametrize(("epoch", "offset"), [(1, 5), (2, 0)], ids=["the same input", "one that was recreated"])
def test_a_place_is_one_of_its_own_input(epoch: int, offset: int) -> None:
    packed = Place(1, 5, evaluated_until=7.0).pack()
    assert Place.read(packed, epoch) == Place(epoch, offset, evaluated_until=7.0)


async def recovered(table: Table) -> set[str]:
    """The models that a table is found to hold."""
    loaded, health = LoadedModels(0), Health()
    health.ready("start")
    try:
        await table.recover(health, loaded)
    finally:
        assert health.waiting_for == {}
    return set(loaded.by_id)


@pytest.mark.parametrize(("newer", "models"), [(OURS, {"model-1"}), (None, set())], ids=["written over", "deleted"])
async def test_values_of_another_build_are_refused_until_they_are_gone(
    newer: bytes | None, models: set[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(memory_table, "READ_AT_ONCE", 1)  # the older value is read before the newer one
    changelogs = MemoryChangelogs()
    table = await changelogs.open_table(0)
    await table.write(Place(1, 1), [(target(1), FOREIGN)])
    with pytest.raises(ConfigurationError, match="values of another build"):
        await recovered(await changelogs.open_table(0))
    table = await changelogs.open_table(0)
    await table.write(Place(1, 2), [(target(1), newer)])
    table = await changelogs.open_table(0)
    assert (await recovered(table), table.place) == (models, Place(1, 2))


async def test_of_a_copy_that_is_found_damaged_midway_nothing_is_kept(tmp_path: Path) -> None:
    folder, changelogs = tmp_path / "partition-0", MemoryChangelogs()
    for _ in range(2):  # opened once more, it has written to its files what was in its log
        store = RocksDBStore(folder, CHANGELOG)
        store.write({key_of(target(number)): FOREIGN for number in range(5000)}, 0)
        store.close()
    spoil(table_file(folder), table_file(folder).stat().st_size // 2)
    table = await changelogs.open_table(0)
    await table.write(Place(1, 9), [(target(9999), OURS)])
    table = await changelogs.open_table(0, store=RocksDBStore(folder, CHANGELOG))
    assert (await recovered(table), table.place) == ({"model-9999"}, Place(1, 9))
    await table.close()
    RocksDBStore(folder, CHANGELOG).close()  # it is free for the next


async def test_a_copy_whose_reading_was_given_up_is_free_for_the_next(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(event_loop_slices, "SLICE_SECONDS", 0.0)  # others have a turn between any two steps
    folder, changelogs = tmp_path / "partition-0", MemoryChangelogs()
    store = RocksDBStore(folder, CHANGELOG)
    store.write({key_of(target(number)): OURS for number in range(1000)}, 0)
    table, loaded = await changelogs.open_table(0, store=store), LoadedModels(0)
    recovering = asyncio.create_task(table.recover(Health(), loaded))
    while not loaded.by_id:  # noqa: ASYNC110 - until it is at work
        await asyncio.sleep(0)
    recovering.cancel()
    await asyncio.wait({recovering})
    await table.close()
    assert 0 < len(loaded.by_id) < 1000
    RocksDBStore(folder, CHANGELOG).close()


class Dying(MemoryStore):
    """The process dies while the second part is being copied."""

    def __init__(self) -> None:
        super().__init__()
        self.parts = 0

    def write(self, changes: Mapping[bytes, bytes | None], position: int) -> None:
        self.parts += 1
        if self.parts == 2:
            raise KeyboardInterrupt
        super().write(changes, position)


async def test_a_copy_of_half_a_batch_is_not_taken_for_the_whole() -> None:
    store = Dying()
    table = await MemoryChangelogs().open_table(0, store=store)
    with pytest.raises(KeyboardInterrupt):
        await table.write(Place(1, 1), [(target(number), OURS) for number in range(2 * COPIED_AT_ONCE)])
    assert store.position == 0, "all of it is read from the changelog"
