"""What people do to incidents, through the real application on a real PostgreSQL."""

from __future__ import annotations

import asyncio
from itertools import pairwise
from typing import Any

import httpx
import pytest

from sentryml_common.contracts.api_key import Scope
from sentryml_common.postgres.pool import Pool
from tests.integration.incidents.conftest import Life, MakeClient, StillClock
from tests.integration.incidents.test_rest import problem
from tests.unit.incidents.builders import MODEL, at

INCIDENT = "/v1/incidents/1"


async def timeline(api: httpx.AsyncClient, number: int = 1) -> list[dict[str, Any]]:
    items: list[dict[str, Any]] = (await api.get(f"/v1/incidents/{number}/timeline")).json()["items"]
    return items


async def kinds(api: httpx.AsyncClient, number: int = 1) -> list[str]:
    return [step["kind"] for step in await timeline(api, number)]


async def test_acknowledge_says_who_and_why_and_silences_nothing(
    api: httpx.AsyncClient, life: Life, clock: StillClock
) -> None:
    await life.sees("warn")
    clock.now = at(2)
    answer = await api.post(f"{INCIDENT}/acknowledge", json={"note": "looking at it"})
    assert (answer.status_code, answer.json()["state"], answer.headers["ETag"]) == (200, "acknowledged", '"v2"')
    assert answer.json()["allowed"] == ["acknowledge", "unacknowledge", "close", "accept", "was-normal", "note"]
    await life.sees("critical")
    steps = await timeline(api)
    assert [(step["kind"], step["alert"]) for step in steps] == [
        ("opened", True),
        ("acknowledged", False),
        ("escalated", True),
    ]
    seen = steps[1]
    assert (seen["actor"]["type"], seen["actor"]["name"], seen["note"]) == ("api_key", "ana's key", "looking at it")
    assert seen["at"] == "2026-11-23T09:17:00Z"
    assert (await api.get(INCIDENT)).json()["state"] == "open"


async def test_asking_again_changes_nothing(api: httpx.AsyncClient, life: Life) -> None:
    await life.sees("critical")
    for action, state in (("acknowledge", "acknowledged"), ("unacknowledge", "open"), ("acknowledge", "acknowledged"),
                          ("close", "closed")):  # fmt: skip
        once, twice = [await api.post(f"{INCIDENT}/{action}") for _ in range(2)]
        assert (once.status_code, twice.status_code) == (200, 200)
        assert once.json() == twice.json()
        assert once.json()["state"] == state
        assert once.headers["ETag"] == twice.headers["ETag"]
    assert await kinds(api) == ["opened", "acknowledged", "unacknowledged", "acknowledged", "closed"]


async def test_ten_at_once_acknowledge_once(api: httpx.AsyncClient, life: Life) -> None:
    await life.sees("critical")
    answers = await asyncio.gather(*(api.post(f"{INCIDENT}/acknowledge") for _ in range(10)))
    assert {answer.status_code for answer in answers} == {200}
    assert await kinds(api) == ["opened", "acknowledged"]


async def test_a_second_person_is_recorded(client_with: MakeClient, api: httpx.AsyncClient, life: Life) -> None:
    await life.sees("critical")
    ben = await client_with(Scope.WRITE, name="ben's key")
    await api.post(f"{INCIDENT}/acknowledge")
    answer = await ben.post(f"{INCIDENT}/acknowledge")
    assert [actor["name"] for actor in answer.json()["acknowledged_by"]] == ["ana's key", "ben's key"]


@pytest.mark.parametrize(
    ("grades", "action", "state", "allowed"),
    [
        (["critical"], "close", "open", ["acknowledge", "accept", "was-normal", "note"]),
        (["critical"], "unacknowledge", "open", ["acknowledge", "accept", "was-normal", "note"]),
        (["critical", "ok"], "unacknowledge", "resolved", ["acknowledge", "close", "was-normal", "note"]),
    ],
)
async def test_what_is_not_allowed_is_409_and_says_what_is(
    api: httpx.AsyncClient, life: Life, grades: list[str], action: str, state: str, allowed: list[str]
) -> None:
    await life.sees(*grades)
    body = await problem(await api.post(f"{INCIDENT}/{action}"), 409, "not-allowed")
    assert (body["state"], body["allowed"]) == (state, allowed)
    assert (await api.get(INCIDENT)).json()["state"] == state


async def test_a_closed_incident_takes_notes_only(api: httpx.AsyncClient, life: Life) -> None:
    await life.sees("critical", "ok")
    await api.post(f"{INCIDENT}/close")
    await problem(await api.post(f"{INCIDENT}/acknowledge"), 409, "not-allowed")
    assert (await api.post(f"{INCIDENT}/notes", json={"note": "it was the thunderstorm"})).status_code == 200
    assert (await timeline(api))[-1]["note"] == "it was the thunderstorm"


