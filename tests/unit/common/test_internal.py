"""Requests between services: what is signed passes, and nothing else; the secret is nowhere to be read."""

from __future__ import annotations

import hmac
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from typing import Annotated, Any

import httpx
import pytest
from fastapi import Depends, FastAPI
from hypothesis import given
from hypothesis import strategies as st
from pydantic import SecretStr

from sentryml_common.errors import ConfigurationError
from sentryml_common.http.internal import (
    ACTOR,
    MOST_BODY_BYTES,
    SIGNATURE,
    TIME,
    ActingPerson,
    InternalAccess,
    Signed,
    signed_headers,
)
from sentryml_common.http.problems import install_problems
from sentryml_common.settings import InternalSettings, load_settings

SECRET = SecretStr("s3cret" * 6)
NOW = datetime(2026, 11, 23, 9, 15, tzinfo=UTC)
ANA = ActingPerson("0197", "Ana Zoë\n名", "responder")
TARGET = "/v1/things%2F1?a=1&b=%20"
BODY = b'{"a": 1}'


def an_app() -> FastAPI:
    """Tells what a signed request holds."""
    app = FastAPI()
    install_problems(app)

    @app.post("/with-a-form")
    async def with_a_form(
        asked: dict[str, int], signed: Annotated[Signed, Depends(InternalAccess(SECRET, lambda: NOW))]
    ) -> dict[str, Any]:
        return {"asked": asked, "body": signed.body.decode()}

    @app.api_route("/{path:path}", methods=["POST", "PUT"])
    async def tell(signed: Annotated[Signed, Depends(InternalAccess(SECRET, lambda: NOW))]) -> dict[str, Any]:
        name = None if signed.actor is None else signed.actor.name
        return {"body": signed.body.decode(), "name": name}

    return app


@pytest.fixture
async def client() -> AsyncIterator[httpx.AsyncClient]:
    transport = httpx.ASGITransport(app=an_app())
    async with httpx.AsyncClient(transport=transport, base_url="http://internal") as made:
        yield made


def headers(age_seconds: float = 0.0, actor: ActingPerson | None = None, secret: SecretStr = SECRET) -> dict[str, str]:
    at = NOW - timedelta(seconds=age_seconds)
    return signed_headers(secret, "POST", TARGET, BODY, at.timestamp(), actor)


async def test_body_that_the_framework_has_read_before_is_signed_too(client: httpx.AsyncClient) -> None:
    signed = signed_headers(SECRET, "POST", "/with-a-form", BODY, NOW.timestamp()) | {
        "Content-Type": "application/json"
    }
    answer = await client.post("/with-a-form", content=BODY, headers=signed)
    assert answer.json() == {"asked": {"a": 1}, "body": BODY.decode()}


async def refusal(answer: httpx.Response) -> str:
    """Why it was refused, and that it was in the form of all refusals."""
    assert answer.status_code == 401
    assert answer.headers["WWW-Authenticate"] == "SentryML-Signature"
    body = answer.json()
    assert body["type"] == "urn:sentryml:problem:not-signed"
    return str(body["detail"])


@pytest.mark.parametrize("actor", [None, ANA])
async def test_a_signed_request_passes_with_the_person_it_is_for(
    client: httpx.AsyncClient, actor: ActingPerson | None
) -> None:
    answer = await client.post(TARGET, content=BODY, headers=headers(actor=actor))
    assert answer.json() == {"body": BODY.decode(), "name": None if actor is None else actor.name}


async def test_what_the_framework_has_read_before_is_what_was_signed() -> None:
    app = FastAPI()
    install_problems(app)

    @app.post("/")
    async def take(
        taken: dict[str, int], signed: Annotated[Signed, Depends(InternalAccess(SECRET, lambda: NOW))]
    ) -> dict[str, Any]:
        return {"taken": taken, "signed": signed.body.decode()}

    headers = signed_headers(SECRET, "POST", "/", BODY, NOW.timestamp())
    async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://notifier") as client:
        answer = await client.post("/", content=BODY, headers=headers | {"Content-Type": "application/json"})
    assert answer.json() == {"taken": {"a": 1}, "signed": BODY.decode()}


@pytest.mark.parametrize("age_seconds", [-60, 60])
async def test_clocks_may_be_a_minute_apart(client: httpx.AsyncClient, age_seconds: float) -> None:
    assert (await client.post(TARGET, content=BODY, headers=headers(age_seconds))).status_code == 200


@pytest.mark.parametrize("age_seconds", [-61, 61, 86_400])
async def test_an_old_request_is_refused(client: httpx.AsyncClient, age_seconds: float) -> None:
    assert "clocks" in await refusal(await client.post(TARGET, content=BODY, headers=headers(age_seconds)))


@pytest.mark.parametrize(
    "strange",
    [{}, {TIME: "1"}, {SIGNATURE: "v1=00"}, {TIME: "", SIGNATURE: "v1=00"}, {TIME: "9" * 5000, SIGNATURE: "v1=00"}],
)
async def test_an_unsigned_request_is_refused(client: httpx.AsyncClient, strange: dict[str, str]) -> None:
    assert "which sign" in await refusal(await client.post(TARGET, content=BODY, headers=strange))


async def test_a_signature_of_another_secret_is_refused(client: httpx.AsyncClient) -> None:
    other = headers(secret=SecretStr("x" * 32))
    assert "SENTRYML_INTERNAL_SECRET" in await refusal(await client.post(TARGET, content=BODY, headers=other))


