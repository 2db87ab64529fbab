"""The way out, against servers and names that mean harm. No name here is asked of a real resolver."""

from __future__ import annotations

import asyncio
import socket
import threading
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import httpx
import pytest

from sentryml_notifier.channels.outbound import AddressRefused, Guard, Resolve, make_client, make_tls
from sentryml_notifier.channels.posting import ANSWER_BYTES_MAX, Answer, Poster
from sentryml_notifier.channels.resolving import resolve_by_system
from sentryml_notifier.domain.delivery import Outcome, SendResult
from tests.integration.notifier.conftest import SEND_SECONDS, TestClock
from tests.support.certificates import make_certificate
from tests.support.http_server import answer, drip, flood, hang, http_server, reset

NAME = "hooks.example"


class Names:
    """A resolver whose answer may be another one each time; the last is given for ever."""

    def __init__(self, *answers: Sequence[str]) -> None:
        self._answers, self.asked = list(answers), 0

    async def __call__(self, host: str, port: int) -> Sequence[str]:
        self.asked += 1
        if host != NAME:
            return [host]
        return self._answers.pop(0) if len(self._answers) > 1 else self._answers[0]


async def post(
    url: str,
    allowed: str = "",
    resolve: Resolve | None = None,
    ca_file: Path | None = None,
    seconds: float = SEND_SECONDS,
) -> Answer | SendResult:
    resolve = resolve or Names(["127.0.0.1"])
    async with make_client({allowed}, resolve, make_tls(ca_file)) as client:
        return await Poster(client, "The receiver", TestClock(), seconds).post(httpx.URL(url), b"{}", {})


def outcome(result: Answer | SendResult) -> tuple[Outcome, str]:
    assert isinstance(result, SendResult)
    return result.outcome, result.reason


async def test_name_that_leads_elsewhere_by_the_time_it_is_used_is_not_followed() -> None:
    async with http_server() as inner:
        names = Names(["8.8.8.8"], ["127.0.0.1"])
        assert await Guard(resolve=names).addresses(NAME, 443) == ["8.8.8.8"], "as it was when somebody looked"
        result = await post(f"https://{NAME}/x", resolve=names)
    assert outcome(result) == (Outcome.CHANNEL_REFUSED, "address_not_allowed")
    assert isinstance(result, SendResult)
    assert f"SENTRYML_ALLOWED_HOSTS={NAME}:443" in result.text
    assert "127.0.0.1" not in result.text, "inner names are not explored through our words"
    assert inner.connections == 0


async def test_connection_goes_to_the_very_address_that_was_checked() -> None:
    async with http_server(host="127.0.0.1") as checked, http_server(host="127.0.0.2", port=checked.port) as rebound:
        names = Names(["127.0.0.1"], ["127.0.0.2"])
        result = await post(f"http://{NAME}:{checked.port}/x?y", f"{NAME}:{checked.port}", names)
    assert isinstance(result, Answer)
    assert (names.asked, len(checked.received), rebound.connections) == (1, 1, 0)
    assert checked.received[0].line == "POST /x?y HTTP/1.1"
    assert checked.received[0].headers["host"] == f"{NAME}:{checked.port}"


@pytest.mark.parametrize("addresses", [["8.8.8.8", "127.0.0.1"], ["127.0.0.1", "8.8.8.8"], ["64:ff9b::7f00:1"]])
async def test_one_inner_address_among_public_ones_is_one_too_many(addresses: list[str]) -> None:
    assert outcome(await post(f"https://{NAME}/x", resolve=Names(addresses))) == (
        Outcome.CHANNEL_REFUSED,
        "address_not_allowed",
    )


@pytest.mark.parametrize(
    "host", ["127.0.0.1", "[::ffff:127.0.0.1]", "2130706433", "127.1", "0x7f000001", "017700000001"]
)
async def test_address_in_any_form_is_checked_when_it_is_used(host: str) -> None:
    async with http_server() as inner, make_client() as client:
        for scheme in ("http", "https"):
            with pytest.raises(AddressRefused):
                await client.post(f"{scheme}://{host}:{inner.port}/x")
        with pytest.raises(AddressRefused):
            await client.post(f"https://{host}/x")
    assert inner.connections == 0


async def test_next_address_is_tried_where_the_first_takes_no_connection() -> None:
    async with http_server() as server:
        result = await post(
            f"http://{NAME}:{server.port}/", f"{NAME}:{server.port}", Names(["127.0.0.2", "::1", "127.0.0.1"])
        )
    assert isinstance(result, Answer)
    assert len(server.received) == 1


