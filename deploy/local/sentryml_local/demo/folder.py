"""The demo's data folder: its own, one demo at a time, empty at the start.

What a former demo left would shift the story: its last days would be the baseline of the first ones.
"""

from __future__ import annotations

import fcntl
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from sentryml_local import state
from sentryml_local.errors import StackError
from sentryml_local.stack import Stack

LOCK = "demo.lock"
"""Marks the folder as the demo's; locked while one runs."""


@contextmanager
def own_folder(folder: Path) -> Iterator[None]:
    """Take the folder for as long as the context lasts, and empty it.

    Raises:
        StackError: another demo runs in it, or it holds something that is not the demo's.
    """
    state.own_folder(folder)
    lock = folder / LOCK
    if not lock.exists() and any(folder.iterdir()):
        raise StackError(f"{folder} is not a demo's folder: name an empty folder with --data")
    with lock.open("w") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise StackError(
                f"a demo is running in {folder}: stop it with Ctrl-C, or give this one --data and --port-base"
            ) from None
        _empty(folder)
        yield


def _empty(folder: Path) -> None:
    """Stop what a demo that was killed has left running, and remove its data."""
    Stack(folder).down()
    for path in folder.iterdir():
        if path.name == LOCK:
            continue
        if path.is_dir():
            shutil.rmtree(path)
        else:
            path.unlink()
