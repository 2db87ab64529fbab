"""The local stack does what its commands promise: with real processes, in folders and on ports of its own."""

from __future__ import annotations

import asyncio
import os
import shlex
import signal
import socket
import subprocess
import sys
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TypeVar

import asyncpg
import psutil
import pytest
from aiokafka.admin import AIOKafkaAdminClient, NewTopic

from sentryml_local.errors import StackError
from sentryml_local.jars import jars_folder
from sentryml_local.kafka import class_cache
from sentryml_local.stack import Options, Stack
from sentryml_local.supervision import MARK
from tests.support.eventually import eventually, eventually_sync
from tests.support.ports import free_port, free_port_base

T = TypeVar("T")
SERVERS = ("kafka", "postgres")


def servers_in(folder: Path, *only: str, say: Callable[[str], None] = lambda _: None) -> Stack:
    """A stack of servers alone, on ports that are free."""
    return Stack(folder, Options(port_base=free_port_base(), only=only or SERVERS, durable=False), say)


@contextmanager
def down_at_the_end(stack: Stack) -> Iterator[Stack]:
    try:
        yield stack
    finally:
        stack.down()


@pytest.fixture
def folder() -> Iterator[Path]:
    """Not pytest's own: another run of pytest closes that to PostgreSQL's user."""
    with TemporaryDirectory(prefix="sentryml-local-") as name:
        yield Path(name).resolve()


@pytest.fixture(scope="module")
def stack() -> Iterator[Stack]:
    """One with Kafka and PostgreSQL, for the tests that leave it running."""
    with TemporaryDirectory(prefix="sentryml-local Zoë ") as name, down_at_the_end(servers_in(Path(name))) as running:
        running.up()
        yield running


def command(*arguments: str | Path, **environment: str) -> subprocess.Popen[str]:
    """`sentryml-local`, started as a user starts it, in a session of its own."""
    return subprocess.Popen(
        [str(Path(sys.executable).with_name("sentryml-local")), *map(str, arguments)],
        env={**os.environ, **environment},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        start_new_session=True,
    )


def said(process: subprocess.Popen[str]) -> str:
    """All it says, to its end."""
    return process.communicate(timeout=120)[0]


def pids(stack: Stack) -> dict[str, int]:
    return {each.name: each.pid for each in stack.status() if each.pid is not None}


def processes_of(folder: Path) -> list[psutil.Process]:
    """Every process that names the folder in its command or is marked with it."""
    found = []
    for process in psutil.process_iter():
        with suppress(psutil.Error):
            named = any(str(folder) in part for part in process.cmdline())
            if process.pid != os.getpid() and (named or process.environ().get(MARK) == str(folder)):
                found.append(process)
    return found


def none_left(folder: Path) -> None:
    eventually_sync(lambda: not processes_of(folder), what=f"no process of {folder} to be left", within=5)


def in_database(stack: Stack, work: Callable[[asyncpg.Connection], Awaitable[T]]) -> T:
    async def run() -> T:
        connection = await asyncpg.connect(stack.environment()["SENTRYML_POSTGRES_URL"])
        try:
            return await work(connection)
        finally:
            await connection.close()

    return asyncio.run(run())


def topics(stack: Stack, *new: str) -> set[str]:
    """Make topics; return all there are, once the broker knows of the new ones: Kafka's controller answers before."""

    async def run() -> set[str]:
        client = AIOKafkaAdminClient(bootstrap_servers=stack.environment()["SENTRYML_KAFKA_BOOTSTRAP"])
        await client.start()

        async def listed() -> set[str]:
            found = set(await client.list_topics())
            return found if found.issuperset(new) else set()

        try:
            if not new:
                return set(await client.list_topics())
            made = await client.create_topics([NewTopic(name, 1, 1) for name in new])
            assert not any(error[1] for error in made.topic_errors), made.topic_errors
            return await eventually(listed, what=f"the broker to know of {', '.join(new)}")
        finally:
            await client.close()

    return asyncio.run(run())


