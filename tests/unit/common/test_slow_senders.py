"""Senders of half a request: their connections are answered and closed; a slow answer of ours is not touched."""

from __future__ import annotations

import re
import signal
import socket
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress

import httpx
import orjson
import pytest

from sentryml_common.http.connections import MOST_HEADER_BYTES
from tests.support.eventually import LONG_SECONDS, eventually_sync
from tests.support.ports import free_port
from tests.support.processes import Process

PROGRAM = "tests.unit.common.example_service"
HALF_HEADERS = b"POST /length HTTP/1.1\r\nHost: x\r\nContent-Le"
HALF_BODY = b"POST /length HTTP/1.1\r\nHost: x\r\nContent-Length: 10\r\n\r\n12345"
WHOLE = HALF_BODY + b"67890"
SLOW = b"GET /slow HTTP/1.1\r\nHost: x\r\n\r\n"


class Service:
    """A running service that gives its senders little time."""

    def __init__(self, process: Process, port: int) -> None:
        self.process, self.port = process, port

    def connect(self, sent: bytes = b"") -> socket.socket:
        connection = socket.create_connection(("127.0.0.1", self.port), timeout=LONG_SECONDS)
        connection.sendall(sent)
        return connection

    def get(self, path: str) -> httpx.Response | None:
        try:
            return httpx.get(f"http://127.0.0.1:{self.port}{path}", timeout=LONG_SECONDS, verify=False)
        except httpx.TransportError:
            return None


