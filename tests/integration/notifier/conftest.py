"""The notifier's parts on a real PostgreSQL and the real stand-in for Slack over HTTP; only the clock is ours."""

from __future__ import annotations

import asyncio
import hashlib
import itertools
from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from functools import cache
from typing import Any, cast
from uuid import UUID, uuid5

import asyncpg
import pytest
from fastapi import FastAPI
from pydantic import SecretStr

from sentryml_common.clock import system_clock
from sentryml_common.contracts.transition import Transition
from sentryml_common.health import Health
from sentryml_common.postgres.migrate import migrate, read_migrations
from sentryml_common.postgres.pool import Pool, transaction
from sentryml_local.slack_stand_in.app import make_http
from sentryml_local.slack_stand_in.page import as_text
from sentryml_local.slack_stand_in.store import Script, Store
from sentryml_local.slack_stand_in.web_api import WebApi
from sentryml_local.slack_stand_in.workspace import Workspace
from sentryml_notifier.channel_registry import ChannelRegistry, OpenChannel, SettingsChannel
from sentryml_notifier.channels.base import Identity, Tools
from sentryml_notifier.channels.kinds import KINDS
from sentryml_notifier.channels.outbound import make_client
from sentryml_notifier.consumer import Inbox
from sentryml_notifier.delivery.dispatcher import Dispatcher, Pace
from sentryml_notifier.domain.grouping import Grouping
from sentryml_notifier.domain.rate_limit import Rate
from sentryml_notifier.secrets import SecretBox
from sentryml_notifier.settings_channels import BOT_SETTING, SLACK_SETTING
from sentryml_notifier.slack.thread_updater import ThreadUpdater
from sentryml_notifier.store.channels import register_channel, release_waiting
from sentryml_notifier.store.fallback import set_fallback
from sentryml_notifier.store.queue import queue
from sentryml_notifier.store.queue.queue import Claim, Cleared, NotBefore, Reader, Sending
from tests.support.applications import served
from tests.support.databases import Server, a_pool
from tests.support.eventually import eventually
from tests.support.kept_database import KeptDatabase
from tests.unit.notifier.builders import IDS, NIGHT

SEND_SECONDS = 60.0
"""However slow the machine: only a test about time-outs may see one."""
LEASE = timedelta(seconds=60)
TOKEN = "stand-in"


class TestClock:
    """A clock that stops until it is moved."""

    __test__ = False

    def __init__(self) -> None:
        self.now = NIGHT + timedelta(seconds=1)

    def __call__(self) -> datetime:
        return self.now

    def advance(self, seconds: float) -> None:
        self.now += timedelta(seconds=seconds)


@dataclass
class Slack:
    """The stand-in: where it listens, and what it got."""

    store: Store
    authority: str
    api: WebApi

    @property
    def workspace(self) -> Workspace:
        return self.api.workspace

    @property
    def api_url(self) -> str:
        return f"http://{self.authority}/api/"

    @property
    def address(self) -> str:
        return f"http://{self.authority}/services/T0TEST/B0TEST/{TOKEN}"

    def play(self, *answers: Script) -> None:
        self.store.play(list(answers))

    @property
    def titles(self) -> list[str]:
        """The first line of each posted message."""
        return [as_text(message.payload or {}).split("\n")[0] for message in self.store.messages]

    @property
    def texts(self) -> list[str]:
        return [as_text(message.payload or {}) for message in self.store.messages]


