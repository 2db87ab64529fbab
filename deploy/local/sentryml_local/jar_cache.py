"""The user's cache of Apache Kafka's jars and loaded classes, which all data folders share: filled once, by one process
at a time.

A jar is in the cache whole and with its hash, or not at all.
"""

from __future__ import annotations

import fcntl
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from sentryml_local import kafka
from sentryml_local.errors import StackError
from sentryml_local.jars import KAFKA_VERSION, Jar, cache_folder, jars_folder, read_lock


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


def ensure_classes(jars: Path, port: int, controller_port: int, say: Callable[[str], None]) -> None:
    """See that Java has kept Kafka's classes; a broker is started for it once, on these ports.

    Raises:
        StackError: see `kafka.make_class_cache`.
    """
    if kafka.class_cache(jars).exists():
        return
    with _alone(jars, say):
        if not kafka.class_cache(jars).exists():
            say("loading Kafka's classes, once for this user")
            kafka.make_class_cache(jars, port, controller_port)


@contextmanager
def _alone(folder: Path, say: Callable[[str], None]) -> Iterator[None]:
    """Let one process at a time fill the cache."""
    folder.mkdir(parents=True, exist_ok=True)
    with (folder / "lock").open("w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            say("waiting for another `sentryml-local` that is preparing Apache Kafka")
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
