"""The notifier's HTTP application on the world of its tests, asked in the test's own process."""

from __future__ import annotations

import itertools
from collections.abc import AsyncIterator
from dataclasses import dataclass
from typing import Any
from uuid import UUID, uuid5

import httpx
import pytest
from fastapi import FastAPI

from sentryml_common.contracts.api_key import ApiKey, Scope, form_key, hash_key
from sentryml_common.contracts.topics import API_KEYS
from sentryml_common.http.access import Gatekeeper
from sentryml_common.http.problems import install_problems
from sentryml_common.kafka.follower import Follower
from sentryml_common.key_usage import KeyUsage
from sentryml_notifier.http.api import create_app
from sentryml_notifier.http.context import Context, install_context
from sentryml_notifier.secrets import SecretBox
from sentryml_notifier.settings_channels import SLACK, SLACK_SETTING
from tests.integration.notifier.conftest import World
from tests.support.applications import a_copy
from tests.unit.notifier.builders import IDS

SECRET_BOX_KEY = "v" * 32


@dataclass
class Api:
    """A client with an admin key, and what it talks to."""

    client: httpx.AsyncClient
    context: Context
    keys: Follower[ApiKey]

    async def ask(self, method: str, path: str, status: int, **how: Any) -> Any:
        """The body of an answer that has `status`."""
        answer = await self.client.request(method, path, **how)
        assert answer.status_code == status, answer.text
        return answer.json() if answer.content else None

    def key(self, key_id: str, *scopes: Scope, models: tuple[str, ...] = ()) -> dict[str, str]:
        """Headers of a new key."""
        key = form_key(key_id, "A" * 43)
        self.keys.current[key_id] = ApiKey(
            key_id=key_id, name=key_id, key_hash=hash_key(key), scopes=scopes, models=models
        )
        return {"Authorization": f"Bearer {key}"}

    async def texts(self) -> list[tuple[str, str, str]]:
        """The changes, oldest first."""
        items = (await self.ask("GET", "/v1/changes", 200))["items"]
        return [(each["action"], each["subject"], each["text"]) for each in reversed(items)]

    async def make_channel(self, name: str, address: str) -> dict[str, Any]:
        body = {"name": name, "kind": "slack_webhook", "secret": {"url": address}}
        return await self.ask("POST", "/v1/channels", 201, json=body)  # type: ignore[no-any-return]

    async def make_route(self, name: str, channel_id: UUID | str, **what: Any) -> dict[str, Any]:
        body = {"name": name, "channel_id": str(channel_id), **what}
        return await self.ask("POST", "/v1/routes", 201, json=body)  # type: ignore[no-any-return]


def make_context(world: World, secret_box: SecretBox | None = None) -> tuple[Context, Follower[ApiKey]]:
    """A context whose keys are those that a test makes."""
    keys, numbers = Follower(API_KEYS, ApiKey), itertools.count()
    keys.caught_up.set()
    context = Context(
        Gatekeeper(keys, Scope.READ, world.clock, KeyUsage("notifier")),
        world.clock,
        lambda: uuid5(IDS, f"made/{next(numbers)}"),
        {SLACK: SLACK_SETTING},
        secret_box or SecretBox([SECRET_BOX_KEY]),
        world.pool,
        world.registry(secret_box or SecretBox([SECRET_BOX_KEY]), world.given),
    )
    return context, keys


_applications: list[FastAPI] = []


def app_on(context: Context) -> FastAPI:
    """The real application on a context."""
    if not _applications:
        _applications.append(create_app(context))
        install_problems(_applications[0])
    app = a_copy(_applications[0])
    install_context(app, context)
    return app


@pytest.fixture
async def api(world: World) -> AsyncIterator[Api]:
    context, keys = make_context(world)
    transport = httpx.ASGITransport(app_on(context), raise_app_exceptions=True)
    async with httpx.AsyncClient(transport=transport, base_url="http://notifier") as client:
        api = Api(client, context, keys)
        client.headers.update(api.key("admintest000", Scope.ADMIN))
        yield api
