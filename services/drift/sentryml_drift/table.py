"""The processor's table: per partition, sums by target and our place in the input, durable in a changelog.

What a batch changes and the place after it are written as one: after any crash the table is that of some place in
the input, and what comes after that place is read again.
"""

from __future__ import annotations

from collections.abc import Iterable
from uuid import UUID

from sentryml_common.http.health import Health
from sentryml_common.logging import get_logger
from sentryml_drift.changelog import Changelog
from sentryml_drift.domain.partials import Kind, Target
from sentryml_drift.metrics import TABLE_WRITES
from sentryml_drift.settings import DriftSettings
from sentryml_drift.store import MemoryStore, RocksDBStore, Store

log = get_logger(__name__)

PLACE = b"place"


def key_of(target: Target) -> bytes:
    """The table key of a target."""
    return f"{target.kind:d}|{target.pane}|{target.model_id}".encode()


def target_of(key: bytes) -> Target | None:
    """The target a table key names; None for the place."""
    if key == PLACE:
        return None
    kind, pane, model_id = key.decode().split("|", 2)
    return Target(model_id, Kind(int(kind)), int(pane))


def pack_place(epoch: int, offset: int) -> bytes:
    """Our place as the table holds it: the input topic's epoch, and the next offset to be taken in."""
    return b"%d|%d" % (epoch, offset)


def next_offset(place: bytes | None, epoch: int) -> int:
    """The next offset to be taken in; 0 where there is no place yet, or one in an older life of the topic."""
    if place is None:
        return 0
    of_epoch, offset = place.split(b"|")
    return int(offset) if int(of_epoch) == epoch else 0


class Table:
    """One partition of the table, held by this worker alone. `next_offset` is our place in the input."""

    def __init__(self, changelog: Changelog, store: Store, epoch: int) -> None:
        self._changelog, self._store, self._epoch = changelog, store, epoch
        self.next_offset = 0

    async def recover(self, health: Health) -> dict[bytes, bytes]:
        """Everything in the table, and our place: from the local copy, then from what the changelog has beyond it."""
        what = f"partition {self._changelog.partition}"
        items = dict(self._store.items())
        from_copy, begun = len(items), self._store.position

        def progress(part: float) -> None:
            health.waiting(what, f"recovering {what}: {part:.0%}")

        async for changes, position in self._changelog.read(begun, health, progress):
            for key, value in changes.items():
                if value is None:
                    items.pop(key, None)
                else:
                    items[key] = value
            self._store.write(changes, position)
        health.ready(what)
        self.next_offset = next_offset(items.pop(PLACE, None), self._epoch)
        log.info(
            "table_recovered",
            partition=self._changelog.partition,
            keys=len(items),
            from_local_copy=from_copy,
            changelog_read=self._store.position - begun,
            next_offset=self.next_offset,
        )
        return items

    async def write(self, values: Iterable[tuple[Target, bytes | None]], next_offset: int | None = None) -> None:
        """Write values by target (None deletes) and, where one is given, our new place: all of it or nothing.

        Raises:
            FencedOff: another worker has taken over the partition.
            Unavailable: Kafka did not take it.
        """
        place = self.next_offset if next_offset is None else next_offset
        changes = {key_of(target): value for target, value in values} | {PLACE: pack_place(self._epoch, place)}
        position = await self._changelog.append(changes)
        self._store.write(changes, position)
        self.next_offset = place
        TABLE_WRITES.inc(len(changes))

    async def close(self) -> None:
        """Let go of the partition."""
        await self._changelog.close()
        self._store.close()


async def open_table(partition: int, settings: DriftSettings, epoch: int, changelog_id: UUID, health: Health) -> Table:
    """Take over a partition of the table from whoever held it."""
    changelog = await Changelog.take_over(partition, settings, health)
    if settings.store == "memory":
        return Table(changelog, MemoryStore(), epoch)
    return Table(changelog, RocksDBStore(settings.state_dir / f"partition-{partition}", changelog_id), epoch)