async def test_an_old_incident_takes_notes_while_a_new_one_is_live(api: httpx.AsyncClient, life: Life) -> None:
    await life.sees("warn", "ok")
    life.minute += 61
    await life.sees("critical")
    assert (await api.post(f"{INCIDENT}/notes", json={"note": "again"})).json()["state"] == "closed"
    assert (await api.get("/v1/incidents/2")).json()["state"] == "open"
    assert await kinds(api) == ["opened", "resolved", "closed", "noted"]
    await life.sees("ok")
    assert (await api.get("/v1/incidents/2")).json()["state"] == "resolved"


async def test_closing_while_it_drifts_says_until_when_it_is_quiet(
    api: httpx.AsyncClient, life: Life, clock: StillClock
) -> None:
    await life.sees("warn")
    clock.now = at(1)
    await api.post(f"{INCIDENT}/acknowledge")
    closed = (await api.post(f"{INCIDENT}/close")).json()
    assert closed["latched_until"] == "2026-11-24T09:16:00Z"
    await life.sees("warn")
    assert len((await api.get("/v1/incidents")).json()["items"]) == 1
    await life.sees("ok")
    assert (await api.get(INCIDENT)).json()["latched_until"] is None
    await life.sees("warn")
    assert (await api.get("/v1/incidents/2")).json()["state"] == "open"


class TestIfMatch:
    """Acting on what one has seen."""

    async def test_the_version_that_was_seen_is_acted_on(self, api: httpx.AsyncClient, life: Life) -> None:
        await life.sees("critical")
        seen = (await api.get(INCIDENT)).headers["ETag"]
        answer = await api.post(f"{INCIDENT}/acknowledge", headers={"If-Match": seen})
        assert answer.status_code == 200

    async def test_one_that_moved_on_is_412_with_its_state(self, api: httpx.AsyncClient, life: Life) -> None:
        await life.sees("warn")
        seen = (await api.get(INCIDENT)).headers["ETag"]
        await life.sees("critical")
        answer = await api.post(f"{INCIDENT}/acknowledge", headers={"If-Match": seen})
        body = await problem(answer, 412, "incident-moved-on")
        assert body["incident"]["severity"] == "critical"
        assert answer.headers["ETag"] == '"v2"'
        assert (await api.get(INCIDENT)).json()["state"] == "open"

    @pytest.mark.parametrize("match", ["*", '"v9", "v1"', ' "v1" '])
    async def test_lists_and_the_star_match(self, api: httpx.AsyncClient, life: Life, match: str) -> None:
        await life.sees("critical")
        assert (await api.post(f"{INCIDENT}/acknowledge", headers={"If-Match": match})).status_code == 200

    async def test_a_note_sent_twice_is_kept_once(self, api: httpx.AsyncClient, life: Life) -> None:
        await life.sees("warn")
        again = {"headers": {"If-Match": '"v1"'}, "json": {"note": "once"}}
        assert (await api.post(f"{INCIDENT}/notes", **again)).headers["ETag"] == '"v2"'
        await life.sees("critical")
        repeated = await api.post(f"{INCIDENT}/notes", **again)
        assert (repeated.status_code, repeated.headers["ETag"]) == (200, '"v3"')
        assert await kinds(api) == ["opened", "noted", "escalated"]

    async def test_an_action_whose_answer_got_lost_is_not_412(self, api: httpx.AsyncClient, life: Life) -> None:
        await life.sees("critical")
        again = {"headers": {"If-Match": '"v1"'}}
        statuses = [(await api.post(f"{INCIDENT}/acknowledge", **again)).status_code for _ in range(2)]
        assert statuses == [200, 200]
        await problem(await api.post(f"{INCIDENT}/close", **again), 412, "incident-moved-on")

    async def test_another_note_or_somebody_elses_is_412(
        self, api: httpx.AsyncClient, client_with: MakeClient, life: Life
    ) -> None:
        await life.sees("critical")
        ben, seen = await client_with(Scope.WRITE, name="ben's key"), {"If-Match": '"v1"'}
        await api.post(f"{INCIDENT}/notes", headers=seen, json={"note": "mine"})
        for client, note in ((api, "another"), (ben, "mine")):
            answer = await client.post(f"{INCIDENT}/notes", headers=seen, json={"note": note})
            await problem(answer, 412, "incident-moved-on")


