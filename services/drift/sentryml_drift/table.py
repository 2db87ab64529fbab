"""The processor's table: per partition, sums by target and our place in the input, durable in a changelog.

What a batch changes and the place after it are written as one: after any crash the table is that of some place in
the input, and what comes after that place is read again.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from uuid import UUID

import orjson

from sentryml_common.contracts.topics import HISTOGRAMS, TABLE_CHANGELOG
from sentryml_common.errors import ConfigurationError
from sentryml_common.http.health import Health
from sentryml_common.kafka.producer import Record
from sentryml_common.logging import get_logger
from sentryml_drift.changelog import Changelog
from sentryml_drift.domain.chunked_sum import VERSION
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


@dataclass(frozen=True, slots=True)
class Place:
    """How far the work on a partition has come: the input's epoch, the next offset to be taken in, and the time
    until which its models have been evaluated (epoch seconds; None: never)."""

    epoch: int
    next_offset: int = 0
    evaluated_until: float | None = None

    def pack(self) -> bytes:
        """The place as the table holds it."""
        return orjson.dumps([self.epoch, self.next_offset, self.evaluated_until])

    @classmethod
    def read(cls, packed: bytes | None, epoch: int) -> Place:
        """The place in a table; in an older life of the input, no offset of it is of any use."""
        if packed is None:
            return cls(epoch)
        of_epoch, offset, evaluated_until = orjson.loads(packed)
        return cls(epoch, offset if of_epoch == epoch else 0, evaluated_until)


class Table:
    """One partition of the table, held by this worker alone, and how far the work on it has come."""

    def __init__(self, changelog: Changelog, store: Store, epoch: int) -> None:
        self._changelog, self._store = changelog, store
        self.place = Place(epoch)

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
        self.place = Place.read(items.pop(PLACE, None), self.place.epoch)
        if any(value[0] != VERSION for value in items.values()):
            raise ConfigurationError(
                f"{TABLE_CHANGELOG.name} holds values of another build of SentryML (this one reads version {VERSION}): "
                f"start that one, or delete {TABLE_CHANGELOG.name} and {HISTOGRAMS.name} to count anew"
            )
        log.info(
            "table_recovered",
            partition=self._changelog.partition,
            keys=len(items),
            from_local_copy=from_copy,
            changelog_read=self._store.position - begun,
            next_offset=self.place.next_offset,
        )
        return items

    async def write(
        self, place: Place, values: Iterable[tuple[Target, bytes | None]] = (), records: Iterable[Record] = ()
    ) -> None:
        """Write values by target (None deletes) and our new place, and publish records: all of it or nothing.

        Raises:
            FencedOff: another worker has taken over the partition.
            Unavailable: Kafka did not take it.
        """
        changes = {key_of(target): value for target, value in values} | {PLACE: place.pack()}
        position = await self._changelog.append(changes, records)
        self._store.write(changes, position)
        self.place = place
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
