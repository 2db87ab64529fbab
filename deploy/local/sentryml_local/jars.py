"""Apache Kafka's jars: which ones is locked in `kafka-jars.lock`, with hashes; they lie in the user's cache.

A jar is in the cache whole and with its hash, or not at all. All data folders of a user share them.
"""

from __future__ import annotations

import fcntl
import hashlib
import os
import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from sentryml_local.errors import StackError

KAFKA_VERSION = "4.3.1"
LOCK_FILE = Path(__file__).with_name("kafka-jars.lock")


@dataclass(frozen=True, slots=True)
class Jar:
    """One jar, by its Maven coordinates."""

    group: str
    artifact: str
    version: str
    sha256: str

    @property
    def file_name(self) -> str:
        """What it is called in any Maven repository, and in the cache."""
        return f"{self.artifact}-{self.version}.jar"

    @property
    def path(self) -> str:
        """Where it lies in a Maven repository."""
        return f"{self.group.replace('.', '/')}/{self.artifact}/{self.version}/{self.file_name}"

    def matches(self, content: bytes) -> bool:
        """Whether this is what was locked."""
        return hashlib.sha256(content).hexdigest() == self.sha256


def read_lock() -> list[Jar]:
    """The locked jars: one a line, `group:artifact:version sha256`."""
    lines = [line for line in LOCK_FILE.read_text().splitlines() if not line.startswith("#")]
    return [Jar(*re.split("[: ]", line)) for line in lines]


def cache_folder() -> Path:
    """Where downloads are kept for this user."""
    base = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    return Path(base) / "sentryml"


def jars_folder() -> Path:
    """Where Kafka's jars are, once they have been fetched."""
    digest = hashlib.sha256(LOCK_FILE.read_bytes()).hexdigest()[:12]
    return cache_folder() / f"kafka-{KAFKA_VERSION}-{digest}"


def ensure_jars(say: Callable[[str], None]) -> Path:
    """Return the folder with Kafka's jars, fetching them if they are not there yet.

    Raises:
        StackError: they could not be fetched.
    """
    done = jars_folder()
    if done.exists():
        return done
    try:
        with _alone(cache_folder(), say):
            if not done.exists():
                _fetch_all(done, say)
    except OSError as err:
        raise StackError(f"the cache for downloads, {cache_folder()}, cannot be used: {err}") from err
    return done


@contextmanager
def _alone(folder: Path, say: Callable[[str], None]) -> Iterator[None]:
    """Let one process at a time fill the cache."""
    folder.mkdir(parents=True, exist_ok=True)
    with (folder / "lock").open("w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            say("waiting for another `sentryml-local` that is fetching Apache Kafka")
            fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def _fetch_all(done: Path, say: Callable[[str], None]) -> None:
    """Fill a folder beside `done`, which becomes `done` when it is complete."""
    part = done.with_name(f"{done.name}.part")
    part.mkdir(exist_ok=True)
    missing = [jar for jar in read_lock() if not _is_there(jar, part)]
    say(f"fetching Apache Kafka {KAFKA_VERSION}: {len(missing)} files, once for this user")
    from sentryml_local.download import download  # noqa: PLC0415 - slow to import, and seldom needed

    download(missing, part)
    part.rename(done)


def _is_there(jar: Jar, folder: Path) -> bool:
    file = folder / jar.file_name
    return file.exists() and jar.matches(file.read_bytes())
