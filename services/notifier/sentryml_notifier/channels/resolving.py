"""The machine's resolver, asked so that a name that takes long holds up nothing but what is sent there.

A look-up in the system cannot be stopped and may take half a minute. So each name has a thread of its own while it is
looked up, and all callers of that time share the answer: other names never wait for it, nor does the process
when it ends.
"""

from __future__ import annotations

import asyncio
import socket
import threading
from collections.abc import Sequence
from concurrent.futures import Future

_asked: dict[tuple[str, int], Future[Sequence[str]]] = {}
"""What is being looked up."""


async def resolve_by_system(host: str, port: int) -> Sequence[str]:
    """The IP addresses of a name, in the order in which to try them. A caller may give up at any time.

    Raises:
        OSError: there are none.
        UnicodeError: it is no name.
    """
    return await asyncio.wrap_future(_asked.get((host, port)) or _begin(host, port))


def _begin(host: str, port: int) -> Future[Sequence[str]]:
    found: Future[Sequence[str]] = Future()
    found.set_running_or_notify_cancel()  # so that one who gives up does not end it for the others
    _asked[host, port] = found
    threading.Thread(target=_look_up, args=(host, port, found), name="resolver", daemon=True).start()
    return found


def _look_up(host: str, port: int, found: Future[Sequence[str]]) -> None:
    try:
        infos = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    except BaseException as err:
        del _asked[host, port]
        found.set_exception(err)
    else:
        del _asked[host, port]
        found.set_result(list(dict.fromkeys(str(address[0]) for *_, address in infos)))
