"""The processor's table: per partition, sums by target and our place in the input, durable in a changelog.

What a batch changes and the place after it are written as one: after any crash the table is that of some place in
the input, and what comes after that place is read again.
"""

from __future__ import annotations

from collections.abc import Iterable
from contextlib import closing
from dataclasses import dataclass
from itertools import islice
from typing import Protocol
from uuid import UUID

import orjson

from sentryml_common.contracts.topics import HISTOGRAMS, TABLE_CHANGELOG
from sentryml_common.errors import ConfigurationError
from sentryml_common.health import Health
from sentryml_common.kafka.producer import Record
from sentryml_common.logging import get_logger
from sentryml_drift.domain.chunked_sum import VERSION
from sentryml_drift.domain.partials import Kind, Target
from sentryml_drift.event_loop_slices import Pacer
from sentryml_drift.metrics import TABLE_WRITES
from sentryml_drift.settings import DriftSettings
from sentryml_drift.state.local_copy import Changes, DamagedCopy, MemoryStore, RocksDBStore, Store
from sentryml_drift.state.partition_writer import Changelog

log = get_logger(__name__)

PLACE = b"place"
COPIED_AT_ONCE = 500


class Values(Protocol):
    """Where a table is read into."""

    def set(self, target: Target, packed: bytes | None) -> None:
        """Set the value of a target, or delete it."""

    def clear(self) -> None:
        """Delete all."""


def key_of(target: Target) -> bytes:
    """The table key of a target."""
    return f"{target.kind:d}|{target.pane}|{target.name}".encode()


def target_of(key: bytes) -> Target | None:
    """The target a table key names; None for the place."""
    if key == PLACE:
        return None
    kind, pane, name = key.decode().split("|", 2)
    return Target.named(name, Kind(int(kind)), int(pane))


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
        """The place in a table; in an older incarnation of the input, no offset of it is of any use."""
        if packed is None:
            return cls(epoch)
        of_epoch, offset, evaluated_until = orjson.loads(packed)
        return cls(epoch, offset if of_epoch == epoch else 0, evaluated_until)


class _Reading:
    """Reads a table into `values`, newer values over older ones."""

    def __init__(self, epoch: int, values: Values) -> None:
        self._epoch, self._values, self._pace = epoch, values, Pacer()
        self._place: bytes | None = None
        self._foreign: set[bytes] = set()
        self.read = 0

    async def apply(self, changes: Iterable[tuple[bytes, bytes | None]]) -> None:
        """Take in changes by key."""
        for key, value in changes:
            target = target_of(key)
            if target is None:
                self._place = value
            else:
                self._note_version(key, value)
                self._values.set(target, value)
                self.read += 1
            await self._pace()

    def clear(self) -> None:
        """Take nothing of it for true."""
        self._values.clear()
        self._foreign.clear()
        self._place, self.read = None, 0

    def _note_version(self, key: bytes, value: bytes | None) -> None:
        if value is not None and value[0] != VERSION:
            self._foreign.add(key)
        elif self._foreign:
            self._foreign.discard(key)

    def found(self) -> Place:
        """The place in the table, once all of it is read.

        Raises:
            ConfigurationError: another build has written to it.
        """
        if self._foreign:
            raise ConfigurationError(
                f"{TABLE_CHANGELOG.name} holds values of another build of SentryML (this one reads version {VERSION}): "
                f"start that one, or delete {TABLE_CHANGELOG.name} and {HISTOGRAMS.name}, whose names begin with "
                "SENTRYML_TOPIC_PREFIX where that is set, to count from the beginning"
            )
        return Place.read(self._place, self._epoch)


class Table:
    """One partition of the table, held by this worker alone, and how far the work on it has come."""

    def __init__(self, changelog: Changelog, store: Store, epoch: int) -> None:
        self._changelog, self._store = changelog, store
        self.place = Place(epoch)
        self.examined_until: float | None = None
        """The time until which this worker has evaluated its models, whether any evaluation was due or not."""

    async def recover(self, health: Health, values: Values) -> None:
        """Read everything in the table into `values`, and find our place: from the local copy, then from what the
        changelog has beyond it."""
        what = f"partition {self._changelog.partition}"

        def progress(part: float) -> None:
            health.waiting(what, f"recovering {what}: {part:.0%}")

        progress(0.0)
        try:
            reading = _Reading(self.place.epoch, values)
            await self._read_copy(reading)
            begun, from_copy = self._store.position, reading.read
            async for changes, position in self._changelog.read(begun, health, progress):
                await reading.apply(changes.items())
                self._store.write(changes, position)
            self.place = reading.found()
        finally:
            health.ready(what)
        log.info(
            "table_recovered",
            partition=self._changelog.partition,
            from_local_copy=from_copy,
            changelog_read=self._store.position - begun,
            next_offset=self.place.next_offset,
        )

    async def _read_copy(self, reading: _Reading) -> None:
        try:
            with closing(self._store.items()) as items:
                await reading.apply(items)
        except DamagedCopy as err:
            self._store.start_again(str(err))
            reading.clear()

    async def write(
        self, place: Place, values: Iterable[tuple[Target, bytes | None]] = (), records: Iterable[Record] = ()
    ) -> None:
        """Write values by target (None deletes) and our new place, and publish records: all of it or nothing.

        Raises:
            FencedOff: another worker has taken over the partition.
            Unavailable: Kafka did not accept it.
        """
        pace, changes = Pacer(), dict[bytes, bytes | None]()
        for target, value in values:
            changes[key_of(target)] = value
            await pace()
        changes[PLACE] = place.pack()
        position = await self._changelog.append(changes, records)
        await self._copy(changes, position)
        self.place = place
        TABLE_WRITES.inc(len(changes))

    async def _copy(self, changes: Changes, position: int) -> None:
        """Write changes to the local copy in parts. Only the last one moves its position: after a crash in between, all
        of them are read from the changelog."""
        pace, waiting = Pacer(), iter(changes.items())
        for _ in range(len(changes) // COPIED_AT_ONCE):
            self._store.write(dict(islice(waiting, COPIED_AT_ONCE)), self._store.position)
            await pace()
        self._store.write(dict(waiting), position)

    async def close(self) -> None:
        """Let go of the partition."""
        try:
            await self._changelog.close()
        finally:
            self._store.close()


async def open_table(partition: int, settings: DriftSettings, epoch: int, changelog_id: UUID, health: Health) -> Table:
    """Take over a partition of the table from its previous owner."""
    changelog = await Changelog.take_over(partition, settings, health)
    if settings.store == "memory":
        return Table(changelog, MemoryStore(), epoch)
    return Table(changelog, RocksDBStore(settings.state_dir / f"partition-{partition}", changelog_id), epoch)
