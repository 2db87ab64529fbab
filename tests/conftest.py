"""Fixtures that all tests share. Servers are started once, by the first test that asks for one."""

from __future__ import annotations

import gc
import os
import re
import signal
from collections.abc import AsyncIterator, Iterator
from itertools import chain
from pathlib import Path

import asyncpg
import pytest
from hypothesis import settings
from xdist.remote import Producer

from tests.support.databases import Server, a_database, make_template, url_of
from tests.support.durations import summary
from tests.support.scheduling import Scheduling, place_of
from tests.support.servers import a_kafka, a_postgres, shared_servers

# What is imported and collected stays: looking through it for garbage takes a third of the time of collecting.
gc.disable()

# SIGTERM ends a run as Ctrl-C does: fixtures stop their servers. A run that a script starts in the background ignores
# Ctrl-C; the processes that tests start would do so too.
signal.signal(signal.SIGTERM, signal.default_int_handler)
signal.signal(signal.SIGINT, signal.default_int_handler)

# A developer's shell may hold settings of a running stack; tests must not talk to that one.
for name in [name for name in os.environ if name.startswith("SENTRYML_") and not name.startswith("SENTRYML_TEST_")]:
    del os.environ[name]
# Every alert is a message of its own, at once, but in tests that are about groups.
os.environ["SENTRYML_GROUP_WAIT_SECONDS"] = "0"


# A run that fails fails again; `pytest --hypothesis-profile=explore` looks for what these examples miss.
settings.register_profile("same", deadline=None, derandomize=True)
settings.register_profile("explore", deadline=None, max_examples=1000)
settings.load_profile("same")


@pytest.fixture(scope="session")
def kafka_bootstrap() -> Iterator[str]:
    """Address of a real Kafka, shared by all tests: use topics and groups of your own."""
    with a_kafka() as address:
        yield address


@pytest.fixture(scope="session")
def postgres_url() -> Iterator[str]:
    """Address of a real PostgreSQL, shared by all tests."""
    with a_postgres() as address:
        yield address


@pytest.fixture(scope="session")
async def postgres_server(postgres_url: str) -> AsyncIterator[Server]:
    """A connection to it, which makes and drops databases."""
    server = await asyncpg.connect(postgres_url)
    yield server
    await server.close()


@pytest.fixture(scope="session")
async def migrated(postgres_url: str) -> str:
    """The name of a database in which every service has its tables, to be copied."""
    return await make_template(postgres_url)


@pytest.fixture
def database_template() -> str | None:
    """What a test's database is a copy of: of nothing, where a folder or a file does not say otherwise."""
    return None


@pytest.fixture
async def database_url(
    postgres_url: str, postgres_server: Server, database_template: str | None, request: pytest.FixtureRequest
) -> AsyncIterator[str]:
    """A database of the test's own: fresh and empty, or a fresh copy of `database_template`."""
    name = re.sub(r"\W+", "_", f"test_{request.node.name}".lower())[:50] + f"_{abs(hash(request.node.nodeid)) % 10**8}"
    async with a_database(postgres_server, name, database_template):
        yield url_of(postgres_url, name)


@pytest.hookimpl(tryfirst=True)
def pytest_runtestloop() -> None:
    """All is collected. A test leaves little garbage, and ends soon."""
    gc.freeze()
    gc.set_threshold(20_000)
    gc.enable()


def pytest_configure(config: pytest.Config) -> None:
    """Let the workers of a run share servers."""
    if getattr(config.option, "numprocesses", None):
        servers = shared_servers()
        servers.__enter__()
        config.add_cleanup(lambda: servers.__exit__(None, None, None))


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Put first what begins first."""
    here = Path(__file__).parent
    items.sort(key=lambda item: place_of(str(item.path.relative_to(here))))


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: Producer) -> Scheduling | None:
    """With `--dist loadfile`: what shares fixtures runs on one worker."""
    return Scheduling(config, log) if config.getoption("dist") == "loadfile" else None


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Say where the time went, and keep more of that in the file SENTRYML_TEST_DURATIONS."""
    if file := os.environ.get("SENTRYML_TEST_DURATIONS"):
        found = chain.from_iterable(terminalreporter.stats.values())
        kept, shown = summary(each for each in found if isinstance(each, pytest.TestReport))
        Path(file).write_text(kept)
        terminalreporter.write_line(f"{shown}\nMore in {file}.")