@pytest.mark.parametrize(
    "body",
    [
        None,
        {},
        {"note": ""},
        {"note": "   "},
        {"note": "a\x00b"},
        {"note": "x" * 4001},
        {"note": 3},
        {"note": "a", "severity": "warn"},
        ["a"],
    ],
)
async def test_a_note_that_cannot_be_kept_is_422(api: httpx.AsyncClient, life: Life, body: object) -> None:
    await life.sees("critical")
    await problem(await api.post(f"{INCIDENT}/notes", json=body), 422, "invalid-request")
    assert await kinds(api) == ["opened"]


async def test_text_that_is_no_unicode_is_422(api: httpx.AsyncClient, life: Life) -> None:
    await life.sees("critical")
    headers = {"Content-Type": "application/json"}
    answer = await api.post(f"{INCIDENT}/notes", content=b'{"note": "\\ud800"}', headers=headers)
    assert answer.status_code == 422


async def test_people_and_evaluations_at_once_leave_a_whole_timeline(
    api: httpx.AsyncClient, life: Life, pool: Pool
) -> None:
    """Sequences without gaps, each step starting where the last one ended."""
    await life.sees("critical")
    lives = (life.sees("warn", "critical", "ok", "critical") for _ in range(1))
    actions = [api.post(f"{INCIDENT}/{action}") for action in ("acknowledge", "unacknowledge") for _ in range(5)]
    notes = [api.post(f"{INCIDENT}/notes", json={"note": f"note {number}"}) for number in range(5)]
    answers = await asyncio.gather(*lives, *actions, *notes)
    assert {answer.status_code for answer in answers if answer is not None} <= {200, 409}
    steps = await timeline(api)
    assert [step["sequence"] for step in steps] == list(range(1, len(steps) + 1))
    assert all(after["from"] == before["to"] for before, after in pairwise(steps))
    incident = (await api.get(INCIDENT)).json()
    assert steps[-1]["to"] == {"state": incident["state"], "severity": incident["severity"]}


class TestMonitor:
    """Changing how a model is watched."""

    PATH = f"/v1/models/{MODEL}/monitor"

    async def test_some_settings_change_and_the_others_stay(self, api: httpx.AsyncClient, life: Life) -> None:
        before = (await api.get(self.PATH)).json()
        answer = await api.put(self.PATH, json={"warn": 0.15, "critical": 0.3})
        assert answer.status_code == 200
        assert answer.json() == before | {"warn": 0.15, "critical": 0.3, "version": 2}
        assert (await api.get(self.PATH)).json() == answer.json()

    async def test_a_whole_monitor_can_be_sent_back(self, api: httpx.AsyncClient, life: Life) -> None:
        whole = (await api.get(self.PATH)).json()
        assert (await api.put(self.PATH, json=whole)).json()["version"] == 1
        assert (await api.put(self.PATH, json=whole | {"bins": 20})).json()["version"] == 2
        await problem(await api.put(self.PATH, json=whole | {"bins": 30}), 409, "monitor-changed-meanwhile")

    async def test_if_match_changes_what_was_seen(self, api: httpx.AsyncClient, life: Life) -> None:
        seen = {"If-Match": (await api.get(self.PATH)).headers["ETag"]}
        first = await api.put(self.PATH, json={"bins": 20}, headers=seen)
        assert (first.status_code, first.headers["ETag"]) == (200, '"v2"')
        second = await api.put(self.PATH, json={"bins": 30}, headers=seen)
        body = await problem(second, 412, "monitor-moved-on")
        assert (body["monitor"]["bins"], second.headers["ETag"]) == (20, '"v2"')

    async def test_what_changes_nothing_makes_no_version(self, api: httpx.AsyncClient, life: Life) -> None:
        await api.put(self.PATH, json={"warn": 0.15})
        assert (await api.put(self.PATH, json={"warn": 0.15})).json()["version"] == 2
        assert (await api.put(self.PATH, json={})).json()["version"] == 2

    @pytest.mark.parametrize(
        ("change", "field", "reason"),
        [
            ({"treshold": 0.1}, "treshold", "unknown field"),
            ({"warn": 0.5}, "warn", "must be below critical"),
            ({"current_seconds": 8 * 86_400}, "current_seconds", "must not exceed baseline_seconds"),
            ({"warn": "0.1"}, "warn", "number"),
            ({"warn": None}, "warn", "number"),
            ({"enabled": 1}, "enabled", "boolean"),
            ({"bins": 1}, "bins", "greater than or equal to 2"),
            ({"confirm_warn": 0}, "confirm_warn", "greater than or equal to 1"),
            ({"signals": []}, "signals", "at least 1"),
            ({"signals": ["features"]}, "signals.0", "'score' or 'prediction'"),
            ({"signals": ["score", "score"]}, "signals", "twice"),
            ({"model_id": "other"}, "model_id", "left out"),
            ({"v": 2}, "v", "left out"),
        ],
    )
    async def test_what_does_not_fit_is_refused_by_name(
        self, api: httpx.AsyncClient, life: Life, change: dict[str, Any], field: str, reason: str
    ) -> None:
        body = await problem(await api.put(self.PATH, json=change), 422, "invalid-monitor")
        (error,) = body["errors"]
        assert error["field"] == field
        assert reason in error["reason"]
        assert (await api.get(self.PATH)).json()["version"] == 1

    @pytest.mark.parametrize("body", [b"[]", b"3", b"nonsense", b"", b'{"warn": NaN}', b'{"warn": 1e999}'])
    async def test_what_is_no_monitor_is_422(self, api: httpx.AsyncClient, life: Life, body: bytes) -> None:
        headers = {"Content-Type": "application/json"}
        answer = await api.put(self.PATH, content=body, headers=headers)
        assert answer.status_code == 422, answer.text
        assert (await api.get(self.PATH)).json()["version"] == 1

    async def test_a_live_incident_says_who_changed_what(self, api: httpx.AsyncClient, life: Life) -> None:
        await life.sees("warn")
        await api.put(self.PATH, json={"warn": 0.18})
        step = (await timeline(api))[-1]
        assert (step["kind"], step["cause"], step["note"]) == (
            "monitor_changed",
            "thresholds_changed",
            "warn 0.1 → 0.18",
        )
        assert (step["actor"]["name"], step["alert"]) == ("ana's key", True)
        life.version = 2
        await life.sees("ok")
        assert (await timeline(api))[-1]["cause"] == "thresholds_changed"

    async def test_disabling_ends_a_live_incident_and_says_so(self, api: httpx.AsyncClient, life: Life) -> None:
        await life.sees("critical")
        await api.put(self.PATH, json={"enabled": False})
        step = (await timeline(api))[-1]
        assert (step["kind"], step["cause"], step["alert"]) == ("closed", "monitor_disabled", True)
        await life.sees("critical")
        assert (await api.get("/v1/incidents")).json()["items"][0]["state"] == "closed"

    async def test_ten_changes_at_once_are_ten_versions(self, api: httpx.AsyncClient, life: Life, pool: Pool) -> None:
        answers = await asyncio.gather(*(api.put(self.PATH, json={"bins": bins}) for bins in range(20, 30)))
        assert sorted(answer.json()["version"] for answer in answers) == list(range(2, 12))
        assert await pool.fetchval("SELECT count(*) FROM monitor_version") == 11


