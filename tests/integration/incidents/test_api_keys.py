"""`/v1/api-keys` through the real application, on a real PostgreSQL."""

from __future__ import annotations

import asyncio
from datetime import timedelta
from typing import Any

import httpx
import pytest

from sentryml_common.contracts.api_key import Scope, form_key, key_id_of
from sentryml_common.contracts.api_key_usage import ApiKeyUsage
from sentryml_common.postgres.pool import Pool, transaction
from sentryml_incidents.consumers.api_key_usage import KeyUsageConsumer
from sentryml_incidents.store.outbox import claim_api_keys
from sentryml_incidents.usecases.context import Context
from tests.integration.incidents.conftest import PUBLIC_URL, Life, MakeClient, StillClock, app_on, register
from tests.integration.incidents.test_rest import problem
from tests.support.eventually import eventually
from tests.unit.incidents.builders import MONDAY, quick

PASTED = form_key("pastedbyhand", "s" * 43)
DAY = timedelta(days=1)


async def make(api: httpx.AsyncClient, **requested: Any) -> dict[str, Any]:
    answer = await api.post("/v1/api-keys", json={"name": "ci", "scopes": ["read"], **requested})
    assert answer.status_code == 201, answer.text
    assert answer.headers["Cache-Control"] == "no-store"
    made: dict[str, Any] = answer.json()
    return made


async def listed(api: httpx.AsyncClient, key_id: str) -> dict[str, Any]:
    items = (await api.get("/v1/api-keys")).json()["items"]
    return next(each for each in items if each["key_id"] == key_id)


def with_key(api: httpx.AsyncClient, key: str) -> dict[str, str]:
    return {"Authorization": f"Bearer {key}"}


async def claimed(pool: Pool) -> dict[str, Any]:
    """What the relay would publish now, by key id."""
    async with transaction(pool) as connection:
        return {claim.key: claim.message for claim in await claim_api_keys(connection, MONDAY)}


class TestMaking:
    """A key is shown once, and is what was asked for."""

    async def test_it_is_shown_once_and_listed_without_its_secret(self, api: httpx.AsyncClient) -> None:
        made = await make(api, scopes=["read", "write", "read"], models=["a-*", "b", "a-*"])
        key = made.pop("api_key")
        assert key_id_of(key) == made["key_id"]
        assert made == await listed(api, made["key_id"])
        assert (made["scopes"], made["models"]) == (["read", "write"], ["a-*", "b"])
        assert made["created_by"]["name"] == "ana's key"
        assert key[17:60] not in (await api.get("/v1/api-keys")).text

    @pytest.mark.parametrize(
        ("requested", "says"),
        [
            ({"scopes": []}, "body.scopes"),
            ({"scopes": ["root"]}, "'events:write', 'read', 'write' or 'admin'"),
            ({"name": " "}, "body.name"),
            ({"name": "x" * 101}, "at most 100 characters"),
            ({"name": "a\x00b"}, "body.name"),
            ({"models": ["a b"]}, "body.models.0"),
            ({"models": [f"m{number}" for number in range(101)]}, "at most 100 items"),
            ({"expires_at": "2026-11-23T09:15:00Z"}, "lies in the past: give a later time"),
            ({"expires_at": "2027-11-23T09:15:00"}, "timezone"),
            ({"expires": "never"}, "body.expires: Extra inputs are not permitted"),
            ({"name": f"was {PASTED}"}, "holds an API key: take it out"),
            ({"models": [PASTED]}, "holds an API key: take it out"),
        ],
    )
    async def test_what_cannot_be_is_422_by_field(
        self, api: httpx.AsyncClient, pool: Pool, requested: dict[str, Any], says: str
    ) -> None:
        answer = await api.post("/v1/api-keys", json={"name": "ci", "scopes": ["read"], **requested})
        assert says in (await problem(answer, 422, "invalid-request"))["detail"]
        assert "s" * 43 not in answer.text
        assert await pool.fetchval("SELECT count(*) FROM api_key") == 1

    async def test_a_key_ends_soon_in_its_last_two_weeks(self, api: httpx.AsyncClient, clock: StillClock) -> None:
        made = await make(api, expires_at=(MONDAY + 20 * DAY).isoformat())
        seen = []
        for day in (5, 6, 19, 20):
            clock.now = MONDAY + day * DAY
            seen.append((await listed(api, made["key_id"]))["expires_soon"])
        assert seen == [False, True, True, False]

    async def test_a_key_for_some_models_makes_none_for_others(self, client_with: MakeClient) -> None:
        admin = await client_with(Scope.ADMIN, models=("fraud-*",))
        for models in ([], ["*"], ["fraud-a", "churn"]):
            requested = {"name": "ci", "scopes": ["read"], "models": models}
            body = await problem(await admin.post("/v1/api-keys", json=requested), 403, "forbidden")
            assert "may" in body["detail"]
        assert (await make(admin, models=["fraud-eu-*"]))["models"] == ["fraud-eu-*"]


