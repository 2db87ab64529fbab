"""A worker of the processor on the log in memory that also evaluates and purges, as the whole process does.

board = Board()
board.publish(monitor, reference)                       # each worker sees it some time later
worker = EvaluatingWorker(log, changelogs, board, clock, settings)
"""

from __future__ import annotations

import asyncio
import random
from collections.abc import Coroutine, Iterator
from typing import Any

from sentryml_common.clock import Clock
from sentryml_common.contracts.monitor import Monitor
from sentryml_common.contracts.reference import Reference
from sentryml_drift.evaluation.evaluator import Evaluator
from sentryml_drift.processor.housekeeping import Housekeeping
from sentryml_drift.processor.retention import Retention
from sentryml_drift.settings import DriftSettings
from sentryml_drift.state.table import Table
from sentryml_statistics.time.panes import PaneGrid
from tests.support.memory_input import Worker
from tests.support.memory_log import MemoryLog
from tests.support.memory_table import MemoryChangelogs

PURGE_SECONDS = 3.0
LONGEST_DELAY_SECONDS = 2.0


class Board:
    """`monitors.v1` and `references.v1`: what was published last, and everything that ever was."""

    def __init__(self) -> None:
        self.monitors: dict[str, Monitor] = {}
        self.references: dict[str, Reference] = {}
        self.all_monitors: list[Monitor] = []
        self.all_references: list[Reference] = []

    def publish(self, monitor: Monitor, reference: Reference | None = None) -> None:
        """Publish a monitor, and before it the reference that it names, if that is new."""
        if reference is not None:
            self.references[monitor.model_id] = reference
            self.all_references.append(reference)
        self.monitors[monitor.model_id] = monitor
        self.all_monitors.append(monitor)


class EvaluatingWorker(Worker):
    """A worker with all that a process of the processor does; it reads the board before it begins."""

    def __init__(
        self, log: MemoryLog, changelogs: MemoryChangelogs, board: Board, clock: Clock, settings: DriftSettings
    ) -> None:
        self._board, self._rng = board, random.Random(log.rng.random())
        self.monitors, self.references = dict(board.monitors), dict(board.references)
        grid = PaneGrid(settings.fine_pane_seconds)
        retention = Retention(grid, self.monitors.get, clock)
        super().__init__(log, changelogs, retention)
        self._housekeeping = Housekeeping(self.processor, retention)
        self._evaluator = _Evaluator(
            self.processor, self.monitors.get, lambda _: None, self.references.get, grid, settings, clock
        )
        self._evaluator.awake = self._awake

    def _work(self) -> Iterator[Coroutine[Any, Any, None]]:
        yield from super()._work()
        yield self._evaluator.run()
        yield self._purge()
        yield self._follow(self.monitors, self._board.monitors)
        yield self._follow(self.references, self._board.references)

    async def _purge(self) -> None:
        while True:
            await asyncio.sleep(PURGE_SECONDS)
            await self._awake.wait()
            if await self.processor.caught_up():
                await self._housekeeping.purge()

    async def _follow(self, known: dict[str, Any], published: dict[str, Any]) -> None:
        while True:
            await asyncio.sleep(self._rng.random() * LONGEST_DELAY_SECONDS)
            await self._awake.wait()
            known.update(published)


class _Evaluator(Evaluator):
    """Makes no round while its worker is frozen. A round itself takes no time of the virtual clock."""

    awake: asyncio.Event

    async def _round(self, partition: int, table: Table, until: float) -> None:
        await self.awake.wait()
        await super()._round(partition, table, until)
