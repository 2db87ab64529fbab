"""Frees what is no longer needed: panes that no window can reach any more, and models that were deleted.

Both take long with very many models, so they are done in small steps; between two of them batches are read, and
partitions may go. Each step checks again what it was to free.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping

from sentryml_common.contracts.topics import ACTIVITY
from sentryml_common.kafka.producer import Record
from sentryml_common.logging import get_logger
from sentryml_drift.domain.kept_panes import KeptPanes
from sentryml_drift.domain.partials import Target
from sentryml_drift.event_loop_slices import Pacer
from sentryml_drift.metrics import TABLE_VALUES
from sentryml_drift.processor.loop import Processor
from sentryml_drift.processor.models import OwnedModel
from sentryml_drift.processor.retention import Retention
from sentryml_drift.state.table import Table
from sentryml_statistics.time.panes import Resolution

log = get_logger(__name__)

FREED_AT_ONCE = 1000


class Housekeeping:
    """Frees keys of the tables of a processor."""

    def __init__(self, processor: Processor, retention: Retention) -> None:
        self._processor, self._retention = processor, retention
        self._models, self._partitions = processor.models, processor.partitions

    async def purge(self) -> int:
        """Delete what no window can reach any more; return how many keys."""
        pace, values, freed = Pacer(), 0, 0
        for partition in sorted(self._partitions.owned):
            due: dict[str, Mapping[Resolution, KeptPanes]] = {}
            keys = 0
            for model_id, model in self._models.of_partition(partition):
                await pace()
                values += len(model.sums) + len(model.slices or ())
                kept = self._retention.kept(model_id)
                expired = len(model.targets_outside(model_id, kept))
                if expired:
                    due[model_id] = kept
                    keys += expired
                if keys >= FREED_AT_ONCE:
                    freed += await self._purge(partition, due)
                    due, keys = {}, 0
            freed += await self._purge(partition, due)
        TABLE_VALUES.set(values - freed)
        return freed

    async def _purge(self, partition: int, due: Mapping[str, Mapping[Resolution, KeptPanes]]) -> int:
        """Delete the panes of some models of a partition that are not to be kept."""
        if not due:
            return 0
        async with self._partitions.writing(partition) as table:
            if table is None:
                return 0
            there = [(model_id, self._models.by_id[model_id]) for model_id in due if model_id in self._models.by_id]
            gone = [each for model_id, model in there for each in model.targets_outside(model_id, due[model_id])]
            await table.write(table.place, _deleting(gone))
            for model_id, model in there:
                model.remove_outside(due[model_id])
        return len(gone)

    async def forget(self, deleted: Mapping[str, float]) -> int:
        """Free everything of the models that were deleted (when, by id; epoch seconds); return how many.

        One that has been seen since is another model by the same name: of it, only what was over by then is freed.
        What the combiner says of a deleted model once more, after a restart, is freed by the next call. Its activity is
        deleted with it, so that nobody who reads the topic again takes the model for one that exists.
        """
        known = [(model_id, at) for model_id, at in deleted.items() if model_id in self._models.by_id]
        return sum([await self._forget(model_id, at) for model_id, at in known])

    async def _forget(self, model_id: str, deleted_at: float) -> bool:
        model = self._models.by_id.get(model_id)
        if model is None:
            return False
        async with self._partitions.writing(model.partition) as table:
            if table is None or self._models.by_id.get(model_id) is not model:
                return False
            if model.seen_after(deleted_at):
                await self._free_what_was_over(table, model_id, model, deleted_at)
                return False
            gone = model.targets(model_id)
            if gone:
                activity = Record(ACTIVITY.name, model_id.encode(), None)
                await table.write(table.place, _deleting(gone), [activity])
            log.info("model_forgotten", model_id=model_id, values=len(gone))
            self._models.forget(model_id)
            return True

    async def _free_what_was_over(self, table: Table, model_id: str, model: OwnedModel, deleted_at: float) -> None:
        kept = self._retention.over_by(deleted_at)
        gone = model.targets_outside(model_id, kept)
        if gone:
            await table.write(table.place, _deleting(gone))
            model.remove_outside(kept)


def _deleting(targets: Iterable[Target]) -> Iterator[tuple[Target, None]]:
    return ((target, None) for target in targets)
