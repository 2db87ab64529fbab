"""Ports for stacks that run side by side."""

from __future__ import annotations

import random
import socket

from sentryml_local.programs import PORTS_USED


def free_port_base() -> int:
    """The first of as many free ports in a row as a stack uses."""
    rng = random.SystemRandom()
    while True:
        base = rng.randrange(20_000, 30_000, 20)
        if all(_free(base + offset) for offset in range(PORTS_USED)):
            return base


def free_port() -> int:
    """A port that is free now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def _free(port: int) -> bool:
    with socket.socket() as probe:
        try:
            probe.bind(("127.0.0.1", port))
        except OSError:
            return False
    return True
