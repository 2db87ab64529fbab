"""Asking the notifier: what it answers, what it refuses, and everything that is no answer."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from datetime import UTC, datetime
from typing import Any

import httpx
import pytest
from pydantic import SecretStr

from sentryml_common.contracts.internal.notifier_api import DeliveryResponse, RouteResponse
from sentryml_common.http.internal import ACTOR, ActingPerson
from sentryml_common.http.paging import Page
from sentryml_common.http.problems import Problem
from sentryml_incidents.clients import notifier
from sentryml_incidents.clients.notifier import Notifier, NotifierAway, read_answer
from sentryml_incidents.web.alerts.deliveries import delivery_lines
from sentryml_notifier.http import deliveries

SECRET = SecretStr("s" * 32)
ANA = ActingPerson("0197", "Ana", "admin")
PROBLEM = "urn:sentryml:problem:"

Answer = Callable[[httpx.Request], Any]


def asking(answer: Answer, secret: SecretStr | None = SECRET, seconds: float = 20.0) -> Notifier:
    client = httpx.AsyncClient(transport=httpx.MockTransport(answer))
    return Notifier("http://notifier", secret, client, lambda: datetime(2026, 11, 23, tzinfo=UTC), seconds)


async def test_it_is_asked_for_a_person_and_its_answer_read() -> None:
    asked: list[httpx.Request] = []

    def answer(request: httpx.Request) -> httpx.Response:
        asked.append(request)
        return httpx.Response(201, json={"a": 1})

    reported = await asking(answer).ask(ANA, "PUT", "/v1/routes/1?x=a%20b", {"name": "ops"}, if_match='"v3"')
    assert reported == {"a": 1}
    (request,) = asked
    assert (request.method, request.url.raw_path, request.content) == (
        "PUT",
        b"/v1/routes/1?x=a%20b",
        b'{"name":"ops"}',
    )
    assert (request.headers["If-Match"], '"Ana"' in request.headers[ACTOR]) == ('"v3"', True)


async def test_an_empty_answer_is_none() -> None:
    assert await asking(lambda _: httpx.Response(204)).ask(ANA, "DELETE", "/v1/routes/1") is None


@pytest.mark.parametrize("status", [403, 404, 409, 412, 422])
async def test_what_it_refuses_is_a_problem_with_its_words(status: int) -> None:
    body = {"type": f"{PROBLEM}name-taken", "title": "t", "status": status, "detail": "taken", "errors": [1]}
    with pytest.raises(Problem) as refused:
        await asking(lambda _: httpx.Response(status, json=body)).ask(ANA, "POST", "/v1/routes", {})
    err = refused.value
    assert (err.status, err.kind, err.detail, err.extra) == (status, "name-taken", "taken", {"errors": [1]})


def cut_off(request: httpx.Request) -> httpx.Response:
    raise httpx.ReadError("cut off", request=request)


async def never(request: httpx.Request) -> httpx.Response:
    await asyncio.Event().wait()
    raise AssertionError


async def endless() -> AsyncIterator[bytes]:
    while True:
        yield b"x" * 65_536


@pytest.mark.parametrize(
    ("answer", "why"),
    [
        (cut_off, "does not answer (ReadError)"),
        (never, "does not answer (TimeoutError)"),
        (lambda _: httpx.Response(200, content=endless()), "too long"),
        (lambda _: httpx.Response(200, content=b"<html>"), "does not answer (JSONDecodeError)"),
        (lambda _: httpx.Response(502, content=b"<html>"), "does not answer (JSONDecodeError)"),
        (lambda _: httpx.Response(503, json={"type": f"{PROBLEM}unavailable", "detail": "starting"}), "starting"),
        (lambda _: httpx.Response(401, json={"type": f"{PROBLEM}not-signed", "detail": "set the clocks"}), "clocks"),
        (lambda _: httpx.Response(404, json={"type": f"{PROBLEM}not-found", "detail": "Not Found"}), "Not Found"),
        (lambda _: httpx.Response(404, json={"error": "of a proxy"}), "it answers 404"),
        (lambda _: httpx.Response(409, json=["of a proxy"]), "it answers 409"),
    ],
)
async def test_everything_else_is_no_answer(answer: Answer, why: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(notifier, "MOST_ANSWER_BYTES", 1024 * 1024)
    seconds = 0.05 if answer is never else 20.0
    with pytest.raises(NotifierAway) as away:
        await asking(answer, seconds=seconds).ask(ANA, "GET", "/v1/routes")
    assert why in str(away.value)


async def test_without_a_secret_nobody_is_asked() -> None:
    with pytest.raises(NotifierAway, match="SENTRYML_INTERNAL_SECRET is not set"):
        await asking(cut_off, secret=None).ask(ANA, "GET", "/v1/routes")


def test_an_answer_in_another_form_is_no_answer() -> None:
    with pytest.raises(NotifierAway, match="another version"):
        read_answer(Page[RouteResponse], {"items": [{"route_id": "x"}], "next_cursor": None})


def a_delivery(**changes: Any) -> DeliveryResponse:
    given = {**deliveries.EXAMPLE, **changes}
    return read_answer(DeliveryResponse, given)


def test_a_delivery_reads_as_on_the_timeline() -> None:
    now = datetime(2026, 11, 23, 10, tzinfo=UTC)
    (row,) = delivery_lines([a_delivery()], now)
    assert (row.step, row.line.where, row.line.what, row.retryable) == (
        "Opened",
        "Slack",
        "delivered after 1.2 s",
        False,
    )
    parked = {"state": "parked", "delivered_at": None, "last_text": "Why."}
    (undeliverable,) = delivery_lines([a_delivery(parked_because="message_refused", **parked)], now)
    assert (undeliverable.line.what, undeliverable.line.why, undeliverable.retryable) == ("undeliverable", "Why.", True)
    (over,) = delivery_lines([a_delivery(parked_because="not_needed", **parked)], now)
    assert (over.line.what, over.retryable) == ("not sent", False)


@pytest.mark.parametrize("unknown", [{"kind": "teleported"}, {"state": "lost"}])
def test_a_delivery_of_a_newer_notifier_is_no_defect(unknown: dict[str, str]) -> None:
    with pytest.raises(NotifierAway, match="another version"):
        delivery_lines([a_delivery(**unknown)], datetime(2026, 11, 23, 10, tzinfo=UTC))