class World:
    """One notifier, taken apart: a test takes transitions in, dispatches step by step, and looks at the ledger."""

    def __init__(self, pool: Pool, slack: Slack, client: Any, allowed_hosts: set[str]) -> None:
        self.pool, self.slack, self.client, self._allowed_hosts = pool, slack, client, allowed_hosts
        self.clock = TestClock()
        self.grouping: Grouping | None = None  # most tests are about something else
        self._numbers = itertools.count()
        self.channel: OpenChannel
        self.given: SettingsChannel

    async def open_channel(
        self, address: str | None = None, send_seconds: float = SEND_SECONDS, rate: Rate | None = None
    ) -> OpenChannel:
        """Enter the webhook as a start of the service does."""
        address = address or self.slack.address
        fingerprint = hashlib.sha256(address.encode()).hexdigest()
        async with transaction(self.pool) as connection:
            channel_id = await register_channel(connection, "slack", "slack_webhook", SLACK_SETTING, fingerprint)
            await release_waiting(connection, channel_id, self.clock())
        identity = Identity(channel_id, "slack", SLACK_SETTING)
        tools = replace(self.tools(address.split("/")[2]), send_seconds=send_seconds)
        self.given = SettingsChannel("slack", "slack_webhook", SLACK_SETTING, "url", SecretStr(address))
        webhook = KINDS["slack_webhook"].opened(tools, identity, {}, self.given.secret)
        self.channel = OpenChannel(channel_id, "slack", "slack_webhook", fingerprint, webhook, rate)
        return self.channel

    async def open_bot(self, send_seconds: float = SEND_SECONDS, **more_secrets: str) -> OpenChannel:
        """Enter a bot in place of the webhook, as a start of the service does."""
        token = SecretStr(self.slack.workspace.token)
        settings = {"channel": "C0ALERTS"}
        more = {name: SecretStr(value) for name, value in more_secrets.items()}
        self.given = SettingsChannel("slack-bot", "slack_bot", BOT_SETTING, "token", token, settings, more)
        async with transaction(self.pool) as connection:
            await connection.execute("DELETE FROM route")
            await connection.execute("DELETE FROM channel")
            channel_id = await register_channel(
                connection, "slack-bot", "slack_bot", BOT_SETTING, self.given.fingerprint, settings
            )
        identity = Identity(channel_id, "slack-bot", BOT_SETTING)
        tools = replace(self.tools(), send_seconds=send_seconds)
        bot = KINDS["slack_bot"].opened(tools, identity, settings, self.given.secret)
        self.channel = OpenChannel(channel_id, "slack-bot", "slack_bot", self.given.fingerprint, bot)
        return self.channel

    async def open_fallback(self) -> OpenChannel:
        """A second channel without a route of its own: the first one's fallback, at another webhook of the stand-in."""
        async with transaction(self.pool) as connection:
            backup_id = await connection.fetchval(
                "INSERT INTO channel (name, kind, fingerprint) VALUES ('backup', 'slack_webhook', 'b') "
                "RETURNING channel_id"
            )
            await set_fallback(connection, self.channel.channel_id, backup_id)
        address = {"url": self.slack.address.replace("B0TEST", "B0BACKUP")}
        webhook = KINDS["slack_webhook"].opened(self.tools(), Identity(backup_id, "backup"), {}, address)
        return OpenChannel(backup_id, "backup", "slack_webhook", "b", webhook)

    def thread_updater(self, *, jitter: float = 0.5) -> ThreadUpdater:
        return ThreadUpdater(self.pool, self.registry(None, self.given), LEASE, self.clock, lambda: jitter, self.new_id)

    async def edit(self) -> None:
        """Make the edits that are due."""
        while await self.thread_updater().edit_one(self.channel):
            pass

    def tools(self, *allowed_hosts: str) -> Tools:
        hosts = frozenset(allowed_hosts or {self.slack.authority})
        self._allowed_hosts |= hosts  # the client's own
        return Tools(self.pool, self.client, self.clock, hosts, SEND_SECONDS, slack_api=self.slack.api_url)

    def registry(self, secret_box: SecretBox | None = None, *from_settings: SettingsChannel) -> ChannelRegistry:
        """The channels of the ledger, and of `from_settings`."""
        return ChannelRegistry(
            self.tools(), secret_box or SecretBox([]), {each.setting: each for each in from_settings}
        )

    def dispatcher(
        self,
        *,
        workers: int = 1,
        jitter: float = 0.5,
        registry: ChannelRegistry | None = None,
        poll_seconds: float = 0.05,
    ) -> Dispatcher:
        return Dispatcher(
            self.pool, registry or self.registry(None, self.given), Pace(workers, poll_seconds, LEASE), Health(),
            clock=self.clock, jitter=lambda: jitter, new_id=self.new_id, grouping=self.grouping,
        )  # fmt: skip

    def new_id(self) -> UUID:
        return uuid5(IDS, f"send/{next(self._numbers)}")

    async def take_in(self, *transitions: Transition) -> None:
        await Inbox(self.pool, lambda: None, self.clock, self.grouping).take_in(list(transitions))

    async def dispatch(self, channel: OpenChannel | None = None, *, at_most: int = 100) -> int:
        """Send what is due, one by one; return how many messages were attempted."""
        dispatcher = self.dispatcher()
        for number in range(at_most):
            if not await dispatcher.dispatch_one(channel or self.channel):
                return number
        return at_most

    async def claim(self, channel: OpenChannel) -> Claim | NotBefore | Cleared | None:
        """What a dispatcher claims that is killed before it sends."""
        sending = Sending(self.new_id(), channel.channel_id, self.clock.now + LEASE)
        reader = Reader(self.grouping, channel.for_people)
        async with transaction(self.pool) as connection:
            return await queue.claim_due(connection, sending, channel.fingerprint, self.clock.now, reader=reader)

    async def under_way(self) -> None:
        """Wait until Slack has got a request, answered or not."""

        async def requests() -> object:
            return self.slack.store.requests

        await eventually(requests, what="a request to Slack")

    async def ended_or_locked_out(self, task: asyncio.Task[Any]) -> None:
        """Wait until a task has ended, or waits for a lock."""
        waiting = "SELECT FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'"

        async def reached() -> bool:
            return task.done() or bool(await self.pool.fetch(waiting))

        await eventually(reached, what="the end of a task, or its waiting for a lock")

    async def deliveries(self) -> list[asyncpg.Record]:
        return await self.pool.fetch("SELECT * FROM delivery ORDER BY created_at, incident_id, sequence")

    async def attempts(self) -> list[asyncpg.Record]:
        return await self.pool.fetch("SELECT * FROM attempt ORDER BY attempt_id")

    async def channel_row(self) -> asyncpg.Record:
        row = await self.pool.fetchrow("SELECT * FROM channel")
        assert row is not None
        return row


