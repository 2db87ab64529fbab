"""The processor's tables: plain Faust tables whose key begins with its partition.

Faust takes a table key's partition from the event that is being processed. Ours are also written for models of
other events of a batch, and read by a timer, so the key itself says where it lives: `<partition>|<kind>|…`.
Every write's acknowledgement can be awaited with `durable`.
"""

from __future__ import annotations

from typing import Any

import faust
from faust.stores.memory import Store as MemoryStore
from faust.stores.rocksdb import Store as RocksDBStore

from sentryml_drift.domain.partials import Kind, Target

APPLIED = b"applied"

# Faust's defaults are 2 GiB of block cache and 192 MiB of write buffers for every partition of every table.
ROCKSDB_OPTIONS = {
    "block_cache_size": 16 * 1024**2,
    "write_buffer_size": 16 * 1024**2,
    "max_write_buffer_number": 2,
}


def key_of(partition: int, target: Target) -> bytes:
    """The table key of a target."""
    return f"{partition}|{target.kind:d}|{target.pane}|{target.model_id}".encode()


def target_of(key: bytes) -> Target | None:
    """The target a table key names; None for a marker."""
    _, kind, *rest = key.split(b"|", 3)
    if kind == APPLIED:
        return None
    return Target(rest[1].decode(), Kind(int(kind)), int(rest[0]))


def applied_key(partition: int) -> bytes:
    """The key of the marker: our place in the input, up to which everything is in the tables."""
    return b"%d|%s" % (partition, APPLIED)


def pack_place(epoch: int, offset: int) -> bytes:
    """Our place as the marker holds it: the input topic's epoch, and the next offset to be taken in."""
    return b"%d|%d" % (epoch, offset)


def next_offset(place: bytes | None, epoch: int) -> int:
    """The next offset to be taken in; 0 where there is no place yet, or one in an older life of the topic."""
    if place is None:
        return 0
    of_epoch, offset = place.split(b"|")
    return int(offset) if int(of_epoch) == epoch else 0


def partition_of_key(key: bytes) -> int:
    """The partition that a key begins with."""
    return int(key.split(b"|", 1)[0])


class _KeyedRocksDB(RocksDBStore):  # type: ignore[misc]
    """RocksDB, one database a partition; the key says which."""

    def _db_of(self, key: bytes) -> Any:
        return self._db_for_partition(partition_of_key(key))

    def _get(self, key: bytes) -> bytes | None:
        value: bytes | None = self._db_of(key).get(key)
        return value

    def _set(self, key: bytes, value: bytes | None) -> None:
        self._db_of(key).put(key, value)

    def _del(self, key: bytes) -> None:
        self._db_of(key).delete(key)

    def _contains(self, key: bytes) -> bool:
        return self._get(key) is not None


class OwnedTable(faust.Table):  # type: ignore[misc]
    """A table of bytes by bytes, with explicit partitions and awaitable writes."""

    def __init__(self, app: faust.App, *, rocksdb: bool, **options: Any) -> None:
        super().__init__(app, key_type=bytes, value_type=bytes, **options)
        self._rocksdb = rocksdb
        self._written: list[Any] = []

    def _new_store(self) -> Any:
        if not self._rocksdb:
            return self._new_store_by_url("memory://")
        return _KeyedRocksDB(
            "rocksdb://",
            self.app,
            self,
            table_name=self.name,
            key_type=bytes,
            value_type=bytes,
            key_serializer="raw",
            value_serializer="raw",
            options=dict(ROCKSDB_OPTIONS),
        )

    def partition_for_key(self, key: bytes) -> int:
        """The partition that the key begins with, whatever event is being processed."""
        return partition_of_key(key)

    def on_key_set(self, key: bytes, value: bytes) -> None:
        """Send a write to the changelog and remember to await it."""
        partition = partition_of_key(key)
        self._written.append(self.send_changelog(partition, key, value))
        self._note_partition(key, partition)

    def on_key_del(self, key: bytes) -> None:
        """Send a tombstone to the changelog and remember to await it."""
        self._written.append(self.send_changelog(partition_of_key(key), key, None, value_serializer="raw"))

    def _note_partition(self, key: bytes, partition: int) -> None:
        # The memory store learns a key's partition only while recovering; without it a key written here would
        # outlive the loss of its partition.
        if isinstance(self.data, MemoryStore):
            self.data._key_partition[key] = partition

    async def durable(self) -> int:
        """Wait until Kafka has acknowledged everything written so far; return how many writes that were.

        Raises:
            KafkaError: a write was refused.
        """
        written, self._written = self._written, []
        for future in written:
            await future
        return len(written)
