"""The stack of one data folder: up, down, status, and what a user needs to know of it."""

from __future__ import annotations

import asyncio
import json
import os
import socket
import subprocess
import sys
import threading
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

from sentryml_local import kafka, postgres
from sentryml_local.errors import StackError
from sentryml_local.programs import ALL, OFFSETS, PORT_BASE, SERVICES, Addresses, Program, service_programs
from sentryml_local.state import StackState, new_state, read_state, write_state
from sentryml_local.supervision import Supervisor

READY_SECONDS = 120.0
LOG_LINES_SHOWN = 15
_PAUSE = threading.Event()


@dataclass(frozen=True, slots=True)
class Status:
    """One process of the stack."""

    name: str
    pid: int | None
    state: str
    url: str


@dataclass(frozen=True, slots=True)
class Options:
    """How to bring the stack up; None leaves what the data folder remembers, or the default."""

    port_base: int | None = None
    fine_pane_seconds: float | None = None
    only: tuple[str, ...] = ALL
    durable: bool = True


def _silent(_: str) -> None:
    return


class Stack:
    """Kafka, PostgreSQL, the services and the stand-in for Slack, of one data folder."""

    def __init__(self, folder: Path, options: Options = Options(), say: Callable[[str], None] = _silent) -> None:
        self.folder = folder.resolve()
        self._options, self._say = options, say
        self._supervisor = Supervisor(self.folder)

    @property
    def state(self) -> StackState:
        """What the data folder remembers.

        Raises:
            StackError: there is no stack in it.
        """
        state = read_state(self.folder)
        if state is None:
            raise StackError(f"there is no stack in {self.folder}: bring one up with `sentryml-local up`")
        return state

    @property
    def addresses(self) -> Addresses:
        """Where everything listens."""
        return Addresses(self.state.port_base)

    def up(self) -> None:
        """Bring everything up and wait until it is ready; what already runs is left alone.

        Raises:
            StackError: something is in the way; what was started keeps running for `down`.
        """
        state = self._settle_state()
        if not self._supervisor.running():
            self._check_ports(state)
            self._supervisor.start(self._programs(state))
        for name in ALL:
            self._start(name)  # all at once: services wait for their servers by themselves
        self._wait_for_servers(state)
        if "incidents" in self._options.only:
            self._make_credentials(state)
        for name in SERVICES:
            if name in self._options.only:
                self._wait_for_service(name)

    def down(self) -> None:
        """Stop everything; data are kept. Leaves no process."""
        self._supervisor.stop(SERVICES)

    def status(self) -> list[Status]:
        """Every process: its pid (None if it does not run), the supervisor's word for its state, its address."""
        known, addresses = self._supervisor.processes(), self.addresses
        return [
            Status(
                name,
                known[name]["pid"] or None if name in known else None,
                known[name]["statename"].lower() if name in known else "stopped",
                _url(addresses, name),
            )
            for name in ALL
        ]

    def environment(self) -> dict[str, str]:
        """What a shell needs to use the stack."""
        state, addresses = self.state, self.addresses
        return {
            "SENTRYML_INGEST_URL": addresses.http("ingest"),
            "SENTRYML_INCIDENTS_URL": addresses.http("incidents"),
            "SENTRYML_NOTIFIER_URL": addresses.http("notifier"),
            "SENTRYML_KAFKA_BOOTSTRAP": addresses.kafka,
            "SENTRYML_POSTGRES_URL": postgres.url(addresses.port("postgres"), state.postgres_password),
            "SENTRYML_SLACK_STAND_IN_URL": addresses.http("slack-stand-in"),
            "SENTRYML_EVENTS_KEY": state.events_key,
            "SENTRYML_ADMIN_KEY": state.admin_key,
            "SENTRYML_ADMIN_EMAIL": state.admin_email,
            "SENTRYML_ADMIN_PASSWORD": state.admin_password,
        }

    def _settle_state(self) -> StackState:
        """The state to come up with; a running stack cannot change its ports or panes."""
        options, known = self._options, read_state(self.folder)
        if known is None:
            state = new_state(options.port_base or PORT_BASE, options.fine_pane_seconds or 60.0)
        else:
            state = known.with_options(options.port_base, options.fine_pane_seconds)
            if state != known and self._supervisor.running():
                raise StackError(
                    f"the stack in {self.folder} is running on port base {known.port_base} with fine panes of "
                    f"{known.fine_pane_seconds:g} s: stop it first with `sentryml-local down`"
                )
        write_state(self.folder, state)
        return state

    def _check_ports(self, state: StackState) -> None:
        for name in OFFSETS:
            port = Addresses(state.port_base).port(name)
            with socket.socket() as probe:
                probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
                try:
                    probe.bind(("127.0.0.1", port))
                except OSError as err:
                    raise StackError(
                        f"port {port} is wanted for {name}, and taken by another program. Stop that one (`ss -ltnp` "
                        f"names it), or move the stack: --port-base {state.port_base + 100} (make: PORT_BASE=…)"
                    ) from err

    def _programs(self, state: StackState) -> list[Program]:
        addresses, only = Addresses(state.port_base), self._options.only
        programs = []
        if "kafka" in only:
            jars = kafka.ensure_jars(self._say)
            properties = kafka.prepare(
                jars, self.folder / "kafka", addresses.port("kafka"), addresses.port("kafka-controller")
            )
            programs.append(Program("kafka", tuple(kafka.server_command(jars, properties)), addresses.kafka))
        if "postgres" in only:
            data = postgres.prepare(self.folder / "postgres", state.postgres_password)
            command = postgres.server_command(data, addresses.port("postgres"), durable=self._options.durable)
            programs.append(Program("postgres", tuple(command), _url(addresses, "postgres"), postgres.system_user()))
        services = service_programs(addresses, self.folder, self._settings(state, addresses))
        return programs + [program for program in services if program.name in only]

    def _settings(self, state: StackState, addresses: Addresses) -> dict[str, str]:
        """Settings common to all services."""
        return {
            "SENTRYML_HTTP_HOST": "127.0.0.1",
            "SENTRYML_KAFKA_BOOTSTRAP": addresses.kafka,
            "SENTRYML_POSTGRES_URL": postgres.url(addresses.port("postgres"), state.postgres_password),
            "SENTRYML_FINE_PANE_SECONDS": f"{state.fine_pane_seconds:g}",
            "SENTRYML_PUBLIC_URL": addresses.http("incidents"),
            "SENTRYML_SLACK_WEBHOOK_URL": addresses.webhook,
            "SENTRYML_SLACK_ALLOWED_HOSTS": f"127.0.0.1:{addresses.port('slack-stand-in')}",
            "SENTRYML_SECRET_KEY": state.secret_key,
            "PYTHONUNBUFFERED": "1",
        }

    def _start(self, name: str) -> None:
        if name in self._options.only:
            self._supervisor.start_program(name)

    def _wait_for_servers(self, state: StackState) -> None:
        addresses, only = Addresses(state.port_base), self._options.only
        if "postgres" in only:
            port = addresses.port("postgres")
            self._wait("postgres", lambda: None if _postgres_answers(port, state) else "it takes no connections yet")
        if "kafka" in only:
            port = addresses.port("kafka")
            self._wait("kafka", lambda: None if _listens(port) else "it does not listen yet")

    def _wait_for_service(self, name: str) -> None:
        self._wait(name, lambda: _not_ready(self.addresses.http(name)))

    def _wait(self, name: str, why_not: Callable[[], str | None]) -> None:
        """Wait until a program is ready.

        Raises:
            StackError: it is not in time; with what it waits for and the end of its log.
        """
        began = time.monotonic()
        while (why := why_not()) is not None:
            if time.monotonic() - began > READY_SECONDS:
                raise StackError(
                    f"{name} is not ready after {READY_SECONDS:.0f} s: {why}\n{self.log_tail(name)}\n"
                    "What was started still runs; stop it with `sentryml-local down`."
                )
            _PAUSE.wait(0.1)
        self._say(f"{name} is ready")

    def log_tail(self, name: str) -> str:
        """The last lines of a program's log."""
        file = self.folder / "logs" / f"{name}.log"
        lines = file.read_text(errors="replace").splitlines() if file.exists() else []
        return f"the end of {file}:\n" + "\n".join(f"  {line}" for line in lines[-LOG_LINES_SHOWN:])

    def _make_credentials(self, state: StackState) -> None:
        """The two API keys and the first admin, once per data folder."""
        if state.events_key and state.admin_key:
            return
        asked = (
            ["create-api-key", "--name", "local-events", "--scope", "events:write"],
            ["create-api-key", "--name", "local-admin", "--scope", "admin"],
            ["create-admin", "--email", state.admin_email, "--password-stdin"],
        )
        with ThreadPoolExecutor() as together:
            events_key, admin_key, _ = together.map(partial(self._admin, state), asked)
        write_state(self.folder, replace(state, events_key=events_key, admin_key=admin_key))
        self._say("API keys and the first admin are made")

    def _admin(self, state: StackState, arguments: Iterable[str]) -> str:
        result = subprocess.run(
            [sys.executable, "-m", "sentryml_incidents.admin", *arguments],
            input=state.admin_password,
            env={**os.environ, **self._settings(state, Addresses(state.port_base))},
            capture_output=True,
            text=True,
            check=False,
        )
        if result.returncode:
            raise StackError(f"sentryml-admin {' '.join(arguments)} failed: {result.stderr.strip()[-500:]}")
        return result.stdout.strip().splitlines()[-1] if result.stdout.strip() else ""


def _url(addresses: Addresses, name: str) -> str:
    if name == "kafka":
        return addresses.kafka
    if name == "postgres":
        return f"127.0.0.1:{addresses.port('postgres')}"
    return addresses.http(name)


def _listens(port: int) -> bool:
    try:
        socket.create_connection(("127.0.0.1", port), timeout=1).close()
    except OSError:
        return False
    return True


def _postgres_answers(port: int, state: StackState) -> bool:
    return asyncio.run(postgres.answers(port, state.postgres_password))


def _not_ready(url: str) -> str | None:
    """What a service waits for, in its own words; None when it is ready."""
    try:
        with urllib.request.urlopen(f"{url}/readyz", timeout=2):
            return None
    except urllib.error.HTTPError as err:
        waiting = json.loads(err.read() or b"{}").get("waiting_for", {})
        return "; ".join(f"{what}: {why}" for what, why in waiting.items()) or f"HTTP {err.code}"
    except (OSError, ValueError) as err:
        return f"{url}/readyz does not answer ({err})"
