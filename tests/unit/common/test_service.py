"""The runner, with real processes: health from the first moment, an ordered stop, and exit codes that tell."""

from __future__ import annotations

import signal
import socket
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import httpx
import orjson
import pytest

from sentryml_common.http.listener import listen
from sentryml_common.settings import ServiceSettings
from tests.support.eventually import LONG_SECONDS, eventually_sync
from tests.support.ports import free_port
from tests.support.processes import Process

PROGRAM = "tests.unit.common.example_service"


@dataclass(frozen=True, slots=True)
class Running:
    """A service in a process of its own, and what it logs."""

    process: Process
    url: str
    log_file: Path

    @property
    def logged(self) -> list[dict[str, Any]]:
        """Its complete log lines so far."""
        return [orjson.loads(line) for line in self.log_file.read_bytes().split(b"\n")[:-1]]

    def events(self, name: str) -> list[dict[str, Any]]:
        return [line for line in self.logged if line["event"] == name]

    def get(self, path: str) -> httpx.Response | None:
        """An answer, or None while nobody listens."""
        try:
            return httpx.get(self.url + path, timeout=LONG_SECONDS, verify=False)
        except httpx.TransportError:
            return None

    def first_answer(self, path: str) -> httpx.Response:
        """The first answer there is, whatever it says."""

        def ask() -> list[httpx.Response]:
            answer = self.get(path)
            return [] if answer is None else [answer]

        return eventually_sync(ask, what=f"an answer to {path}")[0]

    def until_ready(self) -> None:
        """Wait until `/readyz` says so."""
        eventually_sync(lambda: self.first_answer("/readyz").status_code == 200, what="ready")

    def terminate(self) -> None:
        self.process.send_signal(signal.SIGTERM)

    def exit_code(self) -> int:
        return self.process.wait(timeout=LONG_SECONDS)


Start = Callable[..., Running]


@pytest.fixture
def start(tmp_path: Path) -> Iterator[Start]:
    """Start the example service with a behaviour."""
    started: list[Process] = []

    def begin(
        behaviour: str, *, port: int | None = None, shutdown_seconds: float = LONG_SECONDS, host: str = "127.0.0.1"
    ) -> Running:
        port = port or free_port()
        log_file = tmp_path / f"{behaviour}.log"
        settings = {
            "SENTRYML_HTTP_HOST": host,
            "SENTRYML_HTTP_PORT": str(port),
            "SENTRYML_SHUTDOWN_SECONDS": str(shutdown_seconds),
            "SENTRYML_POSTGRES_URL": "postgresql://me:hunter2@db/x",
        }
        process = Process(PROGRAM, behaviour, environment=settings, log=log_file)
        started.append(process)
        return Running(process, f"http://127.0.0.1:{port}", log_file)

    yield begin
    for process in started:
        process.kill()
        process.wait()


def test_health_is_reported_from_the_first_moment(start: Start) -> None:
    service = start("starts_slowly")
    assert service.first_answer("/livez").json() == {"status": "alive"}
    ready = service.first_answer("/readyz")
    assert ready.status_code == 503
    assert ready.json() == {
        "ready": False,
        "waiting_for": {"start": "starting", "kafka": "k:9092 does not answer"},
    }
    service.terminate()
    assert service.exit_code() == 0


