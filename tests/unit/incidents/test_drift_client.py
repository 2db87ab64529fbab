"""Asking the processors: each machine behind a name is asked, and whatever they answer is given in words."""

from __future__ import annotations

import asyncio
import socket
from datetime import UTC, datetime
from typing import Any

import httpx
import pytest
from fastapi import Response
from pydantic import SecretStr

from sentryml_common.contracts.internal.recomputation import Ended, Recomputed
from sentryml_common.contracts.message import encode
from sentryml_common.contracts.monitor import Monitor
from sentryml_common.errors import ConfigurationError
from sentryml_common.settings import load_settings
from sentryml_incidents.clients.drift import NO_OWNER, NotRecomputed, Processors
from sentryml_incidents.settings import IncidentsSettings

MONITOR = Monitor(model_id="model", version=1)
SINCE = datetime(2026, 11, 23, tzinfo=UTC)
SECRET = SecretStr("s3cret" * 6)
FOUND = encode(Recomputed(evaluations=(), ended=Ended.PANES, every_seconds=300))
NOT_OWNED = b'{"type": "urn:sentryml:problem:model-not-owned"}'


async def asked(answers: dict[str, tuple[int, bytes]]) -> Recomputed:
    """What is made of the answers of some hosts."""

    async def by_host(scope: Any, receive: Any, send: Any) -> None:
        status, body = answers[dict(scope["headers"])[b"host"].decode()]
        await Response(body, status)(scope, receive, send)

    urls = tuple(f"https://{host}" for host in answers)  # https: a name is asked as it is
    async with httpx.AsyncClient(transport=httpx.ASGITransport(app=by_host)) as client:
        return await Processors(urls, SECRET, client).recompute(MONITOR, SINCE)


@pytest.mark.parametrize("first", [(404, NOT_OWNED), (503, b"{}"), (500, b"<html>"), (200, b'{"v": 2}')])
async def test_one_answer_is_enough(first: tuple[int, bytes]) -> None:
    assert (await asked({"a": first, "b": (200, FOUND)})).ended is Ended.PANES


@pytest.mark.parametrize(
    ("answers", "why"),
    [
        ([(404, NOT_OWNED), (404, NOT_OWNED)], NO_OWNER),
        ([(404, NOT_OWNED), (503, b'{"detail": "catching up"}')], "a processor answers 503: catching up"),
        ([(404, b'{"type": "urn:sentryml:problem:not-found"}')], "has no SENTRYML_INTERNAL_SECRET"),
        ([(401, b'{"detail": "not signed"}'), (404, NOT_OWNED)], "a processor answers 401: not signed"),
        ([(502, b"<html>"), (404, NOT_OWNED)], "a processor answers 502"),
        ([(200, b'{"v": 1, "evaluations": 3}')], "a processor answers in another version"),
    ],
)
async def test_no_answer_is_reported_in_words(answers: list[tuple[int, bytes]], why: str) -> None:
    with pytest.raises(NotRecomputed, match=why):
        await asked(dict(zip(("a", "b"), answers, strict=False)))


async def test_every_machine_that_a_name_stands_for_is_asked(monkeypatch: pytest.MonkeyPatch) -> None:
    machines, received = ("10.0.0.1", "10.0.0.2"), set[str]()

    async def resolve(host: str, port: int, **_: Any) -> list[tuple[Any, ...]]:
        assert (host, port) == ("processor", 8080)
        return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", (address, port)) for address in machines]

    async def hear(scope: Any, receive: Any, send: Any) -> None:
        received.add(dict(scope["headers"])[b"host"].decode())
        await Response(NOT_OWNED, 404)(scope, receive, send)

    monkeypatch.setattr(asyncio.get_running_loop(), "getaddrinfo", resolve)
    async with httpx.AsyncClient(transport=httpx.ASGITransport(app=hear)) as client:
        with pytest.raises(NotRecomputed, match=NO_OWNER):
            await Processors(("http://processor:8080",), SECRET, client).recompute(MONITOR, SINCE)
    assert received == {"10.0.0.1:8080", "10.0.0.2:8080"}


def test_addresses_are_separated_by_commas(monkeypatch: pytest.MonkeyPatch) -> None:
    assert load_settings(IncidentsSettings).processors == ()
    monkeypatch.setenv("SENTRYML_PROCESSOR_URLS", "http://a:8080,https://b/")
    assert load_settings(IncidentsSettings).processors == ("http://a:8080", "https://b")
    for strange in ("a:8080", "http://a, http://b", "http://a/path", ","):
        monkeypatch.setenv("SENTRYML_PROCESSOR_URLS", strange)
        with pytest.raises(ConfigurationError, match="SENTRYML_PROCESSOR_URLS"):
            load_settings(IncidentsSettings)
