"""What the group takes away from a worker is let go, though a client of Kafka swallows that it is given up."""

from __future__ import annotations

import asyncio
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


class SlowTable:
    """A table whose step `slow` swallows its first cancellation, and then ends as if there had been none."""

    def __init__(self, slow: str) -> None:
        self._slow = slow
        self.begun, self.closed = asyncio.Event(), False

    async def open(self, partition: int) -> Table:
        await self._swallow("open")
        return cast("Table", self)

    async def recover(self, health: Health, loaded: LoadedModels) -> None:
        assert self._slow == "recover", "what was given up is recovered"
        await self._swallow("recover")

    async def close(self) -> None:
        self.closed = True

    async def _swallow(self, step: str) -> None:
        if step == self._slow:
            self.begun.set()
            with suppress(asyncio.CancelledError):
                await asyncio.Event().wait()


@pytest.mark.parametrize("slow", ["open", "recover"])
async def test_a_partition_that_goes_while_it_is_taken_over_is_let_go(
    slow: str, capsys: pytest.CaptureFixture[str]
) -> None:
    table = SlowTable(slow)
    partitions = Partitions(cast("InputStream", Member()), table.open, OwnedModels(), Health())
    await partitions.assigned([0])
    await table.begun.wait()
    async with asyncio.timeout(30):
        await partitions.revoked()
        await partitions.assigned([])
    assert table.closed
    assert partitions.tables == {}
    assert partitions.all_held()
    assert "partition_not_taken_over" not in capsys.readouterr().out
    await partitions.close()
