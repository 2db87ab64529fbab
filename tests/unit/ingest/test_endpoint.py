"""`POST /v1/events` as it comes from a connection: in pieces, one after the other, and cut short."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from dataclasses import dataclass
from typing import Any

import orjson
import pytest
import uvicorn
from fastapi import FastAPI
from uvicorn.server import ServerState

from sentryml_common.errors import Unavailable
from sentryml_common.http.connections import REQUEST, protocol_with_limits
from sentryml_ingest.app import create_app, limits_of
from sentryml_ingest.http.events import EventsEndpoint
from sentryml_ingest.http.gateway import Gateway
from sentryml_ingest.publisher import EventPublisher
from sentryml_ingest.settings import IngestSettings
from tests.support.eventually import eventually
from tests.unit.common.keys import KEY, api_key, clock, gatekeeper_of
from tests.unit.ingest.builders import counted, event, known_monitors

MOST_BYTES = 200_000
BODY = orjson.dumps(event(score=0.5, timestamp="2026-11-23T09:14:59Z"))


class Holding(EventPublisher):
    """Kafka that acknowledges what it is asked to."""

    def __init__(self) -> None:
        super().__init__(seconds=1.0)
        self.waiting: list[tuple[bytes, asyncio.Future[None]]] = []

    def publish(self, array: bytes, events: int, request_id: bytes | None = None) -> asyncio.Future[None]:
        answered = asyncio.get_running_loop().create_future()
        self.waiting.append((array, answered))
        return answered

    async def holds(self, requests: int) -> None:
        """Wait until it holds that number of requests."""

        async def enough() -> bool:
            return len(self.waiting) == requests

        await eventually(enough, what=f"{requests} requests at Kafka")

    def acknowledge(self, error: Exception | None = None) -> None:
        """Answer the first that waits."""
        _, answered = self.waiting.pop(0)
        if error is None:
            answered.set_result(None)
        else:
            answered.set_exception(error)


@dataclass
class Connection:
    """A sender's connection."""

    kafka: Holding
    reader: asyncio.StreamReader
    writer: asyncio.StreamWriter
    state: ServerState

    async def made(self) -> bool:
        """Whether the server knows of it."""
        return bool(self.state.connections)

    def stop(self) -> None:
        """What the server does when it stops."""
        for each in list(self.state.connections):
            each.shutdown()

    async def answer(self) -> tuple[int, dict[str, str], dict[str, object]]:
        """The next answer: its status, its headers and what it holds."""
        head = (await self.reader.readuntil(b"\r\n\r\n")).decode().split("\r\n")
        headers = dict(line.lower().split(": ", 1) for line in head[1:] if line)
        body = await self.reader.readexactly(int(headers["content-length"]))
        return int(head[0].split()[1]), headers, orjson.loads(body)

    async def answered(self, status: int = 202) -> dict[str, object]:
        """What the next answer holds, which has this status."""
        found, headers, body = await self.answer()
        assert found == status, body
        assert headers["cache-control"] == "no-store"
        return body


def request(body: bytes = BODY, *, key: str = KEY, version: str = "1.1", **headers: str) -> bytes:
    lines = {"host": "ingest", "authorization": f"Bearer {key}", "content-type": "application/json"}
    lines |= {"content-length": str(len(body)), **headers}
    head = "".join(f"{name.replace('_', '-')}: {value}\r\n" for name, value in lines.items())
    return f"POST /v1/events HTTP/{version}\r\n{head}\r\n".encode() + body


def gateway_of(kafka: EventPublisher) -> Gateway:
    settings = IngestSettings(max_body_bytes=MOST_BYTES)
    return Gateway(settings, gatekeeper_of(api_key()), known_monitors(), limits_of(settings), kafka, clock)


@pytest.fixture
async def connection() -> AsyncIterator[Connection]:
    """A connection to an HTTP server whose framework is the application of ingest."""
    kafka = Holding()
    gateway = gateway_of(kafka)
    app: FastAPI = create_app(gateway)
    protocol = protocol_with_limits(headers_seconds=60, body_seconds=60, endpoint=EventsEndpoint(gateway))
    config = uvicorn.Config(app, http=protocol, log_config=None)
    config.load()
    state = ServerState()

    def connect() -> asyncio.Protocol:
        made: asyncio.Protocol = config.http_protocol_class(config=config, server_state=state, app_state={})  # type: ignore[call-arg]
        return made

    server = await asyncio.get_running_loop().create_server(connect, "127.0.0.1", 0)
    reader, writer = await asyncio.open_connection(*server.sockets[0].getsockname())
    try:
        yield Connection(kafka, reader, writer, state)
    finally:
        writer.close()
        server.close()


async def test_a_request_is_answered_once_kafka_has_it(connection: Connection) -> None:
    connection.writer.write(request())
    await connection.kafka.holds(1)
    assert connection.kafka.waiting[0][0] == b"[" + BODY + b"]"
    connection.kafka.acknowledge()
    assert await connection.answered() == {"accepted": 1}


@pytest.mark.parametrize("size", [1, 7, 100])
async def test_a_request_may_come_in_pieces(connection: Connection, size: int) -> None:
    whole = request()
    for start in range(0, len(whole), size):
        connection.writer.write(whole[start : start + size])
        await connection.writer.drain()
        await asyncio.sleep(0)
    await connection.kafka.holds(1)
    connection.kafka.acknowledge()
    assert await connection.answered() == {"accepted": 1}


