"""The REST API through the real application, on a real PostgreSQL."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import httpx
import pytest

from sentryml_common.contracts.api_key import Scope
from sentryml_common.contracts.evaluation import Evaluation
from sentryml_common.contracts.transition import Transition
from sentryml_common.postgres.pool import Pool
from sentryml_incidents.consumers.evaluations import ActivityConsumer
from tests.integration.incidents.conftest import PUBLIC_URL, Life, MakeClient, StillClock, register
from tests.unit.incidents.builders import MODEL, MONDAY, an_activity, at, quick


async def problem(answer: httpx.Response, status: int, kind: str) -> dict[str, Any]:
    body: dict[str, Any] = answer.json()
    assert (answer.status_code, body["type"]) == (status, f"urn:sentryml:problem:{kind}"), body
    assert answer.headers["content-type"] == "application/problem+json"
    return body


class TestAccess:
    """Who may do what."""

    @pytest.mark.parametrize("header", [None, "Bearer nonsense", "Basic YTpi", "Bearer sml_aaaaaaaaaaaa_" + "a" * 51])
    async def test_without_a_valid_key_it_is_401(self, anonymous: httpx.AsyncClient, header: str | None) -> None:
        headers = {"Authorization": header} if header else {}
        answer = await anonymous.get("/v1/incidents", headers=headers)
        await problem(answer, 401, "unauthorized")
        assert answer.headers["WWW-Authenticate"] == 'Bearer realm="SentryML"'

    async def test_a_well_formed_key_that_nobody_made_is_401(self, api: httpx.AsyncClient, pool: Pool) -> None:
        await pool.execute("DELETE FROM api_key")
        await problem(await api.get("/v1/incidents"), 401, "unauthorized")

    async def test_revoked_and_expired_keys_are_401(self, client_with: MakeClient, clock: StillClock) -> None:
        revoked = await client_with(Scope.ADMIN, name="revoked")
        expiring = await client_with(Scope.ADMIN, name="expiring", expires_at=MONDAY + timedelta(hours=1))
        keys = (await revoked.get("/v1/api-keys")).json()["items"]
        key_id = next(key["key_id"] for key in keys if key["name"] == "revoked")
        assert (await expiring.delete(f"/v1/api-keys/{key_id}")).status_code == 204
        await problem(await revoked.get("/v1/models"), 401, "unauthorized")
        assert (await expiring.get("/v1/models")).status_code == 200
        clock.now = MONDAY + timedelta(hours=1)
        await problem(await expiring.get("/v1/models"), 401, "unauthorized")

    @pytest.mark.parametrize(
        ("scope", "reads", "writes", "administers"),
        [
            (Scope.EVENTS_WRITE, False, False, False),
            (Scope.READ, True, False, False),
            (Scope.WRITE, True, True, False),
            (Scope.ADMIN, True, True, True),
        ],
    )
    async def test_scopes(
        self, client_with: MakeClient, life: Life, scope: Scope, reads: bool, writes: bool, administers: bool
    ) -> None:
        await life.sees("critical")
        client = await client_with(scope)
        read = await client.get("/v1/incidents/1")
        write = await client.post("/v1/incidents/1/acknowledge")
        change = await client.put(f"/v1/models/{MODEL}/monitor", json={"warn": 0.11})
        administer = await client.get("/v1/api-keys")
        allowed = [answer.status_code == 200 for answer in (read, write, change, administer)]
        assert allowed == [reads, writes, writes, administers]
        assert {answer.status_code for answer in (read, write, change, administer)} <= {200, 403}

    async def test_a_key_for_some_models_sees_and_touches_no_others(self, client_with: MakeClient, life: Life) -> None:
        await life.sees("critical")
        other = await client_with(Scope.WRITE, models=("fraud-*",))
        await problem(await other.get("/v1/incidents/1"), 404, "unknown-incident")
        await problem(await other.get(f"/v1/models/{MODEL}/evaluations"), 404, "unknown-model")
        await problem(await other.post("/v1/incidents/1/acknowledge"), 404, "unknown-incident")
        await problem(await other.put(f"/v1/models/{MODEL}/monitor", json={"warn": 0.11}), 404, "unknown-model")
        assert (await other.get("/v1/incidents")).json()["items"] == []
        assert (await other.get("/v1/models")).json()["items"] == []
        mine = await client_with(Scope.READ, models=("flights-*",))
        assert (await mine.get("/v1/incidents/1")).status_code == 200


class TestModels:
    """Every model that was ever seen."""

    async def test_a_model_is_listed_with_what_was_last_found(self, api: httpx.AsyncClient, life: Life) -> None:
        await life.sees("ok", "critical")
        (model,) = (await api.get("/v1/models")).json()["items"]
        incident = model.pop("incident")
        assert model == {
            "model_id": MODEL,
            "first_seen": "2026-11-23T09:15:00Z",
            "last_seen": "2026-11-23T09:15:00Z",
            "enabled": True,
            "monitor_version": 1,
            "level": "critical",
            "reason": None,
            "psi": 0.5,
            "evaluated_at": "2026-11-23T09:17:00Z",
            "evaluation_paused_since": None,
            "not_evaluated_since": None,
            "silent_since": None,
        }
        assert (incident["incident_number"], incident["state"], incident["severity"]) == (1, "open", "critical")
        assert incident["incident_url"] == f"{PUBLIC_URL}/incidents/1"

    async def test_one_model_shows_its_monitor_and_its_newest_evaluation(
        self, api: httpx.AsyncClient, life: Life
    ) -> None:
        await life.sees("warn")
        model = (await api.get(f"/v1/models/{MODEL}")).json()
        assert model["monitor"]["version"] == 1
        assert len(model["latest_evaluation"]["signals"][0]["bins"]) == 4

    async def test_a_model_before_its_first_evaluation(self, api: httpx.AsyncClient, life: Life) -> None:
        model = (await api.get(f"/v1/models/{MODEL}")).json()
        assert (model["level"], model["psi"], model["incident"], model["latest_evaluation"]) == (None,) * 4

    @pytest.mark.parametrize("path", ["", "/monitor", "/evaluations", "/activity"])
    async def test_an_unknown_model_is_404(self, api: httpx.AsyncClient, path: str) -> None:
        body = await problem(await api.get(f"/v1/models/nobody{path}"), 404, "unknown-model")
        assert "registered by its first event" in body["detail"]

    @pytest.mark.parametrize("model_id", ["%00", "a%00b", "-a", "x" * 129, "a b", "%F0%9F%98%80"])
    async def test_what_cannot_be_a_model_id_is_422(self, api: httpx.AsyncClient, model_id: str) -> None:
        await problem(await api.get(f"/v1/models/{model_id}"), 422, "invalid-request")

    async def test_evaluations_come_newest_first_page_by_page(self, api: httpx.AsyncClient, life: Life) -> None:
        await life.sees(*["ok"] * 7)
        times, cursor = [], None
        while True:
            params = {"limit": 3} | ({"cursor": cursor} if cursor else {})
            page = (await api.get(f"/v1/models/{MODEL}/evaluations", params=params)).json()
            times += [Evaluation.model_validate(each).evaluated_at for each in page["items"]]
            cursor = page["next_cursor"]
            if cursor is None:
                break
        assert times == [at(minute) for minute in range(7, 0, -1)]

    async def test_models_come_page_by_page(self, api: httpx.AsyncClient, pool: Pool) -> None:
        for number in range(5):
            await register(pool, f"m{number}", quick())
        first = (await api.get("/v1/models", params={"limit": 3})).json()
        second = (await api.get("/v1/models", params={"limit": 3, "cursor": first["next_cursor"]})).json()
        assert [each["model_id"] for each in first["items"] + second["items"]] == ["m0", "m1", "m2", "m3", "m4"]
        assert second["next_cursor"] is None

    @pytest.mark.parametrize(
        ("query", "models"),
        [
            ("level=critical", ["fraud-eu"]),
            ("level=critical&level=warn", ["fraud-eu", "fraud_us"]),
            ("level=ok", ["fraud-uk"]),
            ("live=true", ["fraud-eu", "fraud_us"]),
            ("live=false&enabled=true", ["fraud-uk"]),
            ("enabled=false", ["off"]),
            ("search=fraud_", ["fraud_us"]),
            ("search=fraud-&live=true", ["fraud-eu"]),
            ("search=-U", ["fraud-uk"]),
            ("search=raud", ["fraud-eu", "fraud-uk", "fraud_us"]),
            ("search=nobody", []),
        ],
    )
    async def test_filters(self, api: httpx.AsyncClient, pool: Pool, query: str, models: list[str]) -> None:
        for model_id, grades in {"fraud-eu": ["critical"], "fraud-uk": ["ok"], "fraud_us": ["warn"]}.items():
            await register(pool, model_id, quick())
            await Life(pool, model_id=model_id).sees(*grades)
        await register(pool, "off", quick(enabled=False))
        answer = await api.get(f"/v1/models?{query}")
        assert [each["model_id"] for each in answer.json()["items"]] == models

    @pytest.mark.parametrize("query", ["level=bad", "live=perhaps", "search=%25", "search="])
    async def test_filters_that_mean_nothing_are_422(self, api: httpx.AsyncClient, query: str) -> None:
        await problem(await api.get(f"/v1/models?{query}"), 422, "invalid-request")

    async def test_activity_is_the_newest(self, api: httpx.AsyncClient, life: Life, pool: Pool) -> None:
        await problem(await api.get(f"/v1/models/{MODEL}/activity"), 404, "no-activity")
        await ActivityConsumer(pool, quick()).take_all([an_activity(when=at(2))])
        assert (await api.get(f"/v1/models/{MODEL}/activity")).json()["at"] == "2026-11-23T09:17:00Z"


class TestIncidents:
    """List, filters, one, timeline, evidence."""

    @staticmethod
    async def three(pool: Pool) -> None:
        """#1 resolved warn of a, #2 open critical of b, #3 open warn of c."""
        for number, (model_id, grades) in enumerate({"a": ["warn", "ok"], "b": ["critical"], "c": ["warn"]}.items()):
            await register(pool, model_id, quick())
            await Life(pool, model_id=model_id, minute=10 * number).sees(*grades)

    @pytest.mark.parametrize(
        ("query", "numbers"),
        [
            ("", [3, 2, 1]),
            ("?state=open", [3, 2]),
            ("?state=resolved&state=open&severity=warn", [3, 1]),
            ("?severity=critical", [2]),
            ("?model=a", [1]),
            ("?since=2026-11-23T09:26:00Z", [3, 2]),
            ("?since=2026-11-23T10:35:30%2B01:00", [3]),
            ("?state=closed", []),
        ],
    )
    async def test_filters(self, api: httpx.AsyncClient, pool: Pool, query: str, numbers: list[int]) -> None:
        await self.three(pool)
        answer = await api.get(f"/v1/incidents{query}")
        assert [each["incident_number"] for each in answer.json()["items"]] == numbers

    @pytest.mark.parametrize(
        "query", ["?state=gone", "?severity=high", "?since=yesterday", "?since=1763888100",
                  "?since=2026-11-23T09:26:00", "?limit=0", "?limit=501", "?model=%00", "?model=a%20b"],
    )  # fmt: skip
    async def test_filters_that_mean_nothing_are_422(self, api: httpx.AsyncClient, query: str) -> None:
        await problem(await api.get(f"/v1/incidents{query}"), 422, "invalid-request")

    @pytest.mark.parametrize("cursor", ["x", "bnVsbA", "IngiCg", "%00", "WzEsMl0", "OTk5OTk5OTk5OTk5OTk5OTk5OTk5"])
    @pytest.mark.parametrize(
        "path", ["incidents", "models", f"models/{MODEL}/evaluations", "incidents/1/timeline", "incidents/1/deliveries"]
    )
    async def test_a_foreign_cursor_is_422_or_an_empty_page(
        self, api: httpx.AsyncClient, life: Life, path: str, cursor: str
    ) -> None:
        await life.sees("critical")
        answer = await api.get(f"/v1/{path}?cursor={cursor}")
        if answer.status_code != 200:
            await problem(answer, 422, "invalid-cursor")

    async def test_pages_follow_each_other_while_incidents_arrive(self, api: httpx.AsyncClient, pool: Pool) -> None:
        await self.three(pool)
        first = (await api.get("/v1/incidents?limit=2")).json()
        await register(pool, "d", quick())
        await Life(pool, model_id="d").sees("critical")
        second = (await api.get("/v1/incidents", params={"limit": 2, "cursor": first["next_cursor"]})).json()
        assert [each["incident_number"] for each in first["items"] + second["items"]] == [3, 2, 1]

    async def test_one_is_found_by_number_and_by_id(self, api: httpx.AsyncClient, life: Life) -> None:
        await life.sees("critical")
        by_number = await api.get("/v1/incidents/1")
        by_id = await api.get(f"/v1/incidents/{by_number.json()['incident_id']}")
        assert by_id.json() == by_number.json()
        assert by_id.headers["ETag"] == '"v1"'

    async def test_what_is_still_so_is_304(self, api: httpx.AsyncClient, life: Life) -> None:
        await life.sees("warn")
        for path in ("/v1/incidents/1", f"/v1/models/{MODEL}/monitor"):
            known = {"If-None-Match": (await api.get(path)).headers["ETag"]}
            same = await api.get(path, headers=known)
            assert (same.status_code, same.content, same.headers["ETag"]) == (304, b"", '"v1"')
            assert (await api.get(path, headers={"If-None-Match": 'W/"v7", W/"v1"'})).status_code == 304
        await life.sees("critical")
        assert (await api.get("/v1/incidents/1", headers=known)).status_code == 200

    @pytest.mark.parametrize(
        "reference", ["2", "0", "abc", "9" * 36, "%00", "-1", "11111111-2222-5333-8444-555555555555"]
    )
    @pytest.mark.parametrize("path", ["", "/timeline", "/deliveries", "/evidence"])
    async def test_an_unknown_one_is_404(self, api: httpx.AsyncClient, life: Life, reference: str, path: str) -> None:
        await life.sees("critical")
        await problem(await api.get(f"/v1/incidents/{reference}{path}"), 404, "unknown-incident")

    async def test_the_timeline_is_the_contract_oldest_first(self, api: httpx.AsyncClient, life: Life) -> None:
        await life.sees("warn", "critical", "ok")
        page = (await api.get("/v1/incidents/1/timeline")).json()
        steps = [Transition.model_validate(each) for each in page["items"]]
        assert [(step.sequence, step.kind) for step in steps] == [(1, "opened"), (2, "escalated"), (3, "resolved")]
        assert page["items"][1]["from"] == {"state": "open", "severity": "warn"}
        assert page["next_cursor"] is None
        first = (await api.get("/v1/incidents/1/timeline?limit=2")).json()
        rest = (await api.get("/v1/incidents/1/timeline", params={"cursor": first["next_cursor"]})).json()
        assert first["items"] + rest["items"] == page["items"]

    async def test_evidence_holds_whole_evaluations(self, api: httpx.AsyncClient, life: Life) -> None:
        await life.sees("warn", "critical", "ok")
        items = (await api.get("/v1/incidents/1/evidence")).json()["items"]
        assert [each["role"] for each in items] == ["opened", "escalated", "peak", "resolved"]
        assert all(Evaluation.model_validate(each["evaluation"]).signals[0].bins for each in items)

    async def test_a_new_incident_names_the_one_before(self, api: httpx.AsyncClient, life: Life) -> None:
        await life.sees("warn", "ok")
        life.minute += 61
        await life.sees("warn")
        first, second = [(await api.get(f"/v1/incidents/{number}")).json() for number in (1, 2)]
        assert second["previous_incident_id"] == first["incident_id"]
        assert (first["state"], second["state"]) == ("closed", "open")


