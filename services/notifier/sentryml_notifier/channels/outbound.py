"""The only way out of the notifier over HTTP: every request is checked when it is made, not only when it was entered.

A name is resolved here, every address it leads to is checked, and the connection goes to one of the very addresses that
were checked: a name that leads somewhere else the next time it is asked (DNS rebinding) leads nowhere. TLS still
asks for the certificate of the name.
"""

from __future__ import annotations

import asyncio
import socket
import ssl
from collections.abc import Awaitable, Callable, Collection, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import TypeVar

import httpx

from sentryml_notifier.channels.resolving import resolve_by_system
from sentryml_notifier.domain.addresses import authority_of, is_public, to_allow, why_not

TOTAL_SECONDS = 10.0
CONNECT_SECONDS = 5.0
"""For looking up the name and connecting to its addresses, together."""
HTTPS_PORT = 443
DEFAULT_PORTS = {"http": 80, "https": HTTPS_PORT}

T = TypeVar("T")
Resolve = Callable[[str, int], Awaitable[Sequence[str]]]
"""The IP addresses of a name, in the order in which to try them; raises OSError if there are none."""


class AddressRefused(httpx.ConnectError):
    """We do not connect there; the message says why and what would allow it. Nothing was sent."""


class NameUnknown(httpx.ConnectError):
    """The name leads to no address; nothing was sent."""


@dataclass(frozen=True, slots=True)
class Guard:
    """Knows where we may connect: to public addresses, and to what the operator allows as `host:port`."""

    allowed_hosts: Collection[str] = frozenset()
    resolve: Resolve = resolve_by_system

    async def addresses(self, host: str, port: int) -> Sequence[str]:
        """The IP addresses to connect to for a host, all of them checked.

        Raises:
            AddressRefused: one of them is not public, and the host is not allowed.
            NameUnknown: there are none.
            httpx.ConnectTimeout: the resolver took too long.
        """
        try:
            async with asyncio.timeout(CONNECT_SECONDS):
                found = await self.resolve(host, port)
        except TimeoutError:
            raise httpx.ConnectTimeout("the name was not resolved in time") from None
        except (OSError, UnicodeError):
            found = ()
        if not found:
            raise NameUnknown("the name does not resolve")
        authority = authority_of(host, port)
        if authority not in self.allowed_hosts and not all(map(is_public, found)):
            raise AddressRefused(f"{authority} resolves to an address that is not public. {to_allow(authority)}")
        return found

    def why_not_url(self, url: httpx.URL) -> str | None:
        """Why a URL may not be sent to, as the end of a sentence about it; None if it may."""
        if url.scheme not in DEFAULT_PORTS or not url.host:
            return "must begin with https:// and the name of a host"
        if url.userinfo or url.fragment:
            return "must not hold a user name, a password or a #fragment"
        authority = authority_of_url(url)
        if url.scheme == "http" and authority not in self.allowed_hosts:
            return f"must begin with https://. {to_allow(authority)}"
        return why_not(host_of(url), port_of(url), {HTTPS_PORT}, self.allowed_hosts)


class GuardedTransport(httpx.AsyncBaseTransport):
    """Checks each request, and connects to a checked address of its host."""

    def __init__(self, guard: Guard, tls: ssl.SSLContext) -> None:
        # A kept connection may be closed by the other side just as a message is written: an uncertain failure, and a
        # repeat, that a fresh one spares. A fresh one is also always one to the host it was checked for.
        limits = httpx.Limits(max_keepalive_connections=0)
        self._inner = httpx.AsyncHTTPTransport(verify=tls, trust_env=False, limits=limits)
        self._guard = guard

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        """Send a request to the first of its host's addresses that takes the connection.

        Raises:
            AddressRefused: it may not be sent; nothing was.
        """
        text = self._guard.why_not_url(request.url)
        if text is not None:
            raise AddressRefused(f"the address {text}")
        host, port = host_of(request.url), port_of(request.url)
        return await _in_turn(self._guard, host, port, lambda address, seconds: self._send(request, address, seconds))

    async def _send(self, request: httpx.Request, address: str, connect_seconds: float) -> httpx.Response:
        timeout = {**request.extensions.get("timeout", {}), "connect": connect_seconds}
        extensions = {**request.extensions, "timeout": timeout, "sni_hostname": host_of(request.url)}
        there = httpx.Request(
            request.method,
            request.url.copy_with(host=address),
            headers=request.headers,  # `Host` among them, as it was
            stream=request.stream,
            extensions=extensions,
        )
        response = await self._inner.handle_async_request(there)
        # The client of all channels keeps nothing that one party wants another time to see.
        response.headers.pop("set-cookie", None)
        return response

    async def aclose(self) -> None:
        await self._inner.aclose()


