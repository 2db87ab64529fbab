"""Ports for servers that run side by side: those of this process, and of others that run the tests."""

from __future__ import annotations

import random
import socket
from collections.abc import Iterator

from sentryml_local.programs import PORTS_USED

ROW = 20
assert PORTS_USED < ROW
# Below those that the system gives to clients, who might take one between our look and the server's start.
ROWS = range(20_000, 30_000, ROW)


def free_port_base() -> int:
    """The first of as many free ports in a row as a stack uses: for this process alone.

    A server opens its port seconds after that was found free. Meanwhile another run of the tests might choose the same:
    so the last port of the row is held by this process until it ends.
    """
    rng = random.SystemRandom()
    while True:
        base = rng.choice(ROWS)
        mark = socket.socket()
        try:
            mark.bind(("127.0.0.1", base + ROW - 1))
        except OSError:
            mark.close()
            continue
        mark.detach()  # open until this process ends
        if all(_free(port) for port in range(base, base + ROW - 1)):
            return base


def free_port() -> int:
    """A port that is free now, and for this process alone."""
    return next(port for port in _PORTS if _free(port))


def _ports() -> Iterator[int]:
    while True:
        base = free_port_base()
        yield from range(base, base + ROW - 1)


_PORTS = _ports()


def _free(port: int) -> bool:
    with socket.socket() as probe:
        try:
            probe.bind(("127.0.0.1", port))
        except OSError:
            return False
    return True