async def make_channel(
    world: World, name: str, kind: str, secret: bytes, settings: Mapping[str, object] | None = None
) -> UUID:
    """Enter a channel into the ledger, its secret encrypted already, and a route of all models to it."""
    channel_id: UUID = await world.pool.fetchval(
        """
        INSERT INTO channel (name, kind, settings, secret, fingerprint) VALUES ($1, $2, $3, $4, '1')
        RETURNING channel_id
        """,
        name, kind, settings or {}, secret,
    )  # fmt: skip
    await world.pool.execute("INSERT INTO route (name, channel_id) VALUES ($1, $2)", name, channel_id)
    return channel_id


serving = served
"""Serve an application over real HTTP; yields host and port."""


class InTurn:
    """Stands for one object after another: so that one application, which takes longer to make than most tests, serves
    them all."""

    current: object = None

    def __getattr__(self, name: str) -> Any:
        return getattr(self.current, name)


@cache
def stand_in() -> tuple[InTurn, InTurn, FastAPI]:
    store, api = InTurn(), InTurn()
    return store, api, make_http(cast(Store, store), TOKEN, system_clock, cast(WebApi, api))


@pytest.fixture
async def slack() -> AsyncIterator[Slack]:
    store, api = Store(None), WebApi(Workspace(), system_clock)
    now_store, now_api, app = stand_in()
    now_store.current, now_api.current = store, api
    async with serving(app) as authority:
        yield Slack(store, authority, api)


@pytest.fixture
def database_template(migrated: str) -> str:
    """Databases of these tests have their tables already."""
    return migrated


@pytest.fixture(scope="session")
async def kept_database(postgres_server: Server, postgres_url: str, migrated: str) -> AsyncIterator[KeptDatabase]:
    """What tests use one after the other."""
    kept = KeptDatabase(postgres_server, postgres_url, migrated, "notifier")
    yield kept
    await kept.close()


@pytest.fixture
async def kept_pool(kept_database: KeptDatabase) -> AsyncIterator[Pool]:
    async with kept_database.pool() as opened:
        yield opened


@pytest.fixture
async def own_pool(database_url: str) -> AsyncIterator[Pool]:
    async with a_pool(database_url, "notifier") as opened:
        await migrate(opened, "notifier", read_migrations("sentryml_notifier"))
        yield opened


@pytest.fixture
def pool(request: pytest.FixtureRequest) -> Pool:
    """A pool on a database with the service's tables: on one of the test's own where `database_url` is asked for."""
    pool: Pool = request.getfixturevalue("own_pool" if "database_url" in request.fixturenames else "kept_pool")
    return pool


@pytest.fixture
async def world(pool: Pool, slack: Slack) -> AsyncIterator[World]:
    allowed_hosts: set[str] = set()
    async with make_client(allowed_hosts) as client:
        world = World(pool, slack, client, allowed_hosts)
        await world.open_channel()
        yield world