class TestApiKeys:
    """Keys that make keys."""

    async def test_a_key_is_shown_once_and_works(self, api: httpx.AsyncClient, pool: Pool) -> None:
        answer = await api.post("/v1/api-keys", json={"name": "ci", "scopes": ["read"], "models": ["fraud-*"]})
        made = answer.json()
        assert answer.status_code == 201
        assert answer.headers["Cache-Control"] == "no-store"
        use = {"Authorization": f"Bearer {made['api_key']}"}
        assert (await api.get("/v1/models", headers=use)).status_code == 200
        assert (await api.get("/v1/api-keys", headers=use)).status_code == 403
        listed = await api.get("/v1/api-keys")
        assert made["key_id"] in listed.text
        assert made["api_key"] not in listed.text
        rows = await pool.fetch("SELECT row_to_json(api_key)::text AS text FROM api_key")
        assert all(made["api_key"][17:] not in row["text"] for row in rows)

    @pytest.mark.parametrize(
        "body",
        [
            {},
            {"name": "x", "scopes": []},
            {"name": "", "scopes": ["read"]},
            {"name": "a\x00", "scopes": ["read"]},
            {"name": "x", "scopes": ["root"]},
            {"name": "x", "scopes": ["read"], "models": ["a b"]},
            {"name": "x", "scopes": ["read"], "expires_at": "2020-01-01T00:00:00Z"},
            {"name": "x", "scopes": ["read"], "expires_at": "2030-01-01T00:00:00"},
            {"name": "x", "scopes": ["read"], "owner": "me"},
        ],
    )
    async def test_a_key_that_cannot_be_is_422(self, api: httpx.AsyncClient, body: dict[str, Any]) -> None:
        await problem(await api.post("/v1/api-keys", json=body), 422, "invalid-request")

    async def test_an_unknown_key_is_404(self, api: httpx.AsyncClient) -> None:
        await problem(await api.delete("/v1/api-keys/aaaaaaaaaaaa"), 404, "unknown-api-key")
