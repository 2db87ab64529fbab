"""The stack of one data folder: up, down, status, and what a user needs to know of it."""

from __future__ import annotations

import fcntl
import os
import threading
import time
from collections.abc import Callable, Collection, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from sentryml_local import kafka, postgres
from sentryml_local.credentials import with_credentials
from sentryml_local.errors import StackError
from sentryml_local.jar_cache import ensure_classes, ensure_jars
from sentryml_local.jars import jars_folder
from sentryml_local.ports import check_free, check_port_base, listens
from sentryml_local.programs import ALL, PORT_BASE, SERVICES, Addresses, Program, service_programs
from sentryml_local.readiness import postgres_waits, service_waits
from sentryml_local.state import StackState, new_state, own_folder, read_state, with_internal_secret, write_state
from sentryml_local.supervision import Supervisor

SAY_EVERY_SECONDS, LONGEST_WAIT_SECONDS = 15.0, 1800.0
"""How soon a program is ready depends on the machine alone: only a program that hangs is given up."""
ENDS_MAX = 4
FINE_PANE_SECONDS, PANES_MIN, PANES_MAX = 60.0, 0.1, 3600.0
ACTIVE = {"STARTING", "RUNNING", "BACKOFF"}
LOG_LINES_SHOWN = 15
GROUP_WAIT, GROUP_WINDOW = "SENTRYML_GROUP_WAIT_SECONDS", "SENTRYML_GROUP_WINDOW_SECONDS"
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
        with self._alone():
            state = self._settle_state()
            absent = self._absent()
            if absent:
                self._start(state, absent)
            else:
                self._say("everything is running already")
            self._wait_for_servers(state)
            if "incidents" in self._options.only and not state.has_keys:
                write_state(self.folder, with_credentials(state, self._settings(state, Addresses(state.port_base))))
                self._say("API keys and the first admin are made")
            for name in SERVICES:
                if name in self._options.only:
                    self._wait_for_service(name)

    @contextmanager
    def _alone(self) -> Iterator[None]:
        """Let one `up` at a time work on a folder."""
        own_folder(self.folder)
        with (self.folder / "up.lock").open("w") as lock:
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                raise StackError(f"another `sentryml-local up` is running in {self.folder}: wait for it") from None
            yield

    def _absent(self) -> list[str]:
        """What is asked for and does not run. What a killed supervisor has left is stopped first."""
        if not self._supervisor.running():
            self._supervisor.stop(SERVICES)
            return [name for name in ALL if name in self._options.only]
        known = self._supervisor.processes()
        return [
            name for name in ALL if name in self._options.only and known.get(name, {}).get("statename") not in ACTIVE
        ]

    def _start(self, state: StackState, names: Collection[str]) -> None:
        """Start programs all at once: services wait for their servers by themselves."""
        addresses = Addresses(state.port_base)
        check_free(addresses, [*names, *(["kafka-controller"] if "kafka" in names else [])])
        self._prepare(state, addresses, names)
        self._say(f"starting {', '.join(names)}")
        if not self._supervisor.running():
            self._supervisor.start(self._programs(state, addresses))
        for name in names:
            self._supervisor.start_program(name)

    def stop(self, names: Collection[str]) -> None:
        """Stop some programs, and leave the others; `up` brings them back."""
        self._supervisor.stop_programs(list(names))

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
            state = new_state(PORT_BASE, FINE_PANE_SECONDS).with_options(options.port_base, options.fine_pane_seconds)
        else:
            state = known.with_options(options.port_base, options.fine_pane_seconds)
            if state != known and self._supervisor.running():
                raise StackError(
                    f"the stack in {self.folder} is running on port base {known.port_base} with fine panes of "
                    f"{known.fine_pane_seconds:g} s: stop it first with `sentryml-local down`"
                )
        if not self._supervisor.running():
            state = with_internal_secret(state)
        check_port_base(state.port_base)
        if not PANES_MIN <= state.fine_pane_seconds <= PANES_MAX:
            raise StackError(f"a fine pane lasts {PANES_MIN:g} to {PANES_MAX:g} s, not {state.fine_pane_seconds:g}")
        write_state(self.folder, state)
        return state

    def _prepare(self, state: StackState, addresses: Addresses, names: Collection[str]) -> None:
        """Fetch and format what Kafka and PostgreSQL need before their first start; they format side by side."""
        tasks: list[Callable[[], None]] = []
        if "kafka" in names:
            tasks.append(partial(self._prepare_kafka, addresses))
        if "postgres" in names:
            tasks.append(partial(postgres.prepare, self.folder / "postgres", state.postgres_password))
        with ThreadPoolExecutor() as together:
            for done in [together.submit(task) for task in tasks]:
                done.result()

    def _prepare_kafka(self, addresses: Addresses) -> None:
        jars, ports = ensure_jars(self._say), (addresses.port("kafka"), addresses.port("kafka-controller"))
        ensure_classes(jars, *ports, self._say)
        kafka.prepare(jars, self.folder / "kafka", *ports)

    def _programs(self, state: StackState, addresses: Addresses) -> list[Program]:
        """All programs, so that one which is not asked for now can be started later."""
        broker = Program(
            "kafka",
            tuple(kafka.server_command(jars_folder(), self.folder / "kafka")),
            addresses.kafka,
            environment=kafka.ENVIRONMENT,
        )
        port, durable = addresses.port("postgres"), self._options.durable
        database = Program(
            "postgres",
            tuple(postgres.server_command(self.folder / "postgres", port, durable=durable)),
            _url(addresses, "postgres"),
            postgres.system_user(),
            stop_signal="INT",  # "fast": does not wait for clients to leave
        )
        return [broker, database, *service_programs(addresses, self.folder, self._settings(state, addresses))]

    def _settings(self, state: StackState, addresses: Addresses) -> dict[str, str]:
        """Settings common to all services."""
        return {
            "SENTRYML_HTTP_HOST": "127.0.0.1",
            "SENTRYML_KAFKA_BOOTSTRAP": addresses.kafka,
            "SENTRYML_TOPIC_PREFIX": "",  # its Kafka is its own, whatever the shell says of another
            "SENTRYML_POSTGRES_URL": postgres.url(addresses.port("postgres"), state.postgres_password),
            "SENTRYML_FINE_PANE_SECONDS": f"{state.fine_pane_seconds:g}",
            # Who watches in time-lapse does not wait as long; what the shell says holds.
            GROUP_WAIT: os.environ.get(GROUP_WAIT, f"{min(20.0, max(1.0, state.fine_pane_seconds / 3)):g}"),
            GROUP_WINDOW: os.environ.get(GROUP_WINDOW, f"{min(600.0, max(5.0, state.fine_pane_seconds * 10)):g}"),
            "SENTRYML_PUBLIC_URL": addresses.http("incidents"),
            "SENTRYML_INGEST_URL": addresses.http("ingest"),
            "SENTRYML_INCIDENTS_URL": addresses.http("incidents"),
            "SENTRYML_NOTIFIER_URL": addresses.http("notifier"),
            "SENTRYML_SLACK_WEBHOOK_URL": addresses.webhook,
            "SENTRYML_SECRETS_KEYS": state.secret_key,
            "SENTRYML_PROCESSOR_URLS": addresses.http("processor"),
            **({"SENTRYML_INTERNAL_SECRET": state.internal_secret} if state.internal_secret else {}),
            "SENTRYML_ALLOWED_HOSTS": f"127.0.0.1:{addresses.port('slack-stand-in')}",
            "PYTHONUNBUFFERED": "1",
        }

    def _wait_for_servers(self, state: StackState) -> None:
        addresses, only = Addresses(state.port_base), self._options.only
        if "postgres" in only:
            self._wait("postgres", partial(postgres_waits, addresses.port("postgres"), state.postgres_password))
        if "kafka" in only:
            self._wait("kafka", lambda: None)  # a broker opens its port last

    def _wait_for_service(self, name: str) -> None:
        self._wait(name, partial(service_waits, self.addresses.http(name)))

    def _wait(self, name: str, why_not: Callable[[], str | None]) -> None:
        """Wait until a program listens and is ready; say every 15 s for how long, and what it waits for.

        Raises:
            StackError: it keeps ending, or hangs, with what it waits for and the end of its log; another process has
                taken its port.
        """
        began, said, ends = time.monotonic(), 0.0, set[int]()
        while True:
            known = self._supervisor.processes().get(name)
            if known is None or known["statename"] == "STOPPED":
                raise StackError(f"{name} was stopped before it was ready")
            why = why_not() if listens(self.addresses, name, known["pid"]) else "it does not listen yet"
            if why is None:
                break
            ends.add(known["stop"])
            if len(ends) > ENDS_MAX:
                raise StackError(f"{name} exits each time it is started.\n{self._what_is_left(name)}")
            waited = time.monotonic() - began
            if waited > LONGEST_WAIT_SECONDS:
                raise StackError(f"{name} is not ready after {waited:.0f} s: {why}\n{self._what_is_left(name)}")
            if waited - said >= SAY_EVERY_SECONDS:
                self._say(f"still waiting for {name}, {waited:.0f} s: {why}")
                said = waited
            _PAUSE.wait(0.1)
        self._say(f"{name} is ready")

    def _what_is_left(self, name: str) -> str:
        return f"{self.log_tail(name)}\nWhat was started still runs; stop it with `sentryml-local down`."

    def log_tail(self, name: str) -> str:
        """The last lines of a program's log."""
        file = self.folder / "logs" / f"{name}.log"
        lines = file.read_text(errors="replace").splitlines() if file.exists() else []
        return f"the end of {file}:\n" + "\n".join(f"  {line}" for line in lines[-LOG_LINES_SHOWN:])


def _url(addresses: Addresses, name: str) -> str:
    if name == "kafka":
        return addresses.kafka
    if name == "postgres":
        return f"127.0.0.1:{addresses.port('postgres')}"
    return addresses.http(name)