async def test_certificate_is_asked_for_the_name_though_the_connection_goes_to_an_address(tmp_path: Path) -> None:
    ca_file, tls = make_certificate(tmp_path, NAME)
    async with http_server(tls=tls) as server:
        url, allowed = f"https://{NAME}:{server.port}/x", f"{NAME}:{server.port}"
        untrusted = await post(url, allowed)
        other_name = await post(f"https://127.0.0.1:{server.port}/x", f"127.0.0.1:{server.port}", ca_file=ca_file)
        assert server.received == []
        trusted = await post(url, allowed, ca_file=ca_file)
    assert outcome(untrusted) == outcome(other_name) == (Outcome.NOT_ACCEPTED, "certificate_not_trusted")
    assert isinstance(untrusted, SendResult)
    assert "SENTRYML_CA_FILE" in untrusted.text
    assert isinstance(trusted, Answer)
    assert server.tls_names[-1] == NAME


async def test_name_that_is_not_known_is_no_broken_channel() -> None:
    assert outcome(await post(f"https://{NAME}/x", resolve=Names([]))) == (Outcome.NOT_ACCEPTED, "name_unknown")


async def for_ever(host: str, port: int) -> Sequence[str]:
    """A resolver that never answers."""
    await asyncio.Event().wait()
    raise AssertionError("nobody sets it")


async def test_name_that_is_not_resolved_in_time_leaves_nothing_open() -> None:
    result = await post(f"https://{NAME}/x", resolve=for_ever, seconds=0.2)
    assert outcome(result) == (Outcome.NOT_ACCEPTED, "no_connection"), "nothing was sent: what follows is no repeat"


async def test_names_that_take_for_ever_keep_no_other_name_from_being_resolved(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    known, released = socket.getaddrinfo, threading.Event()

    def slow_or_known(host: Any, *args: Any, **how: Any) -> Any:
        if str(host).startswith("slow"):
            released.wait()
        return known("127.0.0.1", *args, **how)

    monkeypatch.setattr(socket, "getaddrinfo", slow_or_known)
    threads = threading.active_count()
    slow = [asyncio.create_task(resolve_by_system(f"slow-{number % 20}.example", 443)) for number in range(100)]
    try:
        assert await asyncio.wait_for(resolve_by_system(NAME, 443), SEND_SECONDS) == ["127.0.0.1"]
        assert threading.active_count() - threads <= 21, "one look-up for all callers of the same name"
        slow[0].cancel()
        await asyncio.wait({slow[0]})
    finally:
        released.set()
    assert [await each for each in slow[1:]] == [["127.0.0.1"]] * 99, "one who gave up ended it for nobody else"


async def test_redirect_is_not_followed() -> None:
    async with http_server() as elsewhere:
        moved = answer(307, location=f"http://{elsewhere.authority}/x")
        async with http_server(moved) as server:
            result = await post(f"http://{server.authority}/", server.authority)
    assert isinstance(result, Answer)
    assert result.status == 307
    assert elsewhere.connections == 0


async def test_proxy_of_the_environment_is_not_used(monkeypatch: pytest.MonkeyPatch) -> None:
    async with http_server() as proxy, http_server() as server:
        for name in ("http_proxy", "HTTP_PROXY", "all_proxy", "ALL_PROXY"):
            monkeypatch.setenv(name, f"http://{proxy.authority}")
        assert isinstance(await post(f"http://{server.authority}/", server.authority), Answer)
    assert (proxy.connections, len(server.received)) == (0, 1)


async def test_answer_without_end_is_read_to_its_limit() -> None:
    async with http_server(flood) as server:
        result = await post(f"http://{server.authority}/", server.authority)
    assert isinstance(result, Answer)
    assert (result.status, len(result.text)) == (200, ANSWER_BYTES_MAX)


@pytest.mark.parametrize("slow", [drip, hang])
async def test_server_that_takes_its_time_does_not_take_ours(slow: object) -> None:
    async with http_server(slow) as server:  # type: ignore[arg-type]
        result = await post(f"http://{server.authority}/", server.authority, seconds=0.5)
    assert outcome(result) == (Outcome.UNCERTAIN, "timeout")


async def test_torn_connection_leaves_it_open_whether_the_message_arrived() -> None:
    async with http_server(reset) as server:
        result = await post(f"http://{server.authority}/", server.authority)
    assert outcome(result) == (Outcome.UNCERTAIN, "connection_lost")


async def test_cookies_are_not_kept() -> None:
    allowed: set[str] = set()
    async with http_server(answer(200, set_cookie="who=us; Path=/")) as server, make_client(allowed) as client:
        allowed.add(server.authority)
        for _ in range(2):
            await client.post(f"http://{server.authority}/")
    assert "cookie" not in server.received[1].headers
