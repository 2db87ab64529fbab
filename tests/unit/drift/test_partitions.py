"""What the group gives a worker is held; what it takes away is let go, whatever clients of Kafka do meanwhile."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from contextlib import suppress
from typing import cast

import pytest

from sentryml_common.health import Health
from sentryml_drift.processor.input_stream import InputStream
from sentryml_drift.processor.models import LoadedModels, OwnedModels
from sentryml_drift.processor.partitions import Partitions
from sentryml_drift.state.table import Table


class Member:
    """An input whose group confirms at once that this worker belongs to it."""

    rebalancing = False

    async def is_member(self) -> bool:
        return True


class DeafTable:
    """A table that does not hear that it is given up: it is cancelled, and goes on."""

    def __init__(self) -> None:
        self.recovering, self.closed = asyncio.Event(), False

    async def _deaf(self) -> None:
        self.recovering.set()
        with suppress(asyncio.CancelledError):
            await asyncio.Event().wait()

    async def recover(self, health: Health, loaded: LoadedModels) -> None:
        await self._deaf()

    async def close(self) -> None:
        self.closed = True


class DeafWhileOpened(DeafTable):
    async def recover(self, health: Health, loaded: LoadedModels) -> None:
        raise AssertionError("what was given up is not recovered")


@pytest.mark.parametrize("make", [DeafTable, DeafWhileOpened])
async def test_a_partition_that_goes_is_let_go_though_nobody_heard_it(make: Callable[[], DeafTable]) -> None:
    table = make()

    async def open_table(partition: int) -> Table:
        if isinstance(table, DeafWhileOpened):
            await table._deaf()
        return cast("Table", table)

    partitions = Partitions(cast("InputStream", Member()), open_table, OwnedModels(), Health())
    await partitions.assigned([0])
    await table.recovering.wait()
    async with asyncio.timeout(30):
        await partitions.revoked()
        await partitions.assigned([])
    assert table.closed
    assert partitions.tables == {}
    assert partitions.all_held()
    await partitions.close()