def test_a_second_up_leaves_everything_as_it_is(stack: Stack) -> None:
    before, lines = pids(stack), []
    Stack(stack.folder, Options(only=SERVERS), lines.append).up()
    assert pids(stack) == before
    assert lines[0] == "everything is running already"


def test_the_broker_starts_with_the_classes_that_java_has_kept(stack: Stack) -> None:
    kept = class_cache(jars_folder())
    assert kept.exists()
    assert f"-XX:AOTCache={kept}" in psutil.Process(pids(stack)["kafka"]).cmdline()


def test_what_is_killed_is_restarted(stack: Stack) -> None:
    before = pids(stack)
    for pid in before.values():
        os.kill(pid, signal.SIGKILL)

    def restarted() -> bool:
        now = pids(stack)
        return set(now) == set(before) and not set(now.values()) & set(before.values())

    eventually_sync(restarted, what="new processes")
    stack.up()
    assert in_database(stack, lambda connection: connection.fetchval("SELECT 1")) == 1
    assert "after-the-kill" in topics(stack, "after-the-kill")


def test_two_stacks_run_side_by_side(stack: Stack, folder: Path) -> None:
    with down_at_the_end(servers_in(folder / "other", "postgres")) as other:
        other.up()
        assert not set(pids(stack).values()) & set(pids(other).values())
        assert other.environment()["SENTRYML_POSTGRES_URL"] != stack.environment()["SENTRYML_POSTGRES_URL"]
    assert set(pids(stack)) == set(SERVERS)
    none_left(other.folder)


def test_a_taken_port_is_named_with_who_has_it_and_what_to_do(folder: Path) -> None:
    stack = servers_in(folder)
    port_base = free_port_base()
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", port_base + 8))
        taken.listen()
        with pytest.raises(StackError) as problem:
            Stack(stack.folder, Options(port_base=port_base, only=SERVERS)).up()
    message = str(problem.value)
    assert f"port {port_base + 8} is needed for postgres" in message
    assert f"(process {os.getpid()})" in message
    assert f"--port-base {port_base + 100}" in message
    none_left(stack.folder)


@pytest.mark.parametrize("server", SERVERS)
def test_a_port_that_is_taken_while_the_stack_starts_is_not_taken_for_ours(folder: Path, server: str) -> None:
    """Two stacks that begin at once find the same port free: the second would talk to the first one's server."""
    with socket.socket() as first:

        def take(said: str) -> None:
            if said == f"starting {server}":
                first.bind(("127.0.0.1", stack.addresses.port(server)))
                first.listen()

        taken = rf"is needed for {server}, and taken by .*\(process {os.getpid()}\)"
        with down_at_the_end(servers_in(folder, server, say=take)) as stack, pytest.raises(StackError, match=taken):
            stack.up()


def test_a_running_stack_keeps_its_ports(stack: Stack) -> None:
    with pytest.raises(StackError, match="stop it first"):
        Stack(stack.folder, Options(port_base=free_port_base(), only=SERVERS)).up()


def test_down_neither_waits_for_clients_nor_leaves_a_process_when_the_supervisor_was_killed(folder: Path) -> None:
    with down_at_the_end(servers_in(folder, "postgres")) as stack:
        stack.up()

        async def hold(connection: asyncpg.Connection) -> None:
            os.kill(int((stack.folder / "supervisord.pid").read_text()), signal.SIGKILL)
            await asyncio.wait_for(asyncio.to_thread(stack.down), timeout=20)
            connection.terminate()

        in_database(stack, hold)
        none_left(stack.folder)
        assert not (stack.folder / "postgres/data/postmaster.pid").exists(), "PostgreSQL was not shut down cleanly"


def test_up_fixes_a_stack_whose_supervisor_was_killed_and_adds_what_is_asked_for_later(folder: Path) -> None:
    with down_at_the_end(servers_in(folder, "postgres")) as stack:
        stack.up()
        os.kill(int((stack.folder / "supervisord.pid").read_text()), signal.SIGKILL)
        stack.up()
        before = pids(stack)
        assert set(before) == {"postgres"}
        Stack(stack.folder, Options(only=("postgres", "slack-stand-in"))).up()
        assert pids(stack)["postgres"] == before["postgres"]
        assert set(pids(stack)) == {"postgres", "slack-stand-in"}


