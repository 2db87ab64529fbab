"""People ask by the pages of incidents: signed requests, whose person has the rights of their role."""

from __future__ import annotations

from typing import Any

import httpx
import pytest
from pydantic import SecretStr

from sentryml_common.http.internal import ACTOR, ActingPerson, signed_headers
from sentryml_incidents.domain.roles import Role
from sentryml_local.slack_stand_in.store import Script
from sentryml_notifier.http.auth import SCOPE_OF
from tests.integration.notifier.api_client import Api, api
from tests.integration.notifier.conftest import World
from tests.unit.notifier.builders import opened_critical

__all__ = ["api"]

SECRET = SecretStr("s" * 32)
ANA = ActingPerson("0197", "Ana Ünal", "admin")
ROUTES = "/v1/routes"


def test_every_role_has_a_scope() -> None:
    assert set(SCOPE_OF) == set(Role)


@pytest.fixture
def people(api: Api) -> Api:
    """The notifier with a secret, and a client without a key."""
    api.context.internal_secret = SECRET
    del api.client.headers["Authorization"]
    return api


async def ask(
    people: Api, method: str, path: str, person: ActingPerson | None = ANA, body: Any = None, **how: Any
) -> httpx.Response:
    request = people.client.build_request(method, path, **({"json": body} if body else {}))
    now = people.context.clock().timestamp() - how.get("age", 0)
    signed = signed_headers(how.get("secret", SECRET), method, path, request.content, now, person)
    request.headers.update(signed | how.get("changed", {}))
    return await people.client.send(request)


def problem_of(answer: httpx.Response) -> tuple[int, str, str]:
    found = answer.json()
    return answer.status_code, found["type"].rpartition(":")[2], found["detail"]


async def test_what_a_person_changes_names_the_person(world: World, people: Api) -> None:
    body = {"name": "ops", "channel_id": str(world.channel.channel_id), "least_severity": "critical"}
    made = (await ask(people, "POST", ROUTES, body=body)).json()
    again = await ask(people, "PUT", f"{ROUTES}/{made['route_id']}", body=body | {"least_severity": "warn"})
    assert (again.status_code, again.json()["version"]) == (200, 2)
    changes = (await ask(people, "GET", "/v1/changes?limit=1")).json()["items"]
    assert changes[0]["actor"] == {"type": "user", "id": "0197", "name": "Ana Ünal"}
    assert changes[0]["text"] == "least severity: critical → warn"


@pytest.mark.parametrize(
    ("how", "says"),
    [
        ({"secret": SecretStr("x" * 32)}, "the same SENTRYML_INTERNAL_SECRET"),
        ({"age": 61}, "check the clocks"),
        ({"age": -61}, "check the clocks"),
        ({"person": None}, "for which person"),
        ({"changed": {ACTOR: '{"id": "1", "name": "Eve", "role": "admin"}'}}, "the same SENTRYML_INTERNAL_SECRET"),
    ],
)
async def test_what_is_not_signed_for_a_person_now_is_refused(people: Api, how: dict[str, Any], says: str) -> None:
    status, kind, detail = problem_of(await ask(people, "GET", ROUTES, **how))
    assert (status, kind, says in detail) == (401, "not-signed", True), detail


async def test_without_a_secret_nobody_is_believed(people: Api) -> None:
    people.context.internal_secret = None
    status, kind, detail = problem_of(await ask(people, "GET", ROUTES))
    assert (status, kind) == (401, "not-signed")
    assert "SENTRYML_INTERNAL_SECRET" in detail


async def test_a_signature_is_for_one_request(world: World, people: Api) -> None:
    signed = signed_headers(SECRET, "GET", ROUTES, b"", people.context.clock().timestamp(), ANA)
    for method, path in (("GET", "/v1/channels"), ("DELETE", f"{ROUTES}/{world.channel.channel_id}")):
        answer = await people.client.request(method, path, headers=signed)
        assert problem_of(answer)[:2] == (401, "not-signed")


@pytest.mark.parametrize(
    ("role", "reads", "tests", "changes"),
    [("viewer", 200, 403, 403), ("responder", 200, 200, 403), ("admin", 200, 200, 201), ("owner", 403, 403, 403)],
)
async def test_a_role_may_what_its_scope_may(
    world: World, people: Api, role: str, reads: int, tests: int, changes: int
) -> None:
    person, channel_id = ActingPerson("0198", "Ben", role), str(world.channel.channel_id)
    for path in (ROUTES, "/v1/channels", "/v1/deliveries", "/v1/changes"):
        assert (await ask(people, "GET", path, person)).status_code == reads
    assert (await ask(people, "POST", f"/v1/channels/{channel_id}:test", person)).status_code == tests
    assert len(world.slack.titles) == (tests == 200)
    answer = await ask(people, "POST", ROUTES, person, {"name": "ops", "channel_id": channel_id})
    assert answer.status_code == changes


async def test_a_responder_tries_again_what_is_undeliverable(world: World, people: Api) -> None:
    world.slack.play(Script(status=410, body="channel_is_archived"))
    await world.take_in(opened_critical())
    await world.dispatch()
    (undeliverable,) = (await ask(people, "GET", "/v1/deliveries?undeliverable=true")).json()["items"]
    retry = f"/v1/deliveries/{undeliverable['delivery_id']}:retry"
    for role, status in (("viewer", 403), ("responder", 200)):
        assert (await ask(people, "POST", retry, ActingPerson("0198", "Ben", role))).status_code == status
    assert (await ask(people, "GET", "/v1/deliveries?undeliverable=true")).json()["items"] == []
    assert await world.dispatch() == 1


async def test_a_key_is_taken_as_before(api: Api) -> None:
    api.context.internal_secret = SECRET
    await api.ask("GET", ROUTES, 200)
    await api.ask("GET", ROUTES, 401, headers={"Authorization": ""})
