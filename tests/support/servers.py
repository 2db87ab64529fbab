"""Real Kafka and PostgreSQL for tests: ours from packages, containers, or servers that are there already.

(default)                                            the local stack's Kafka and PostgreSQL, on free ports; one of
                                                     each for all workers of a run
SENTRYML_TEST_WITH=docker                            testcontainers, where there is a Docker engine
SENTRYML_TEST_KAFKA=… SENTRYML_TEST_POSTGRES=…       these servers
"""

from __future__ import annotations

import fcntl
import os
import shutil
import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from tempfile import TemporaryDirectory

import psutil

from sentryml_local import kafka
from sentryml_local.jar_cache import ensure_jars
from sentryml_local.stack import Options, Stack
from sentryml_local.supervision import ended
from tests.support.ports import free_port_base

MEMORY, MEMORY_BYTES = Path("/dev/shm"), 2 << 30
"""A file system in memory, and how much of it has to be free."""
SHARED = "SENTRYML_TEST_SERVERS"
PORTS_OF_NOTHING = (1, 2)
"""A broker takes its ports from its settings, whatever it was formatted with."""
_PAUSE = threading.Event()


@contextmanager
def a_kafka() -> Iterator[str]:
    """The address of a Kafka, as the environment asks for it."""
    if given := os.environ.get("SENTRYML_TEST_KAFKA"):
        yield given
    elif _in_containers():
        from testcontainers.kafka import KafkaContainer  # noqa: PLC0415 - needs a Docker engine

        container = KafkaContainer("apache/kafka:4.1.0").with_env("KAFKA_GROUP_MIN_SESSION_TIMEOUT_MS", "1000")
        with container as kafka:
            yield kafka.get_bootstrap_server()
    else:
        with _local("kafka") as environment:
            yield environment["SENTRYML_KAFKA_BOOTSTRAP"]


@contextmanager
def a_postgres() -> Iterator[str]:
    """The address of a PostgreSQL, likewise."""
    if given := os.environ.get("SENTRYML_TEST_POSTGRES"):
        yield given
    elif _in_containers():
        from testcontainers.postgres import PostgresContainer  # noqa: PLC0415

        with PostgresContainer("postgres:18", driver=None) as postgres:
            yield postgres.get_connection_url()
    else:
        with _local("postgres") as environment:
            yield environment["SENTRYML_POSTGRES_URL"]


def _in_containers() -> bool:
    return os.environ.get("SENTRYML_TEST_WITH") == "docker"


@contextmanager
def a_folder(what: str) -> Iterator[Path]:
    """A folder for a server's data, in memory where there is enough: creating a database takes 10 ms there, and up to
    0.4 s on a busy disk. It is not in pytest's own folder, which each run closes to others: PostgreSQL runs as another
    user."""
    in_memory = MEMORY.is_dir() and shutil.disk_usage(MEMORY).free >= MEMORY_BYTES
    with TemporaryDirectory(prefix=f"sentryml-{what}-", dir=MEMORY if in_memory else None) as folder:
        yield Path(folder)


@contextmanager
def a_stack() -> Iterator[Stack]:
    """Everything, on panes of one second."""
    with a_stack_with(Options(port_base=free_port_base(), fine_pane_seconds=1.0, durable=False)) as stack:
        yield stack


@contextmanager
def a_stack_with(options: Options) -> Iterator[Stack]:
    """A stack in a folder of its own."""
    with a_folder("stack") as folder:
        if "kafka" in options.only:
            _give_storage(folder)
        stack = Stack(folder, options)
        try:
            stack.up()
            yield stack
        finally:
            end(stack)


def _give_storage(folder: Path) -> None:
    """Put Kafka's storage into a stack's folder as it is after formatting, which takes Java 0.6 s of CPU: the processes
    of a run format one, and copy it. Their clusters have the same id."""
    if shared := os.environ.get(SHARED):
        formatted = Path(shared) / "storage"
        with _locked(formatted):
            if not formatted.exists():
                kafka.prepare(ensure_jars(lambda _: None), formatted, *PORTS_OF_NOTHING)
        shutil.copytree(formatted / "data", folder / "kafka" / "data")
        (folder / "up.lock").touch()  # marks it as a stack's own


@contextmanager
def shared_servers() -> Iterator[None]:
    """For all processes that are started within: servers are started once, by the first of them that asks for one, and
    stopped at the end."""
    with a_folder("servers") as folder:
        os.environ[SHARED] = str(folder)
        try:
            yield
        finally:
            del os.environ[SHARED]
            for each in ("kafka", "postgres"):
                end(Stack(folder / each))


@contextmanager
def _local(server: str) -> Iterator[dict[str, str]]:
    if shared := os.environ.get(SHARED):
        yield _shared(Path(shared) / server, server)
        return
    with a_stack_with(Options(port_base=free_port_base(), only=(server,), durable=False)) as stack:
        yield stack.environment()


def _shared(folder: Path, server: str) -> dict[str, str]:
    folder.mkdir(mode=0o700, exist_ok=True)
    with _locked(folder):
        port_base = None if (folder / "started").exists() else free_port_base()
        stack = Stack(folder, Options(port_base=port_base, only=(server,), durable=False))
        stack.up()
        (folder / "started").touch()
        return stack.environment()


@contextmanager
def _locked(folder: Path) -> Iterator[None]:
    """Let one process at a time prepare what is shared."""
    with folder.with_suffix(".lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def end(stack: Stack) -> None:
    """Stop a stack whose data nobody needs any more: at once, where `down` is orderly and takes seconds."""
    try:
        supervisor = psutil.Process(int((stack.folder / "supervisord.pid").read_text()))
    except (FileNotFoundError, psutil.NoSuchProcess):
        return
    family = supervisor.children(recursive=True)
    programs = supervisor.children()
    supervisor.kill()  # first: it would start the others again
    for program in programs:
        with suppress(psutil.NoSuchProcess):
            # A killed PostgreSQL would leave its shared memory behind.
            program.send_signal(signal.SIGQUIT if program.name() == "postgres" else signal.SIGKILL)
    while not all(map(ended, [supervisor, *family])):
        _PAUSE.wait(0.01)