class TestRotating:
    """The new key takes over; the old one ends by itself."""

    async def test_both_are_valid_until_the_overlap_is_over(
        self, api: httpx.AsyncClient, clock: StillClock, pool: Pool
    ) -> None:
        old = await make(api, models=["a-*"])
        await claimed(pool)
        answer = await api.post(f"/v1/api-keys/{old['key_id']}/rotate", json={"overlap_seconds": 3600})
        new = answer.json()
        assert (answer.status_code, answer.headers["Cache-Control"]) == (201, "no-store")
        assert (new["name"], new["scopes"], new["models"]) == (old["name"], old["scopes"], old["models"])
        assert (new["rotated_from"], new["expires_at"]) == (old["key_id"], None)
        ending = await listed(api, old["key_id"])
        assert (ending["replaced_by"], ending["expires_at"]) == (new["key_id"], "2026-11-23T10:15:00Z")
        published = await claimed(pool)
        assert set(published) == {old["key_id"], new["key_id"]}
        assert published[old["key_id"]].expires_at == MONDAY + timedelta(hours=1)
        statuses = []
        for minutes in (0, 59, 60):
            clock.now = MONDAY + timedelta(minutes=minutes)
            for key in (old, new):
                answer = await api.get("/v1/models", headers=with_key(api, key["api_key"]))
                statuses.append(answer.status_code)
        assert statuses == [200, 200, 200, 200, 401, 200]

    async def test_without_a_body_the_old_one_has_a_day(self, api: httpx.AsyncClient) -> None:
        old = await make(api)
        await api.post(f"/v1/api-keys/{old['key_id']}/rotate")
        assert (await listed(api, old["key_id"]))["expires_at"] == "2026-11-24T09:15:00Z"

    async def test_what_cannot_be_rotated_is_409_and_says_what_to_do(
        self, api: httpx.AsyncClient, clock: StillClock
    ) -> None:
        old, revoked = await make(api), await make(api)
        expired = await make(api, expires_at=(MONDAY + DAY).isoformat())
        new = (await api.post(f"/v1/api-keys/{old['key_id']}/rotate")).json()
        await api.delete(f"/v1/api-keys/{revoked['key_id']}")
        clock.now = MONDAY + DAY
        for key, says in ((old, f"successor {new['key_id']}"), (revoked, "make a new"), (expired, "make a new")):
            answer = await api.post(f"/v1/api-keys/{key['key_id']}/rotate")
            assert says in (await problem(answer, 409, "api-key-not-rotatable"))["detail"]
        await problem(await api.post("/v1/api-keys/000000000000/rotate"), 404, "unknown-api-key")

    @pytest.mark.parametrize("overlap", [-1, 30 * 86_400 + 1, "a day", float("1e400")])
    async def test_an_overlap_lies_within_thirty_days(self, api: httpx.AsyncClient, overlap: object) -> None:
        old = await make(api)
        content = f'{{"overlap_seconds": {overlap!r}}}'.replace("'", '"').replace("inf", "1e400")
        answer = await api.post(
            f"/v1/api-keys/{old['key_id']}/rotate", content=content, headers={"Content-Type": "application/json"}
        )
        await problem(answer, 422, "invalid-request")

    async def test_of_two_at_once_one_rotates(self, api: httpx.AsyncClient) -> None:
        old = await make(api)
        asked = [api.post(f"/v1/api-keys/{old['key_id']}/rotate") for _ in range(4)]
        statuses = [answer.status_code for answer in await asyncio.gather(*asked)]
        assert sorted(statuses) == [201, 409, 409, 409]

    async def test_a_key_for_some_models_cannot_take_over_a_mightier_one(
        self, api: httpx.AsyncClient, client_with: MakeClient
    ) -> None:
        admin = await client_with(Scope.ADMIN, models=("fraud-*",), name="restricted")
        all_models, own = await make(api), await make(api, models=["fraud-eu"])
        await problem(await admin.post(f"/v1/api-keys/{all_models['key_id']}/rotate"), 404, "unknown-api-key")
        assert (await admin.post(f"/v1/api-keys/{own['key_id']}/rotate")).status_code == 201