@pytest.fixture(scope="module")
def service(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    settings = {
        "SENTRYML_HTTP_PORT": str(free_port()),
        "SENTRYML_HTTP_HEADERS_SECONDS": "1",
        "SENTRYML_HTTP_BODY_SECONDS": "1",
    }
    process = Process(PROGRAM, "works", environment=settings, log=tmp_path_factory.mktemp("slow") / "log")
    running = Service(process, int(settings["SENTRYML_HTTP_PORT"]))
    try:
        eventually_sync(lambda: running.get("/livez") is not None, what="an answer")
        yield running
    finally:
        process.kill()
        process.wait()


def read_all(connection: socket.socket) -> bytes:
    """What comes until the other side closes the connection; it hangs if that never happens."""
    received = b""
    with suppress(ConnectionResetError):
        while part := connection.recv(65_536):
            received += part
    return received


def read_length(connection: socket.socket) -> None:
    """Read the answer to WHOLE, and nothing beyond."""
    received = b""
    while not received.endswith(b"\r\n\r\n10"):
        part = connection.recv(1)
        assert part, received
        received += part
    assert received.startswith(b"HTTP/1.1 200")


def timeouts(service: Service, part: str) -> float:
    """How many requests the service has given up waiting for."""
    metrics = service.get("/metrics")
    assert metrics is not None
    found = re.search(rf'^sentryml_http_timeouts_total{{part="{part}"}} (\S+)$', metrics.text, re.MULTILINE)
    return float(found[1]) if found else 0.0


def problem_in(answer: bytes, kind: str = "request-timeout") -> tuple[str, str]:
    """(status line, detail) of a problem."""
    head, _, body = answer.partition(b"\r\n\r\n")
    assert b"connection: close" in head.lower()
    assert b"content-type: application/problem+json" in head.lower()
    problem = orjson.loads(body)
    assert problem["type"] == f"urn:sentryml:problem:{kind}"
    return head.partition(b"\r\n")[0].decode(), problem["detail"]


@pytest.mark.parametrize("sent", [b"P", HALF_HEADERS], ids=["one letter", "half"])
def test_headers_that_do_not_come_are_408_and_the_connection_is_closed(service: Service, sent: bytes) -> None:
    with service.connect(sent) as connection:
        status, detail = problem_in(read_all(connection))
    assert status == "HTTP/1.1 408 Request Timeout"
    assert detail == "the headers did not arrive within 1 s: send the request again"


def test_a_connection_on_which_nothing_is_sent_is_closed_without_an_answer(service: Service) -> None:
    with service.connect() as connection:
        assert read_all(connection) == b""


@pytest.mark.parametrize("sent", [HALF_BODY, HALF_BODY.replace(b"\r\n\r\n12345", b"\r\nExpect: 100-continue\r\n\r\n")])
def test_a_body_that_does_not_come_is_408_and_the_connection_is_closed(service: Service, sent: bytes) -> None:
    with service.connect(sent) as connection:
        answer = read_all(connection).removeprefix(b"HTTP/1.1 100 Continue\r\n\r\n")
    status, detail = problem_in(answer)
    assert status == "HTTP/1.1 408 Request Timeout"
    assert detail == "the body did not arrive within 1 s: send the request again"


@pytest.mark.parametrize(
    "head", [b"GET / HTTP/1.1\r\nX: ", HALF_BODY.replace(b"10", b"100000")], ids=["headers", "body"]
)
def test_a_sender_that_sends_a_byte_now_and_then_is_not_waited_for(service: Service, head: bytes) -> None:
    with service.connect(head) as connection:
        connection.settimeout(0.02)

        def received() -> bytes:
            try:
                return connection.recv(1) or b"closed"
            except TimeoutError:
                connection.sendall(b"x")
                return b""

        assert eventually_sync(received, what="an answer, or the end") in {b"H", b"closed"}


def test_headers_that_are_too_long_are_431_before_they_end(service: Service) -> None:
    with service.connect(HALF_HEADERS + b"x" * MOST_HEADER_BYTES) as connection:
        status, detail = problem_in(read_all(connection), "headers-too-large")
    assert status.startswith("HTTP/1.1 431")
    assert detail == "the headers may have 65,536 bytes: send fewer or shorter ones"


def test_what_is_not_http_is_400_with_what_to_check(service: Service) -> None:
    with service.connect(b"\x16\x03\x01 TLS on a plain port\r\n\r\n") as connection:
        status, detail = problem_in(read_all(connection), "not-http")
    assert status == "HTTP/1.1 400 Bad Request"
    assert detail == "this is not an HTTP/1.1 request: check what is sent to this port"


def test_the_rest_of_a_body_is_not_waited_for_after_the_answer(service: Service) -> None:
    with service.connect(HALF_BODY.replace(b"/length", b"/nowhere")) as connection:
        answer = read_all(connection)
    assert answer.startswith(b"HTTP/1.1 404")
    assert answer.count(b"HTTP/1.1") == 1


def test_the_second_request_of_a_connection_is_waited_for_as_the_first(service: Service) -> None:
    with service.connect(WHOLE) as connection:
        read_length(connection)
        connection.sendall(HALF_HEADERS)
        assert problem_in(read_all(connection))[0] == "HTTP/1.1 408 Request Timeout"


def test_many_half_requests_leave_the_service_as_it_was(service: Service) -> None:
    before = {part: timeouts(service, part) for part in ("headers", "body")}
    halves = (b"", HALF_HEADERS, HALF_BODY, WHOLE + HALF_BODY) * 10
    for sent, connection in [(sent, service.connect(sent)) for sent in halves]:
        with connection:
            assert (b"408 Request Timeout" in read_all(connection)) is (sent != b"")
    assert {part: timeouts(service, part) - before[part] for part in before} == {"headers": 20, "body": 20}
    with service.connect(WHOLE) as connection:
        read_length(connection)


def test_an_answer_may_take_longer_than_a_request(service: Service) -> None:
    with ThreadPoolExecutor() as pool, service.connect(SLOW) as slow:
        answer = pool.submit(slow.recv, 65_536)
        for sent in (HALF_HEADERS, HALF_BODY):
            with service.connect(sent) as late:
                assert b"408" in read_all(late)
        service.process.send_signal(signal.SIGUSR1)
        assert answer.result().startswith(b"HTTP/1.1 200")
