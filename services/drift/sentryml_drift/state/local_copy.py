"""The local copy of one partition of the table, so that a worker that comes back need not read all of the changelog.

A copy is never ahead of the changelog: it is written after Kafka has taken a batch, together with the position in
the changelog up to which it holds everything. What it lacks is read from there; a copy that is damaged is made again.
"""

from __future__ import annotations

import fcntl
import shutil
from collections.abc import Generator, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Protocol
from uuid import UUID

from rocksdict import Options, Rdict, WriteBatch

from sentryml_common.errors import ConfigurationError, SentryMLError
from sentryml_common.logging import get_logger

log = get_logger(__name__)

Changes = Mapping[bytes, bytes | None]
"""New values by key; None where a key is deleted."""

_POSITION = b"\x00position"
_DAMAGE = ("Corruption", "No such file or directory")
"""What RocksDB says of files that are damaged or missing. Whatever else keeps it from opening them (no space, no
permission, another process) is no damage: the copy is good once that is put right."""


class DamagedCopy(SentryMLError):
    """The local copy cannot be read; it has to be made again from the changelog."""


class Store(Protocol):
    """What is kept locally of one partition."""

    position: int
    """The first offset of the changelog that is not in the store."""

    def items(self) -> Generator[tuple[bytes, bytes], None, None]:
        """Everything in it; to be closed, since its files stay open while it is being read.

        Raises:
            DamagedCopy: it cannot be read to its end.
        """

    def write(self, changes: Changes, position: int) -> None:
        """Take in what the changelog holds up to `position`, all of it or nothing."""

    def start_again(self, why: str) -> None:
        """Drop everything in it."""

    def close(self) -> None:
        """Let go of its files."""


class MemoryStore:
    """Keeps nothing: each start reads the whole changelog."""

    def __init__(self) -> None:
        self.position = 0

    def items(self) -> Generator[tuple[bytes, bytes], None, None]:
        yield from ()

    def write(self, changes: Changes, position: int) -> None:
        self.position = position

    def start_again(self, why: str) -> None:
        self.position = 0

    def close(self) -> None:
        """Nothing to let go of."""


class RocksDBStore:
    """Keeps the partition in a RocksDB of its own, in a folder that this process alone works in."""

    def __init__(self, folder: Path, changelog_id: UUID) -> None:
        self._folder, self._changelog_id = folder, changelog_id
        try:
            self._db = self._open()
        except DamagedCopy as err:
            self._db = self._opened_again(str(err))
        self.position = self._read_position()
        if self.position < 0:
            self.start_again("it belongs to another changelog")

    def items(self) -> Generator[tuple[bytes, bytes], None, None]:
        last = _POSITION
        for key, value in self._db.items():
            last = key
            if key != _POSITION:
                yield key, value
        self._check_end(last)

    def _check_end(self, last: bytes) -> None:
        """See that nothing comes after the last key: at a damaged block, reading just stops."""
        rest = self._db.iter()
        rest.seek(last)
        if rest.valid():
            rest.next()
        try:
            rest.status()
        except Exception as err:  # rocksdict has no exceptions of its own
            del rest  # the traceback has this frame, and while there is an iterator, the database stays open
            raise DamagedCopy(str(err)) from err

    def write(self, changes: Changes, position: int) -> None:
        batch = WriteBatch(raw_mode=True)
        for key, value in changes.items():
            if value is None:
                batch.delete(key)
            else:
                batch.put(key, value)
        batch.put(_POSITION, b"%s|%d" % (self._changelog_id.hex.encode(), position))
        self._db.write(batch)
        self.position = position

    def close(self) -> None:
        self._db.close()

    def _open(self) -> Rdict:
        """The database, made if there is none.

        Raises:
            DamagedCopy: it cannot be used any more.
            ConfigurationError: something else keeps it from being opened.
        """
        try:
            self._folder.parent.mkdir(parents=True, exist_ok=True)
            return Rdict(str(self._folder), _options())
        except Exception as err:  # rocksdict has no exceptions of its own
            if any(sign in str(err) for sign in _DAMAGE) and not isinstance(err, OSError):
                raise DamagedCopy(str(err)) from err
            raise ConfigurationError(
                f"the local copy {self._folder} cannot be opened ({err}): check the disk's free space and the "
                "permissions, and restart; or delete that folder: it is rebuilt from Kafka"
            ) from err

    def _read_position(self) -> int:
        """Position of the copy; 0 for a new one, −1 for one of another changelog."""
        found = self._db.get(_POSITION)
        if found is None:
            return 0
        changelog_id, position = bytes(found).split(b"|")
        return int(position) if UUID(hex=changelog_id.decode()) == self._changelog_id else -1

    def start_again(self, why: str) -> None:
        self._db.close()
        self._db, self.position = self._opened_again(why), 0

    def _opened_again(self, why: str) -> Rdict:
        log.warning("local_copy_dropped", folder=str(self._folder), why=why)
        shutil.rmtree(self._folder)
        return self._open()


def _options() -> Options:
    options = Options(raw_mode=True)
    options.create_if_missing(True)
    # RocksDB's own defaults are made for one large database, not for a few small ones in a process.
    options.set_write_buffer_size(16 * 1024**2)
    options.set_max_write_buffer_number(2)
    options.set_keep_log_file_num(2)
    return options


@contextmanager
def sole_user_of(folder: Path) -> Iterator[None]:
    """Make a folder and hold it, so that no other processor works in it.

    Raises:
        ConfigurationError: one does, or the folder cannot be written to.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
        lock = (folder / "lock").open("w")
    except OSError as err:
        raise ConfigurationError(f"{folder} cannot be written to ({err}): set SENTRYML_STATE_DIR") from err
    with lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as err:
            raise ConfigurationError(
                f"the folder {folder} is in use by another processor: give each its own SENTRYML_STATE_DIR"
            ) from err
        yield