async def connect(guard: Guard, host: str, port: int) -> socket.socket:
    """A connection to a checked address of a host, for what is not HTTP.

    Raises:
        AddressRefused: we do not connect there.
        httpx.ConnectError, httpx.ConnectTimeout: nobody answers there.
    """

    async def attempt(address: str, seconds: float) -> socket.socket:
        sock = socket.socket(socket.AF_INET6 if ":" in address else socket.AF_INET, socket.SOCK_STREAM)
        sock.setblocking(False)
        try:
            async with asyncio.timeout(seconds):
                await asyncio.get_running_loop().sock_connect(sock, (address, port))
        except OSError as err:  # TimeoutError is one
            sock.close()
            raise httpx.ConnectError("none of the addresses accepts a connection") from err
        except BaseException:
            sock.close()
            raise
        return sock

    return await _in_turn(guard, host, port, attempt)


async def _in_turn(guard: Guard, host: str, port: int, attempt: Callable[[str, float], Awaitable[T]]) -> T:
    """What comes of the first of a host's checked addresses that takes a connection, within its share of the time."""
    ends = asyncio.get_running_loop().time() + CONNECT_SECONDS
    addresses = await guard.addresses(host, port)
    for left, address in zip(range(len(addresses), 0, -1), addresses, strict=True):
        try:
            return await attempt(address, max(0.0, ends - asyncio.get_running_loop().time()) / left)
        except (httpx.ConnectError, httpx.ConnectTimeout):
            if left == 1:
                raise
    raise AssertionError("there is at least one address")


def read_url(address: str) -> httpx.URL:
    """An address as a URL; whether it may be sent to is another question.

    Raises:
        ValueError: it is none.
    """
    try:
        url = httpx.URL(address)
        url.host  # noqa: B018 - decodes an international name: only here a wrong one shows
    except (httpx.InvalidURL, UnicodeError) as err:
        raise ValueError("not a URL") from err
    return url


def host_of(url: httpx.URL) -> str:
    """The host that a URL leads to, as the resolver knows it: in ASCII."""
    return url.raw_host.decode("ascii")


def port_of(url: httpx.URL) -> int:
    """The port that a URL leads to."""
    return DEFAULT_PORTS.get(url.scheme, 0) if url.port is None else url.port


def authority_of_url(url: httpx.URL) -> str:
    """Where a URL leads to, as the setting of allowed hosts names it."""
    return authority_of(host_of(url), port_of(url))


def make_client(
    allowed_hosts: Collection[str] = frozenset(),
    resolve: Resolve = resolve_by_system,
    tls: ssl.SSLContext | None = None,
) -> httpx.AsyncClient:
    """The HTTP client of all channels: guarded, no redirects, no proxy from the environment, no kept connections."""
    return httpx.AsyncClient(
        transport=GuardedTransport(Guard(allowed_hosts, resolve), tls or usual_tls()),
        headers={"User-Agent": "SentryML"},
        follow_redirects=False,
        trust_env=False,
        timeout=httpx.Timeout(TOTAL_SECONDS, connect=CONNECT_SECONDS),
    )


@cache
def usual_tls() -> ssl.SSLContext:
    """Trust in the usual authorities, whose certificates take 25 ms to read."""
    return make_tls()


def make_tls(ca_file: Path | None = None) -> ssl.SSLContext:
    """Whose certificates are trusted: those of the usual authorities, and of `ca_file` (PEM).

    Raises:
        OSError: the file cannot be read, or holds no certificate.
    """
    context = httpx.create_ssl_context(trust_env=False)
    if ca_file is not None:
        context.load_verify_locations(ca_file)
    return context


def untrusted(error: BaseException) -> bool:
    """Whether a connection failed because the other side's certificate is not one that we trust for its name."""
    seen: BaseException | None = error
    while seen is not None:
        if isinstance(seen, ssl.SSLCertVerificationError):
            return True
        seen = seen.__cause__ or seen.__context__
    return False
