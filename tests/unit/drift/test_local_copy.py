"""The local copy of a partition: what is damaged is made again, and nothing else is ever deleted."""

from __future__ import annotations

import resource
import signal
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from uuid import UUID

import pytest

from sentryml_common.errors import ConfigurationError
from sentryml_drift.state.local_copy import DamagedCopy, RocksDBStore

CHANGELOG, ANOTHER = UUID(int=1), UUID(int=2)
VALUES = {b"%06d" % number: bytes([number % 251]) * 100 for number in range(5000)}


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A copy with some values, as a stopped worker leaves it."""
    folder = tmp_path / "partition-0"
    for _ in range(2):  # opened once more, it has written to its files what was in its log
        store = RocksDBStore(folder, CHANGELOG)
        store.write(VALUES, 7)
        store.close()
    return folder


def table_file(folder: Path) -> Path:
    return max(folder.glob("*.sst"), key=lambda path: path.stat().st_size)


def spoil(path: Path, at: int) -> None:
    with path.open("r+b") as file:
        file.seek(at)
        file.write(b"\xff" * 200)


def test_a_copy_outlives_its_worker(folder: Path) -> None:
    store = RocksDBStore(folder, CHANGELOG)
    assert (store.position, dict(store.items())) == (7, VALUES)
    store.close()


DAMAGE: dict[str, Callable[[Path], None]] = {
    "a file is missing": lambda folder: table_file(folder).unlink(),
    "a file is cut short": lambda folder: spoil(table_file(folder), table_file(folder).stat().st_size - 60),
    "the list of files is missing": lambda folder: next(folder.glob("MANIFEST*")).unlink(),
    "the list of files is garbage": lambda folder: spoil(next(folder.glob("MANIFEST*")), 0),
}


@pytest.mark.parametrize("damage", DAMAGE.values(), ids=DAMAGE.keys())
def test_a_damaged_copy_is_made_again(folder: Path, damage: Callable[[Path], None]) -> None:
    damage(folder)
    store = RocksDBStore(folder, CHANGELOG)
    assert (store.position, dict(store.items())) == (0, {})
    store.close()


def test_a_damaged_block_is_noticed_when_it_is_read(folder: Path) -> None:
    """RocksDB raises no error: its values just end there."""
    spoil(table_file(folder), table_file(folder).stat().st_size // 2)
    store = RocksDBStore(folder, CHANGELOG)
    with pytest.raises(DamagedCopy, match="checksum"):
        dict(store.items())
    store.start_again("damaged")
    assert (store.position, dict(store.items())) == (0, {})
    store.close()


def test_the_copy_of_another_changelog_is_dropped(folder: Path) -> None:
    store = RocksDBStore(folder, ANOTHER)
    assert (store.position, dict(store.items())) == (0, {})
    store.close()


@contextmanager
def in_use(folder: Path) -> Iterator[None]:
    store = RocksDBStore(folder, CHANGELOG)
    yield
    store.close()


@contextmanager
def no_room(_: Path) -> Iterator[None]:
    """A limit on the size of files simulates a full disk."""
    handler, limits = signal.signal(signal.SIGXFSZ, signal.SIG_IGN), resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (0, limits[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
        signal.signal(signal.SIGXFSZ, handler)


@contextmanager
def a_file_in_the_way(folder: Path) -> Iterator[None]:
    kept = folder.rename(folder.with_name("kept"))
    folder.write_bytes(b"")
    yield
    folder.unlink()
    kept.rename(folder)


@pytest.mark.parametrize("trouble", [in_use, no_room, a_file_in_the_way])
def test_a_copy_that_cannot_be_opened_now_is_kept_and_said(
    folder: Path, trouble: Callable[[Path], contextmanager[None]]
) -> None:
    with trouble(folder), pytest.raises(ConfigurationError) as failed:
        RocksDBStore(folder, CHANGELOG)
    assert str(folder) in str(failed.value)
    assert "check the disk's free space and the permissions" in str(failed.value)
    store = RocksDBStore(folder, CHANGELOG)
    assert (store.position, dict(store.items())) == (7, VALUES)
    store.close()
