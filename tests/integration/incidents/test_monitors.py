"""Monitors over HTTP: validated as a whole, every version visible, previewed over the kept history."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import httpx
import pytest

from sentryml_common.contracts.api_key import Scope
from sentryml_common.contracts.monitor import DAY
from sentryml_common.postgres.pool import Pool
from tests.integration.incidents.conftest import Life, MakeClient, StillClock
from tests.integration.incidents.test_rest import problem
from tests.unit.incidents.builders import MODEL, MONDAY, at

PATH = f"/v1/models/{MODEL}/monitor"


async def test_everything_that_is_wrong_is_said_at_once(api: httpx.AsyncClient, life: Life) -> None:
    requested = {"critical": 0.05, "bins": "ten", "min_samples": 1, "latch_seconds": -1, "reopen_seconds": 8 * DAY}
    body = await problem(await api.put(PATH, json=requested), 422, "invalid-monitor")
    reasons = {error["field"]: error["reason"] for error in body["errors"]}
    assert set(reasons) == {"critical", "bins", "latch_seconds", "reopen_seconds"}, (
        "min_samples is held against bins once these are a number"
    )
    assert "lower warn or raise critical" in reasons["critical"]
    assert "lengthen the second" in reasons["reopen_seconds"]
    again = await problem(await api.put(PATH, json=requested | {"bins": 10}), 422, "invalid-monitor")
    assert "raise min_samples" in {error["field"]: error["reason"] for error in again["errors"]}["min_samples"]
    assert (await api.get(PATH)).json()["version"] == 1


async def test_longer_windows_say_since_when_events_are_kept(api: httpx.AsyncClient, life: Life) -> None:
    assert (await api.get(PATH)).json()["kept_since"] is None
    longer = (await api.put(PATH, json={"baseline_seconds": 28 * DAY})).json()
    assert longer["kept_since"] == "2026-11-15T09:15:00Z", "8 days back: so far the windows reached"
    assert (await api.get(PATH)).json() == longer
    assert (await api.put(PATH, json=longer | {"warn": 0.15})).json()["kept_since"] == longer["kept_since"]


async def test_every_version_is_a_visible_entry(api: httpx.AsyncClient, life: Life, clock: StillClock) -> None:
    clock.now = at(5)
    await api.put(PATH, json={"warn": 0.15, "critical": 0.3})
    clock.now = at(6)
    await api.put(PATH, json={"enabled": False})
    first = (await api.get(f"{PATH}/versions", params={"limit": 2})).json()
    second = (await api.get(f"{PATH}/versions", params={"limit": 2, "cursor": first["next_cursor"]})).json()
    entries = first["items"] + second["items"]
    assert [(each["version"], each["changes"]) for each in entries] == [
        (3, "enabled on → off"),
        (2, "warn 0.1 → 0.15; critical 0.2 → 0.3"),
        (1, "the model was registered"),
    ]
    assert [each["actor"]["name"] for each in entries] == ["ana's key", "ana's key", "SentryML"]
    assert [each["at"] for each in entries[:2]] == ["2026-11-23T09:21:00Z", "2026-11-23T09:20:00Z"]
    assert entries[1]["settings"]["critical"] == 0.3
    assert second["next_cursor"] is None
    await problem(await api.get("/v1/models/nobody/monitor/versions"), 404, "unknown-model")


@pytest.fixture
async def lived(life: Life, clock: StillClock) -> Life:
    """A model that drifted twice: a warning, and later a critical drift that came back within the reopen window."""
    await life.sees("ok", "warn", "ok", "insufficient")
    life.minute += 120
    await life.sees("critical", "warn", "ok", "critical", "ok")
    clock.now = at(life.minute)
    return life


async def previewed(api: httpx.AsyncClient, requested: dict[str, Any]) -> dict[str, Any]:
    answer = await api.post(f"{PATH}:preview", json=requested)
    assert answer.status_code == 200, answer.text
    found: dict[str, Any] = answer.json()
    return found


@pytest.mark.parametrize("page", [2, 1000])
async def test_unchanged_settings_would_have_done_what_was_done(
    api: httpx.AsyncClient, lived: Life, monkeypatch: pytest.MonkeyPatch, page: int
) -> None:
    monkeypatch.setattr("sentryml_incidents.api.previews.monitor_preview.PAGE", page)
    found = await previewed(api, {})
    incidents = (await api.get("/v1/incidents")).json()["items"]
    seen = ("opened_at", "resolved_at", "peak_psi", "peak_at", "reopened", "state")
    assert [{name: each[name] for name in seen} for each in found["preview"]["incidents"]] == [
        {name: each[name] for name in seen} for each in incidents
    ]
    timelines = [(await api.get(f"/v1/incidents/{each['incident_id']}/timeline")).json()["items"] for each in incidents]
    assert found["preview"]["alerts"] == sum(step["alert"] for steps in timelines for step in steps)
    assert found["preview"] == found["in_force"]
    assert (found["changes"], found["evaluations"], found["exact"]) == ("", 9, 9)
    assert (found["from"], found["to"]) == ("2026-11-23T09:16:00Z", lived_until(lived))


def lived_until(lived: Life) -> str:
    return at(lived.minute).isoformat().replace("+00:00", "Z")


async def test_a_preview_shows_both_monitors_and_changes_nothing(
    client_with: MakeClient, lived: Life, pool: Pool
) -> None:
    api = await client_with(Scope.READ)
    found = await previewed(api, {"warn": 0.3, "critical": 0.6, "baseline_seconds": 14 * DAY})
    assert [each["severity"] for each in found["preview"]["incidents"]] == ["warn"]
    assert [each["severity"] for each in found["in_force"]["incidents"]] == ["critical", "warn"]
    assert found["preview"]["alerts"] < found["in_force"]["alerts"]
    assert (found["basis"], found["approximate_because"]) == ("stored_psi", ["baseline_seconds"])
    assert (found["exact"], found["approximate"], found["unknown"]) == (0, 9, 0)
    assert "baseline_seconds: the stored PSI is of another baseline window." in found["notes"]
    assert found["changes"] == "baseline_seconds 604800 → 1.2096e+06; warn 0.1 → 0.3; critical 0.2 → 0.6"
    assert await pool.fetchval("SELECT count(*) FROM monitor_version") == 1


async def test_only_kept_history_is_used_and_no_more_than_is_bearable(
    api: httpx.AsyncClient, lived: Life, clock: StillClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("sentryml_incidents.api.previews.monitor_preview.MOST_EVALUATIONS", 3)
    found = await previewed(api, {})
    assert (found["evaluations"], found["preview"]["incident_count"]) == (3, 1)
    clock.now = MONDAY + timedelta(days=91)
    found = await previewed(api, {})
    assert (found["evaluations"], found["preview"]["incidents"]) == (0, [])


async def test_a_preview_is_refused_as_the_change_would_be(api: httpx.AsyncClient, lived: Life) -> None:
    await problem(await api.post(f"{PATH}:preview", json={"warn": 0.5}), 422, "invalid-monitor")
    await problem(await api.post(f"{PATH}:preview", json={"version": 7}), 409, "monitor-changed-meanwhile")
    await problem(await api.post("/v1/models/nobody/monitor:preview", json={}), 404, "unknown-model")
