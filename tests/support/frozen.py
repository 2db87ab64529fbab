"""A process that is frozen: it keeps its connections, and answers nothing."""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tests.support.eventually import eventually_sync


@contextmanager
def frozen(pid: int) -> Iterator[None]:
    """Freeze a process. It answers nothing from the first line of the block on: a signal is only sent when kill()
    returns, and on a busy machine some of the threads work on for a while."""
    os.kill(pid, signal.SIGSTOP)
    try:
        eventually_sync(lambda: _stopped(pid), what=f"process {pid} to stop")
        yield
    finally:
        os.kill(pid, signal.SIGCONT)


def _stopped(pid: int) -> bool:
    """Whether each of its threads has stopped, as Linux reports it (proc(5): state T)."""
    for stat in Path(f"/proc/{pid}/task").glob("*/stat"):
        try:
            state = stat.read_text().rpartition(")")[2].split()[0]
        except (FileNotFoundError, ProcessLookupError):  # the thread has ended
            continue
        if state != "T":
            return False
    return True
