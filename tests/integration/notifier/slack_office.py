"""Both services with Slack between them, where people click buttons."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from datetime import timedelta

import httpx
import pytest
from fastapi import FastAPI
from pydantic import SecretStr

from sentryml_common.contracts.transition import Transition
from sentryml_common.health import Health
from sentryml_common.http.problems import install_problems
from sentryml_common.postgres.migrate import migrate, read_migrations
from sentryml_common.postgres.pool import Pool, open_pool, transaction
from sentryml_common.settings import PostgresSettings
from sentryml_incidents.asgi import create_app
from sentryml_incidents.domain.roles import Role
from sentryml_incidents.settings import SCHEMA
from sentryml_incidents.store.outbox import claim_transitions
from sentryml_incidents.usecases.context import Context
from sentryml_local.slack_stand_in.button_clicks import press_payload, signed
from sentryml_local.slack_stand_in.page import as_text
from sentryml_local.slack_stand_in.workspace import Body, Posted
from sentryml_notifier import incidents
from sentryml_notifier.domain.conversation import EDIT_AFTER
from sentryml_notifier.http.slack_actions import PATH, Interactions, interaction_routes
from sentryml_notifier.incidents import Incidents
from sentryml_notifier.slack.interactions import SlackInteractions
from tests.integration.incidents.conftest import Life, add_user, register
from tests.integration.notifier.conftest import World, serving
from tests.support.eventually import eventually
from tests.support.http_client import http_client
from tests.unit.incidents.builders import MODEL, MONDAY, quick

SECRET = SecretStr("between us " * 4)
SIGNING, APP_TOKEN = "5ig2ing", "xapp-stand-in"
PUBLIC_URL = "https://sentryml.example"
CHANNEL, ADA, EVE = "C0ALERTS", "U0ADA", "U0EVE"
ACKNOWLEDGE, ACCEPT, WAS_NORMAL = "acknowledge", "accept", "was-normal"


class Office:
    """Both services, Slack between them, and an incident that is reported in it."""

    def __init__(self, world: World, life: Life, interactions: SlackInteractions) -> None:
        self.world, self.life, self.interactions = world, life, interactions
        self.url = ""

    @property
    def root(self) -> Posted:
        (root,) = self.world.slack.workspace.roots(CHANNEL)
        return root

    def payload(self, user: str = ADA, action: str = ACKNOWLEDGE) -> Body:
        return press_payload(self.root, user, action)

    async def post(self, body: bytes, headers: dict[str, str]) -> httpx.Response:
        async with http_client() as client:
            return await client.post(self.url + PATH, content=body, headers=headers)

    async def press(
        self, user: str = ADA, secret: str = SIGNING, age_seconds: float = 0, action: str = ACKNOWLEDGE
    ) -> httpx.Response:
        """Press a button of the root over HTTP."""
        at = self.world.clock.now - timedelta(seconds=age_seconds)
        return await self.post(*signed(self.payload(user, action), secret, at.timestamp()))

    async def reported(self, user: str = ADA, count: int = 1) -> str:
        """The newest of at least `count` answers that one person alone has got."""

        async def answers() -> list[Posted] | None:
            found = [each for each in self.world.slack.workspace.messages if each.only_for == user]
            return found if len(found) >= count else None

        return as_text((await eventually(answers, what=f"an answer for {user}"))[-1].payload)

    async def steps(self) -> list[tuple[str, str]]:
        rows = await self.life.pool.fetch("SELECT kind, actor FROM transition ORDER BY sequence")
        return [(row["kind"], row["actor"]["name"]) for row in rows]

    async def relay(self) -> list[Transition]:
        """Carry what incidents has to tell to the notifier, and dispatch it."""
        carried = []
        while True:
            async with transaction(self.life.pool) as connection:
                claims = await claim_transitions(connection, self.world.clock.now, PUBLIC_URL)
            if not claims:
                break
            carried += [claim.message for claim in claims if isinstance(claim.message, Transition)]
        await self.world.take_in(*carried)
        await self.world.dispatch()
        self.world.clock.advance(EDIT_AFTER.total_seconds())
        await self.world.edit()
        return carried


@pytest.fixture
async def incidents_pool(database_url: str) -> AsyncIterator[Pool]:
    async with open_pool(PostgresSettings(postgres_url=SecretStr(database_url)), SCHEMA, Health()) as opened:
        await migrate(opened, SCHEMA, read_migrations("sentryml_incidents"))
        yield opened


@pytest.fixture
async def office(world: World, incidents_pool: Pool) -> AsyncIterator[Office]:
    world.clock.now = MONDAY + timedelta(minutes=10)
    await world.open_bot(signing_secret=SIGNING, app_token=APP_TOKEN)
    world.slack.workspace.emails |= {ADA: "ada@example.org", EVE: "eve@example.org"}
    await register(incidents_pool, MODEL, quick())
    life = Life(incidents_pool)
    await life.sees("ok", "warn")
    async with AsyncExitStack() as open_things:
        asked = create_app(Context(PUBLIC_URL, world.clock, incidents_pool), SECRET)
        install_problems(asked)
        authority = await open_things.enter_async_context(serving(asked))
        client = await open_things.enter_async_context(incidents.make_client())
        interactions = SlackInteractions(Incidents(f"http://{authority}", SECRET, client, world.clock))
        office = Office(world, life, interactions)
        registry = world.registry(None, world.given)
        await registry.read()
        endpoint = Interactions(world.clock)
        endpoint.registry, endpoint.handler = registry, interactions
        app = FastAPI()
        install_problems(app)
        app.include_router(interaction_routes(endpoint))
        office.url = f"http://{await open_things.enter_async_context(serving(app))}"
        await office.relay()
        await add_user(incidents_pool, "ada", Role.RESPONDER)
        yield office
