"""A database that the tests of a worker use one after the other. Each finds it as the template is: emptying one takes a
tenth of the time of making another."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from secrets import token_hex

import asyncpg

from sentryml_common.postgres.pool import Pool
from tests.support.databases import Server, a_database, a_pool, url_of
from tests.support.eventually import eventually

MOST_TESTS = 100
"""Deleted rows take up room: after this number of tests another one is made."""
GIVEN_BACK_SECONDS = 2.0
CLEANER = {"session_replication_role": "replica", "lock_timeout": "5s"}
"""No trigger and no foreign key keeps rows from being deleted."""
TABLES = "SELECT oid::regclass::text FROM pg_class WHERE relkind IN ('r', 'p') AND relnamespace = $1::regnamespace"
SEQUENCES = """
    SELECT setval(seqrelid::regclass, seqstart, false)
      FROM pg_sequence JOIN pg_class ON pg_class.oid = seqrelid
     WHERE relnamespace = $1::regnamespace
"""


class KeptDatabase:
    """A copy of a template, and a pool on one of its schemas."""

    def __init__(self, server: Server, server_url: str, template: str, schema: str) -> None:
        self._server, self._server_url, self._template, self._schema = server, server_url, template, schema
        self._opened = AsyncExitStack()
        self._tests = 0

    @asynccontextmanager
    async def pool(self) -> AsyncIterator[Pool]:
        """Its connections, for one test. Afterwards it is emptied, or dropped if that cannot be done, as where the test
        has closed them."""
        if self._tests == 0:
            await self._open()
        self._tests += 1
        yield self._pool
        try:
            await self._empty()
        except (asyncpg.PostgresError, asyncpg.InterfaceError, AssertionError):
            self._tests = MOST_TESTS
        if self._tests >= MOST_TESTS:
            await self.close()

    async def close(self) -> None:
        """Drop it; the next test gets another."""
        self._tests = 0
        await self._opened.aclose()

    async def _open(self) -> None:
        name = f"kept_{token_hex(8)}"
        url, enter = url_of(self._server_url, name), self._opened.enter_async_context
        await enter(a_database(self._server, name, self._template))
        self._pool = await enter(a_pool(url, self._schema))
        self._cleaner = await asyncpg.connect(url, server_settings=CLEANER)
        self._opened.push_async_callback(self._cleaner.close)
        self._tables = await self._list_tables()
        filled = [each for each in self._tables if await self._cleaner.fetchval(f"SELECT true FROM {each} LIMIT 1")]
        self._emptied = ";".join(f"DELETE FROM {each}" for each in sorted(self._tables - set(filled)))

    async def _all_given_back(self) -> bool:
        return self._pool.get_idle_size() == self._pool.get_size()

    async def _list_tables(self) -> set[str]:
        return {row[0] for row in await self._cleaner.fetch(TABLES, self._schema)}

    async def _empty(self) -> None:
        """As the template is: without rows that this has not, nor tables; sequences begin again."""
        if self._pool.is_closing():
            raise asyncpg.InterfaceError("the test has closed the pool")
        await eventually(self._all_given_back, what="connections to be given back", within=GIVEN_BACK_SECONDS)
        for table in await self._list_tables() - self._tables:
            await self._cleaner.execute(f"DROP TABLE {table}")
        await self._cleaner.execute(self._emptied)
        await self._cleaner.fetch(SEQUENCES, self._schema)
