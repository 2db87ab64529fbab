"""Fixtures that all tests share. Servers are started once, by the first test that asks for one."""

from __future__ import annotations

import os
import re
import signal
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest
from hypothesis import settings

from sentryml_local.stack import Options, Stack
from tests.support.databases import a_database, make_template
from tests.support.ports import free_port_base
from tests.support.servers import a_folder, a_kafka, a_postgres, end

# SIGTERM ends a run as Ctrl-C does: fixtures stop their servers.
signal.signal(signal.SIGTERM, signal.default_int_handler)

# A developer's shell may hold settings of a running stack; tests must not talk to that one.
for name in [name for name in os.environ if name.startswith("SENTRYML_") and not name.startswith("SENTRYML_TEST_")]:
    del os.environ[name]


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
def stack() -> Iterator[Stack]:
    """Everything, on panes of one second: shared by the tests, end to end and in a browser, that do not harm it."""
    options = Options(port_base=free_port_base(), fine_pane_seconds=1.0, durable=False)
    with a_folder("e2e") as folder:
        whole = Stack(folder, options)
        try:
            whole.up()
            yield whole
        finally:
            end(whole)


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
    postgres_url: str, database_template: str | None, request: pytest.FixtureRequest
) -> AsyncIterator[str]:
    """A database of the test's own: fresh and empty, or a fresh copy of `database_template`."""
    name = re.sub(r"\W+", "_", f"test_{request.node.name}".lower())[:50] + f"_{abs(hash(request.node.nodeid)) % 10**8}"
    async with a_database(postgres_url, name, database_template) as url:
        yield url


FIRST = ("e2e", "browser", "integration")
"""Folders of tests with real processes: they wait the most, so they begin first."""
ON_THE_STACK = ("e2e", "browser")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Tests of one file run on one worker, and all of the folders that share a stack on one."""
    folders = {item: item.path.relative_to(Path(__file__).parent).parts[0] for item in items}
    items.sort(key=lambda item: FIRST.index(folders[item]) if folders[item] in FIRST else len(FIRST))
    for item in items:
        item.add_marker(pytest.mark.xdist_group("stack" if folders[item] in ON_THE_STACK else str(item.path)))
