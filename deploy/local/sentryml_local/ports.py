"""Ports: that they are free before anything starts, and whose they are where they are not."""

from __future__ import annotations

import socket
from collections.abc import Iterable

import psutil

from sentryml_local.errors import StackError
from sentryml_local.programs import PORTS_USED, Addresses

LOWEST, HIGHEST = 1024, 65_536 - PORTS_USED
ANOTHER_WAY = 100


def check_port_base(port_base: int) -> int:
    """Return it.

    Raises:
        StackError: there are no such ports.
    """
    if not LOWEST <= port_base <= HIGHEST:
        raise StackError(f"--port-base lies between {LOWEST} and {HIGHEST}, not at {port_base}")
    return port_base


def check_free(addresses: Addresses, names: Iterable[str]) -> None:
    """See that every port which `names` will listen on is free.

    Raises:
        StackError: one is not; says which, who has it, and how to move.
    """
    for name in names:
        if not _is_free(addresses.port(name)):
            raise _taken(addresses, name)


def listens(addresses: Addresses, name: str, pid: int) -> bool:
    """Whether a program takes connections on its port: process `pid` itself (0: none), not one that came before it.

    Raises:
        StackError: another process does, so that this one never will; says whose it is, and how to move.
    """
    port = addresses.port(name)
    if not pid:
        return False
    try:
        socket.create_connection(("127.0.0.1", port), timeout=1).close()
        if port in _listened_on_by(pid):
            return True
    except (OSError, psutil.NoSuchProcess):
        return False
    except psutil.AccessDenied:  # in a container without the permission: what answers is taken for ours
        return True
    raise _taken(addresses, name)


def _listened_on_by(pid: int) -> set[int]:
    connections = psutil.Process(pid).net_connections("tcp")
    return {each.laddr.port for each in connections if each.status == psutil.CONN_LISTEN and each.laddr}


def _taken(addresses: Addresses, name: str) -> StackError:
    port, elsewhere = addresses.port(name), addresses.port_base + ANOTHER_WAY
    elsewhere = elsewhere if elsewhere <= HIGHEST else addresses.port_base - ANOTHER_WAY
    return StackError(
        f"port {port} is needed for {name}, and taken by {_holder(port)}. Stop that one, or move this stack: "
        f"--port-base {elsewhere} (make: PORT_BASE={elsewhere})"
    )


def _is_free(port: int) -> bool:
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
        except OSError:
            return False
    return True


def _holder(port: int) -> str:
    """The process that listens there, as far as we may see it."""
    try:
        for each in psutil.net_connections("tcp"):
            if each.status == psutil.CONN_LISTEN and each.laddr and each.laddr.port == port and each.pid:
                return f"{psutil.Process(each.pid).name()} (process {each.pid})"
    except psutil.Error:
        pass
    return "another program"
