"""The socket that a service listens at."""

from __future__ import annotations

import socket

from sentryml_common.errors import ConfigurationError
from sentryml_common.settings import ServiceSettings


def listen(settings: ServiceSettings) -> socket.socket:
    """The socket of the HTTP server. `::` is all addresses, those of IPv4 too.

    Its connections send at once: they inherit the option, which asyncio sets only for sockets that say they are of TCP,
    and those of `create_server` do not. Without it every answer in two parts waits 40 ms for the client's delayed ACK.

    Raises:
        ConfigurationError: nobody can listen there, or somebody does.
    """
    host, six = settings.http_host, ":" in settings.http_host
    try:
        listener = socket.create_server(
            (host, settings.http_port),
            family=socket.AF_INET6 if six else socket.AF_INET,
            dualstack_ipv6=host == "::" and socket.has_dualstack_ipv6(),
            backlog=1024,
        )
    except OSError as err:
        raise ConfigurationError(f"{err}: set SENTRYML_HTTP_HOST and SENTRYML_HTTP_PORT") from err
    listener.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    return listener