def test_a_program_that_keeps_ending_is_reported_with_its_own_words(folder: Path) -> None:
    (folder / "postgres/data").mkdir(parents=True)
    with down_at_the_end(servers_in(folder, "postgres")) as stack, pytest.raises(StackError) as problem:
        stack.up()
    assert "postgres exits each time it is started" in str(problem.value)
    assert "postgres/data" in str(problem.value), "the end of its log"
    none_left(folder)


@pytest.mark.parametrize("interrupt", [signal.SIGINT, signal.SIGTERM])
def test_an_interrupt_during_up_leaves_nothing_behind(folder: Path, interrupt: signal.Signals) -> None:
    ignored = signal.signal(signal.SIGINT, signal.SIG_IGN)  # as a shell does for what it starts with `&`
    try:
        up = command("up", "--data", folder, "--port-base", str(free_port_base()), "--only", "kafka,postgres")
    finally:
        signal.signal(signal.SIGINT, ignored)
    assert up.stdout is not None
    for line in up.stdout:
        if "starting kafka" in line:
            break
    os.killpg(up.pid, interrupt)
    rest = said(up)
    assert up.returncode == 130, rest
    assert "Interrupted: stopping what was started" in rest
    assert "Traceback" not in rest
    none_left(folder)


def test_the_environment_is_what_a_shell_takes(stack: Stack) -> None:
    shell = command("env", "--data", stack.folder)
    lines = [line for line in said(shell).splitlines() if line.startswith("export ")]
    assert shell.returncode == 0
    given = dict(shlex.split(line)[1].split("=", 1) for line in lines)
    assert given == stack.environment()
    assert (stack.folder / "stack.json").stat().st_mode & 0o777 == 0o600


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        (("up", "--port-base", "65530"), "--port-base lies between"),
        (("up", "--fine-pane-seconds", "nan"), "a fine pane lasts 0.1 to 3600 s"),
        (("up", "--only", "kavka"), "--only names kavka; there are kafka, postgres"),
        (("status",), "there is no stack in"),
        (("env",), "there is no stack in"),
    ],
)
def test_what_cannot_be_is_refused_in_words(folder: Path, arguments: tuple[str, ...], expected: str) -> None:
    process = command(*arguments, "--data", folder / "none")
    text = said(process)
    assert process.returncode == 1
    assert expected in text
    assert "Traceback" not in text


def test_a_folder_that_cannot_be_written_into_settings_is_refused() -> None:
    with pytest.raises(StackError, match="holds '%': name another one with --data"):
        Stack(Path("100%"))


def test_a_download_that_fails_says_what_and_what_to_do(folder: Path) -> None:
    nowhere = f"http://127.0.0.1:{free_port()}/maven"
    process = command(
        "up", "--data", folder / "data", "--port-base", str(free_port_base()), "--only", "kafka",
        XDG_CACHE_HOME=str(folder), SENTRYML_MAVEN_REPOSITORY=nowhere,
    )  # fmt: skip
    text = said(process)
    assert process.returncode == 1
    assert "could not be fetched" in text
    assert nowhere in text
    assert "run the same command again" in text
    assert "Traceback" not in text


def test_data_survive_down_and_up_on_other_ports(stack: Stack) -> None:
    """The last one: it moves the stack that all share."""
    in_database(stack, lambda connection: connection.execute("CREATE TABLE kept (id int)"))
    topics(stack, "kept")
    before = stack.addresses
    stack.down()
    none_left(stack.folder)
    servers_in(stack.folder).up()
    assert stack.addresses != before
    assert in_database(stack, lambda connection: connection.fetchval("SELECT count(*) FROM kept")) == 0
    assert topics(stack, "new") >= {"kept", "new"}