class TestKeysForSomeModels:
    """An admin key for some models manages the keys that can do no more than itself, and knows of no others."""

    async def test_it_lists_and_revokes_only_keys_within_its_rights(
        self, api: httpx.AsyncClient, client_with: MakeClient, pool: Pool
    ) -> None:
        admin = await client_with(Scope.ADMIN, models=("fraud-*",), name="restricted")
        wider = [await make(api, models=models) for models in ([], ["*"], ["fraud-a", "churn"], ["f*"])]
        own = await make(api, models=["fraud-eu-*"])
        seen = (await admin.get("/v1/api-keys")).json()["items"]
        assert sorted(each["name"] for each in seen) == ["ci", "restricted"]
        for key in wider:
            answer = await admin.delete(f"/v1/api-keys/{key['key_id']}")
            reported = await problem(answer, 404, "unknown-api-key")
            unknown = (await admin.delete("/v1/api-keys/000000000000")).json()
            assert reported["detail"] == unknown["detail"].replace("000000000000", key["key_id"])
        assert await pool.fetchval("SELECT count(*) FROM api_key WHERE revoked_at IS NOT NULL") == 0
        assert (await admin.delete(f"/v1/api-keys/{own['key_id']}")).status_code == 204
        assert (await api.delete(f"/v1/api-keys/{wider[0]['key_id']}")).status_code == 204


class TestLastUse:
    """Shown to about a minute, who noticed it."""

    async def test_the_newest_use_is_kept_whatever_order_they_arrive_in(
        self, api: httpx.AsyncClient, pool: Pool
    ) -> None:
        made = await make(api)
        assert (made["last_used_at"], made["last_used_by"]) == (None, None)
        consumer = KeyUsageConsumer(pool)

        def used(minute: int, service: str, key_id: str = made["key_id"]) -> ApiKeyUsage:
            return ApiKeyUsage(key_id=key_id, used_at=MONDAY + timedelta(minutes=minute), service=service)

        await consumer.take_all([used(3, "ingest"), used(5, "notifier"), used(4, "ingest"), used(9, "x", "0" * 12)])
        await consumer.take_all([used(1, "ingest")])
        shown = await listed(api, made["key_id"])
        assert (shown["last_used_at"], shown["last_used_by"]) == ("2026-11-23T09:20:00Z", "notifier")

    async def test_the_service_notes_its_own_and_refused_keys_leave_no_trace(
        self, pool: Pool, clock: StillClock, client_with: MakeClient
    ) -> None:
        used, other = await client_with(Scope.READ, name="used"), await client_with(Scope.READ, name="other")
        context = Context(PUBLIC_URL, clock, pool)
        app = app_on(context)
        telling = asyncio.create_task(context.key_usage.publish_forever(KeyUsageConsumer(pool).take_all))
        transport = httpx.ASGITransport(app=app)
        async with httpx.AsyncClient(transport=transport, base_url=PUBLIC_URL) as client:
            wrong = other.headers["Authorization"][:-1] + "g"
            assert (await client.get("/v1/models", headers={"Authorization": wrong})).status_code == 401
            mine = {"Authorization": used.headers["Authorization"]}
            assert (await client.get("/v1/models", headers=mine)).status_code == 200

        async def noted() -> list[tuple[Any, ...]]:
            rows = await pool.fetch("SELECT name, used_at, service FROM api_key_usage JOIN api_key USING (key_id)")
            return [tuple(row.values()) for row in rows]

        assert await eventually(noted, what="the use to be noted") == [("used", MONDAY, "incidents")]
        telling.cancel()


class TestRestrictedLists:
    """A key for some models gets whole pages of what it may see."""

    async def test_pages_are_filled_and_follow_each_other(self, client_with: MakeClient, pool: Pool) -> None:
        for number in range(12):
            model_id = f"{'mine' if number % 4 == 0 else 'other'}-{number:02}"
            await register(pool, model_id, quick())
            await Life(pool, model_id=model_id, minute=number).sees("critical")
        reader = await client_with(Scope.READ, models=("mine-*",))
        for path, name in (("models", "model_id"), ("incidents", "model_id")):
            first = (await reader.get(f"/v1/{path}", params={"limit": 2})).json()
            rest = (await reader.get(f"/v1/{path}", params={"limit": 2, "cursor": first["next_cursor"]})).json()
            assert [len(page["items"]) for page in (first, rest)] == [2, 1]
            assert rest["next_cursor"] is None
            assert {each[name] for each in first["items"] + rest["items"]} == {"mine-00", "mine-04", "mine-08"}


async def test_a_note_that_holds_a_key_is_refused(api: httpx.AsyncClient, life: Life, pool: Pool) -> None:
    """It would be kept for ever, published and sent to Slack."""
    await life.sees("critical")
    for path in ("notes", "acknowledge"):
        answer = await api.post(f"/v1/incidents/1/{path}", json={"note": f"works with {PASTED}"})
        assert "holds an API key" in (await problem(answer, 422, "invalid-request"))["detail"]
    assert await pool.fetchval("SELECT count(*) FROM transition") == 1