async def test_a_long_body_is_taken_whole(connection: Connection) -> None:
    """Longer than what uvicorn reads before it waits for someone to want it."""
    body = BODY + b" " * (MOST_BYTES - len(BODY))
    connection.writer.write(request(body))
    await connection.kafka.holds(1)
    connection.kafka.acknowledge()
    assert await connection.answered() == {"accepted": 1}


async def test_requests_sent_together_are_answered_in_their_order(connection: Connection) -> None:
    many = orjson.dumps([event(), event()])
    connection.writer.write(request() + request(many) + request(b"{") + request())
    for expected in (1, 2):
        await connection.kafka.holds(1)
        connection.kafka.acknowledge()
        assert await connection.answered() == {"accepted": expected}
    assert (await connection.answered(422))["type"] == "urn:sentryml:problem:not-json"
    await connection.kafka.holds(1)
    connection.kafka.acknowledge()
    assert await connection.answered() == {"accepted": 1}


async def test_who_may_not_send_is_answered_before_the_body_and_may_try_again(connection: Connection) -> None:
    connection.writer.write(request(key="sml_typo")[:-10])
    await connection.answered(401)
    connection.writer.write(BODY[-10:] + request())
    await connection.kafka.holds(1)
    connection.kafka.acknowledge()
    assert await connection.answered() == {"accepted": 1}


async def test_a_body_over_the_limit_is_refused_before_its_end(connection: Connection) -> None:
    connection.writer.write(request(b" " * (2 * MOST_BYTES))[: MOST_BYTES + 50_000])
    assert (await connection.answered(413))["type"] == "urn:sentryml:problem:body-too-large"


async def test_a_connection_that_ends_midway_brings_nothing_and_is_counted(connection: Connection) -> None:
    before = counted("sentryml_ingest_requests_total", status="400")
    connection.writer.write(request()[:-1])
    await connection.writer.drain()
    connection.writer.close()

    async def noticed() -> bool:
        return counted("sentryml_ingest_requests_total", status="400") == before + 1

    await eventually(noticed, what="the end of the connection")
    assert connection.kafka.waiting == []


async def test_a_sender_that_does_not_wait_for_the_answer_is_no_defect(connection: Connection) -> None:
    before = counted("sentryml_ingest_events_accepted_total")
    connection.writer.write(request())
    await connection.kafka.holds(1)
    connection.writer.close()
    await connection.writer.wait_closed()
    connection.kafka.acknowledge()

    async def accepted() -> bool:
        return counted("sentryml_ingest_events_accepted_total") == before + 1

    await eventually(accepted, what="the events to be counted")


@pytest.mark.parametrize(
    ("error", "status"), [(Unavailable("Kafka did not acknowledge"), 503), (RuntimeError("a defect"), 500)]
)
async def test_what_kafka_does_not_take_is_said(connection: Connection, error: Exception, status: int) -> None:
    connection.writer.write(request())
    await connection.kafka.holds(1)
    connection.kafka.acknowledge(error)
    assert (await connection.answered(status))["status"] == status


@pytest.mark.parametrize(("version", "headers"), [("1.0", {}), ("1.1", {"connection": "close"})])
async def test_a_connection_is_closed_where_the_sender_wants_that(
    connection: Connection, version: str, headers: dict[str, str]
) -> None:
    connection.writer.write(request(version=version, **headers))
    await connection.kafka.holds(1)
    connection.kafka.acknowledge()
    assert (await connection.answer())[1]["connection"] == "close"
    assert await connection.reader.read() == b""


async def test_who_asks_first_and_who_wants_good_events_taken_are_answered_by_the_framework(
    connection: Connection,
) -> None:
    whole = request(expect="100-continue")
    connection.writer.write(whole[: -len(BODY)])
    assert await connection.reader.readuntil(b"\r\n\r\n") == b"HTTP/1.1 100 Continue\r\n\r\n"
    connection.writer.write(BODY + request(b"[7," + BODY + b"]", prefer="handling=lenient"))
    await connection.kafka.holds(1)
    connection.kafka.acknowledge()
    assert await connection.answered() == {"accepted": 1}
    await connection.kafka.holds(1)
    connection.kafka.acknowledge()
    found = await connection.answered()
    assert (found["accepted"], found["refused"]) == (1, 1)


async def test_the_first_request_of_a_new_connection_is_answered_though_the_service_stops(
    connection: Connection,
) -> None:
    await eventually(connection.made, what="the connection at the server")
    connection.stop()
    connection.writer.write(request())
    await connection.kafka.holds(1)
    connection.kafka.acknowledge()
    assert (await connection.answer())[1]["connection"] == "close"
    assert await connection.reader.read() == b""


async def test_a_new_connection_without_a_request_does_not_keep_the_service_from_stopping(
    connection: Connection,
) -> None:
    await eventually(connection.made, what="the connection at the server")
    connection.stop()
    assert await connection.reader.read() == b""


async def test_a_connection_that_waits_for_its_next_request_is_closed_after_a_while(
    connection: Connection, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The check is called here, in the place of a timer."""
    connection.writer.write(request())
    await connection.kafka.holds(1)
    protocol: Any = next(iter(connection.state.connections))
    monkeypatch.setitem(protocol.seconds, REQUEST, 60.0)
    protocol._check()  # it is our turn
    connection.kafka.acknowledge()
    assert await connection.answered() == {"accepted": 1}
    protocol._check()  # its time is not over
    connection.writer.write(request())
    await connection.kafka.holds(1)
    connection.kafka.acknowledge()
    assert await connection.answered() == {"accepted": 1}
    monkeypatch.setitem(protocol.seconds, REQUEST, 0.0)
    protocol._check()
    assert await connection.reader.read() == b""
