"""The rules of `state_machine_rules.py` on the service: its consumer, its API and its timer, on PostgreSQL."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator
from contextlib import ExitStack, asynccontextmanager
from dataclasses import dataclass
from datetime import datetime
from itertools import count
from typing import Any

import httpx
import pytest
from hypothesis import settings as hypothesis_settings
from hypothesis.stateful import run_state_machine_as_test
from pydantic import SecretStr

from sentryml_common.contracts.api_key import Scope
from sentryml_common.contracts.evaluation import Evaluation
from sentryml_common.contracts.monitor import MonitorSettings
from sentryml_common.contracts.transition import SYSTEM, Actor, ActorType
from sentryml_common.health import Health
from sentryml_common.postgres.migrate import migrate, read_migrations
from sentryml_common.postgres.pool import Pool, open_pool, transaction
from sentryml_common.settings import PostgresSettings
from sentryml_incidents.consumers.evaluations import EvaluationConsumer
from sentryml_incidents.domain.api_keys import RANDOM_BYTES, make_api_key
from sentryml_incidents.settings import SCHEMA
from sentryml_incidents.store.incidents import IncidentFilter, list_incidents
from sentryml_incidents.store.people.api_keys import insert_api_key
from sentryml_incidents.store.snapshots import lock_snapshot
from sentryml_incidents.store.timeline import TRANSITION_COLUMNS, transition_of
from sentryml_incidents.timer import Timer
from sentryml_incidents.usecases.context import Context
from sentryml_lifecycle.events.on_action import Action
from sentryml_lifecycle.snapshot import Incident
from tests.integration.incidents.conftest import PUBLIC_URL, StillClock, app_on, register
from tests.unit.incidents.builders import quick
from tests.unit.incidents.state_machine_rules import IncidentMachine, Sight


@dataclass(frozen=True)
class Person:
    """Somebody with a key."""

    actor: Actor
    client: httpx.AsyncClient


class Service:
    """The parts of the service, without their process; all lives of a test share them."""

    def __init__(self, runner: asyncio.Runner, pool: Pool) -> None:
        self.runner, self.pool, self.clock = runner, pool, StillClock()
        self.app = app_on(Context(PUBLIC_URL, self.clock, pool))
        self.people = tuple(runner.run(self._somebody(name)) for name in ("ana", "ben"))
        self.numbers = count(1)

    async def _somebody(self, name: str) -> Person:
        text, key = make_api_key(name, (Scope.WRITE,), (), None, name[:1].encode() * RANDOM_BYTES)
        async with transaction(self.pool) as connection:
            await insert_api_key(connection, key, SYSTEM, self.clock.now)
        transport = httpx.ASGITransport(app=self.app, raise_app_exceptions=True)
        headers = {"Authorization": f"Bearer {text}"}
        client = httpx.AsyncClient(transport=transport, base_url=PUBLIC_URL, headers=headers)
        return Person(Actor(type=ActorType.API_KEY, id=key.key_id, name=key.name), client)


class OnPostgres:
    """A model of its own in the service's database."""

    def __init__(self, service: Service) -> None:
        self._service, self._run = service, service.runner.run
        self.model_id = f"model-{next(service.numbers)}"
        self.actors = (service.people[0].actor, service.people[1].actor)

    def begin(self, settings: MonitorSettings) -> None:
        self._run(register(self._service.pool, self.model_id, settings))

    def take(self, evaluation: Evaluation) -> None:
        self._run(EvaluationConsumer(self._service.pool, quick()).take_all([evaluation]))

    def ask(self, incident: Incident, action: Action, actor: Actor, now: datetime) -> bool:
        self._service.clock.now = now
        (person,) = (each for each in self._service.people if each.actor == actor)
        path, body = ("notes", {"note": "because"}) if action is Action.NOTE else (action.value, None)
        answer = self._run(person.client.post(f"/v1/incidents/{incident.incident_id}/{path}", json=body))
        assert answer.status_code in (200, 409), answer.text
        return answer.status_code == 200

    def change(self, changes: dict[str, Any], now: datetime) -> None:
        self._service.clock.now = now
        path = f"/v1/models/{self.model_id}/monitor"
        assert self._run(self._service.people[0].client.put(path, json=changes)).status_code == 200

    def change_reference(self, now: datetime) -> None:
        self._service.clock.now = now
        path = f"/v1/models/{self.model_id}/reference"
        assert self._run(self._service.people[0].client.delete(path)).status_code == 204

    def tick(self, now: datetime) -> None:
        self._service.clock.now = now
        self._run(Timer(self._service.pool, 90, self._service.clock).tick())

    def look(self) -> Sight:
        return self._run(self._look())

    async def _look(self) -> Sight:
        async with transaction(self._service.pool) as connection:
            snapshot = await lock_snapshot(connection, self.model_id)
            assert snapshot is not None
            incidents = await list_incidents(connection, IncidentFilter(model_id=self.model_id), None, 1000)
            rows = await connection.fetch(
                f"""
                SELECT {TRANSITION_COLUMNS}
                  FROM transition JOIN incident USING (incident_id)
                 WHERE transition.model_id = $1
                 ORDER BY transition.position
                """,
                self.model_id,
            )
        return Sight(snapshot, tuple(reversed(incidents)), tuple(transition_of(row, PUBLIC_URL) for row in rows))


@pytest.fixture
def service(database_url: str) -> Iterator[Service]:
    """Opened by a loop of its own: Hypothesis calls rules from outside of any."""
    with ExitStack() as opened:
        runner = opened.enter_context(asyncio.Runner())
        entering = _pool(database_url)
        pool = runner.run(entering.__aenter__())
        opened.callback(lambda: runner.run(entering.__aexit__(None, None, None)))
        yield Service(runner, pool)


@asynccontextmanager
async def _pool(database_url: str) -> AsyncIterator[Pool]:
    async with open_pool(PostgresSettings(postgres_url=SecretStr(database_url)), SCHEMA, Health()) as pool:
        await migrate(pool, SCHEMA, read_migrations("sentryml_incidents"))
        yield pool


def test_any_history_keeps_the_invariants(service: Service) -> None:
    run_state_machine_as_test(
        lambda: IncidentMachine(OnPostgres(service)),
        settings=hypothesis_settings(max_examples=20, stateful_step_count=40),
    )