@pytest.mark.parametrize(
    ("method", "target", "body", "changed"),
    [
        ("PUT", TARGET, BODY, {}),
        ("POST", "/v1/things/1?a=1&b=%20", BODY, {}),
        ("POST", TARGET.replace("a=1", "a=2"), BODY, {}),
        ("POST", TARGET.partition("?")[0], BODY, {}),
        ("POST", TARGET, b'{"a": 2}', {}),
        ("POST", TARGET, b"", {}),
        ("POST", TARGET, BODY, {TIME: str(int(NOW.timestamp()) + 1)}),
        ("POST", TARGET, BODY, {ACTOR: '{"id": "0197", "name": "Ana", "role": "admin"}'}),
        ("POST", TARGET, BODY, {ACTOR: ""}),
        ("POST", TARGET, BODY, {SIGNATURE: "v1=" + "0" * 64}),
        ("POST", TARGET, BODY, {SIGNATURE: "Ä"}),
    ],
)
async def test_whatever_was_changed_on_the_way_is_refused(
    client: httpx.AsyncClient, method: str, target: str, body: bytes, changed: dict[str, str]
) -> None:
    sent = {name: value.encode("latin-1") for name, value in (headers(actor=ANA) | changed).items()}
    assert "is invalid" in await refusal(await client.request(method, target, content=body, headers=sent))


async def test_a_request_signed_for_nobody_cannot_be_given_to_somebody(client: httpx.AsyncClient) -> None:
    sent = headers() | {ACTOR: headers(actor=ANA)[ACTOR]}
    assert "is invalid" in await refusal(await client.post(TARGET, content=BODY, headers=sent))


def signed_for(whom: str) -> dict[str, str]:
    """Headers of a request that is well signed, whatever it says of the person."""
    time = str(int(NOW.timestamp()))
    signed = "\n".join(("v1", time, "POST", TARGET, whom, "")).encode() + BODY
    signature = hmac.digest(SECRET.get_secret_value().encode(), signed, "sha256").hex()
    return {TIME: time, ACTOR: whom, SIGNATURE: f"v1={signature}"}


async def test_a_field_that_a_newer_service_sends_is_ignored(client: httpx.AsyncClient) -> None:
    whom = '{"id": "0197", "name": "Ana", "role": "admin", "team": "fraud"}'
    answer = await client.post(TARGET, content=BODY, headers=signed_for(whom))
    assert (answer.status_code, answer.json()["name"]) == (200, "Ana")


@pytest.mark.parametrize(
    ("whom", "field"),
    [
        ("{", ACTOR),
        ("[]", ACTOR),
        ("null", ACTOR),
        ("[" * 5000, ACTOR),
        ('{"id": "0197", "name": "Ana"}', f"{ACTOR}.role"),
        ('{"id": 197, "name": "Ana", "role": "admin"}', f"{ACTOR}.id"),
        ('{"id": "0197", "name": null, "role": "admin"}', f"{ACTOR}.name"),
        ('{"id": "0197", "name": ["Ana"], "role": "admin"}', f"{ACTOR}.name"),
        ('{"id": "0197", "name": "\\ud800", "role": "admin"}', ACTOR),
    ],
)
async def test_a_signed_person_that_is_none_is_refused(client: httpx.AsyncClient, whom: str, field: str) -> None:
    answer = await client.post(TARGET, content=BODY, headers=signed_for(whom))
    assert (answer.status_code, answer.json()["type"]) == (422, "urn:sentryml:problem:invalid-request")
    assert [error["field"] for error in answer.json()["errors"]] == [field]


async def test_a_long_body_is_not_read_to_its_end(client: httpx.AsyncClient) -> None:
    read = 0

    async def endless() -> AsyncIterator[bytes]:
        nonlocal read
        while True:
            read += 1024
            assert read < 2 * MOST_BODY_BYTES
            yield b"x" * 1024

    answer = await client.post(TARGET, content=endless(), headers=headers())
    assert answer.json()["type"] == "urn:sentryml:problem:body-too-large"


parts = st.text(st.characters(codec="ascii", exclude_characters="\r\n"), max_size=8)


@given(first=st.tuples(parts, parts, st.binary(max_size=8)), second=st.tuples(parts, parts, st.binary(max_size=8)))
def test_no_part_can_be_taken_for_another(first: tuple[str, str, bytes], second: tuple[str, str, bytes]) -> None:
    signatures = [
        signed_headers(SECRET, method, target, body, 1)[SIGNATURE] for method, target, body in (first, second)
    ]
    assert (signatures[0] == signatures[1]) == (first == second)


def test_the_secret_does_not_travel() -> None:
    assert SECRET.get_secret_value() not in str(headers(actor=ANA))


def test_a_short_secret_is_refused_without_repeating_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SENTRYML_INTERNAL_SECRET", "hunter2")
    with pytest.raises(ConfigurationError, match=r"SENTRYML_INTERNAL_SECRET: .* at least 32 characters") as refused:
        load_settings(InternalSettings)
    assert "hunter2" not in str(refused.value)
    monkeypatch.setenv("SENTRYML_INTERNAL_SECRET", SECRET.get_secret_value())
    settings = load_settings(InternalSettings)
    assert SECRET.get_secret_value() not in str(settings.model_dump(mode="json")) + repr(settings)
    monkeypatch.delenv("SENTRYML_INTERNAL_SECRET")
    assert load_settings(InternalSettings).internal_secret is None