@pytest.mark.parametrize(
    ("method", "path", "allowed"),
    [
        ("DELETE", f"/v1/models/{MODEL}/monitor", "GET, PUT"),
        ("PATCH", "/v1/incidents", "GET"),
        ("GET", "/v1/incidents:bulk", "POST"),
    ],
)
async def test_another_method_is_405_and_says_which_there_are(
    api: httpx.AsyncClient, method: str, path: str, allowed: str
) -> None:
    answer = await api.request(method, path)
    await problem(answer, 405, "method-not-allowed")
    assert answer.headers["Allow"] == allowed


async def test_openapi_declares_problems_for_every_route(api: httpx.AsyncClient) -> None:
    document = (await api.get("/openapi.json")).json()
    assert not {"HTTPValidationError", "ValidationError"} & set(document["components"]["schemas"])
    for path, operations in document["paths"].items():
        for method, operation in operations.items():
            answers = operation["responses"]
            assert {"401", "403", "503"} <= set(answers), (method, path)
            assert operation["tags"], (method, path)
            assert operation["description"], (method, path)
            for status, answer in answers.items():
                if status >= "400":
                    assert list(answer["content"]) == ["application/problem+json"], (method, path, status)
            assert "Retry-After" in answers["503"]["headers"]


async def test_without_postgres_it_is_503_with_retry_after(api: httpx.AsyncClient, pool: Pool) -> None:
    await pool.close()
    for answer in (await api.get("/v1/incidents"), await api.post("/v1/incidents/1/acknowledge")):
        await problem(answer, 503, "unavailable")
        assert int(answer.headers["Retry-After"]) > 0