@pytest.mark.parametrize("signum", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_closes_in_the_opposite_order_and_exits_0(start: Start, signum: signal.Signals) -> None:
    service = start("works")
    service.until_ready()
    service.process.send_signal(signum)
    assert service.exit_code() == 0
    assert [(line["event"], line.get("what")) for line in service.logged if line["event"] in {"opened", "closed"}] == [
        ("opened", "pool"),
        ("opened", "resource"),
        ("closed", "resource"),
        ("closed", "pool"),
    ]
    assert service.logged[0]["event"] == "service_starting"
    assert service.logged[-1]["event"] == "service_stopped"


def test_no_secret_of_the_settings_is_in_the_log(start: Start) -> None:
    service = start("works")
    service.until_ready()
    service.terminate()
    assert service.exit_code() == 0
    [starting] = service.events("service_starting")
    assert starting["postgres_url"] == "**********"
    assert "hunter2" not in service.log_file.read_text()


def test_requests_in_flight_are_answered_before_the_work_stops(start: Start) -> None:
    service = start("works")
    service.until_ready()
    with ThreadPoolExecutor() as pool:
        request = pool.submit(service.get, "/slow")
        eventually_sync(lambda: service.events("slow_request_began"), what="the request to be in flight")
        service.terminate()
        eventually_sync(lambda: service.get("/livez") is None, what="new requests to be refused")
        assert not service.events("closed")
        service.process.send_signal(signal.SIGUSR1)
        answer = request.result()
    assert answer is not None
    assert answer.json() == {"resource_open": True}
    assert service.exit_code() == 0
    assert len(service.events("closed")) == 2


@pytest.mark.parametrize(
    ("behaviour", "closed"), [("fails", ["pool"]), ("fails_in_a_task", ["pool", "pool"]), ("ends", [])]
)
def test_work_that_ends_takes_the_service_with_it(start: Start, behaviour: str, closed: list[str]) -> None:
    service = start(behaviour)
    assert service.exit_code() == 70
    [failed] = service.events("service_failed")
    assert failed["part"] == "work"
    assert [line["what"] for line in service.events("closed")] == closed
    if closed:
        assert "no luck after 7 attempts" in str(failed["exception"])
        assert "hunter2" not in service.log_file.read_text()


@pytest.mark.parametrize("behaviour", ["is_misconfigured", "is_misconfigured_in_a_task"])
def test_a_wrong_installation_is_said_once_and_exits_78(start: Start, behaviour: str) -> None:
    service = start(behaviour)
    assert service.exit_code() == 78
    [said] = service.events("invalid_configuration")
    assert "the topic sentryml.x.v1 is missing: create it" in said["why"]
    assert "exception" not in said


def test_a_port_that_is_taken_is_said_with_what_to_change(start: Start) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        service = start("works", port=taken.getsockname()[1])
        assert service.exit_code() == 78
    [said] = service.events("invalid_configuration")
    assert "in use" in said["why"]
    assert "SENTRYML_HTTP_PORT" in said["why"]
    assert not service.events("opened")


def test_a_setting_that_does_not_fit_exits_78_before_anything_is_opened(start: Start) -> None:
    service = start("works", port=70_000)
    assert service.exit_code() == 78
    said = service.log_file.read_text()
    assert "SENTRYML_HTTP_PORT" in said
    assert "Traceback" not in said
    assert "opened" not in said
    assert "modules are taken apart" not in said


def test_a_stop_that_hangs_is_given_up_after_its_deadline(start: Start) -> None:
    service = start("will_not_stop", shutdown_seconds=1.0)
    service.until_ready()
    service.terminate()
    assert service.exit_code() == 70
    assert service.events("cancellation_ignored")
    [late] = service.events("stop_took_too_long")
    assert late["seconds"] == 1.0
    assert any(each.startswith("work: will_not_stop:") for each in late["unfinished"]), late


def test_a_request_that_never_ends_is_cancelled_and_the_work_ends_in_order(start: Start) -> None:
    service = start("works", shutdown_seconds=4.0)
    service.until_ready()
    with ThreadPoolExecutor() as pool:
        request = pool.submit(service.get, "/slow")
        eventually_sync(lambda: service.events("slow_request_began"), what="the request to be in flight")
        service.terminate()
        assert service.exit_code() == 0
        answer = request.result()
    assert answer is None or answer.status_code == 500
    assert [line["what"] for line in service.events("closed")] == ["resource", "pool"]
    assert not service.events("stop_took_too_long")


def test_a_request_that_ignores_its_cancellation_does_not_keep_the_work_from_ending(start: Start) -> None:
    service = start("works", shutdown_seconds=4.0)
    service.until_ready()
    with ThreadPoolExecutor() as pool:
        request = pool.submit(service.get, "/stubborn")
        eventually_sync(lambda: service.events("stubborn_request_began"), what="the request to be in flight")
        service.terminate()
        assert service.exit_code() == 0
        assert request.result() is None
    assert len(service.events("closed")) == 2


@pytest.mark.parametrize(
    ("host", "reached_at"),
    [("::", ["127.0.0.1", "::1"]), ("::1", ["::1"]), ("0.0.0.0", ["127.0.0.1"]), ("localhost", ["127.0.0.1"])],
)
def test_a_service_listens_at_any_address_and_knows_its_clients_by_theirs(
    start: Start, host: str, reached_at: list[str]
) -> None:
    service = start("works", host=host)
    port = service.url.rpartition(":")[2]
    for address in reached_at:
        shown = f"[{address}]" if ":" in address else address
        client = replace(service, url=f"http://{shown}:{port}")
        assert client.first_answer("/client").json() == address
    service.terminate()
    assert service.exit_code() == 0


def test_a_thread_left_over_does_not_keep_a_stopped_service_alive(start: Start) -> None:
    service = start("leaves_a_thread")
    service.until_ready()
    service.terminate()
    assert service.exit_code() == 0
    assert service.events("service_stopped")


def test_work_that_cannot_stop_in_order_is_reported(start: Start) -> None:
    service = start("fails_to_stop")
    service.until_ready()
    service.terminate()
    assert service.exit_code() == 70
    [failed] = service.events("stop_failed")
    assert "could not flush" in str(failed["exception"])


def test_connections_send_at_once() -> None:
    """Else each answer in two parts waits 40 ms for the other side's delayed acknowledgement."""
    with (
        listen(ServiceSettings(http_port=free_port())) as listener,
        socket.create_connection(listener.getsockname()),
        listener.accept()[0] as accepted,
    ):
        assert accepted.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY)
