"""The main job, through HTTP and real processes: drift, incident, Slack, recovery, resolved."""

from __future__ import annotations

from typing import Any

from sentryml_local.stack import Stack
from tests.e2e.user import Traffic, User
from tests.support.eventually import eventually

MODEL, CHANNEL = "story", "STORY"
MONITOR = {
    "baseline_seconds": 12,
    "current_seconds": 3,
    "every_seconds": 1,
    "min_baseline_coverage": 0.5,
    "resolve_after_seconds": 1,
    "reopen_seconds": 1,
}


async def story(stack: Stack, user: User) -> None:
    await user.add_channel(CHANNEL, MODEL)
    traffic = Traffic(user, MODEL, seed=7, versions=True)
    try:
        await user.watch(MODEL, **MONITOR)
        await eventually(lambda: _quiet(user), what="a quiet evaluation")
        assert await user.incident_of(MODEL) is None

        traffic.drifting = True
        opened = await eventually(lambda: user.incident_of(MODEL), what="an incident")
        await eventually(lambda: _severity(user, "critical"), what="the incident to be critical")
        acknowledged = await user.incidents.post(f"/v1/incidents/{opened['incident_id']}/acknowledge", json={})
        assert acknowledged.status_code == 200, acknowledged.text
        await eventually(lambda: _version_is_named(user), what="an evaluation that names version 2")

        traffic.drifting = False
        await eventually(lambda: _state(user, "resolved"), what="the incident to resolve")
    finally:
        await traffic.stop()
    await _the_timeline_and_slack_tell_the_story(user, opened["incident_id"])


async def _the_timeline_and_slack_tell_the_story(user: User, incident_id: str) -> None:
    timeline = await user.timeline(incident_id)
    kinds = [step["kind"] for step in timeline]
    assert kinds[0] == "opened"
    assert "acknowledged" in kinds
    assert "resolved" in kinds[kinds.index("acknowledged") :], f"acknowledging must not mute alerts: {kinds}"
    assert [step["sequence"] for step in timeline] == list(range(1, len(timeline) + 1))
    assert next(step for step in timeline if step["kind"] == "acknowledged")["actor"]["type"] == "api_key"
    assert timeline[0]["why"][0]["top_bins"], "an incident says why"
    alerts = sum(step["alert"] for step in timeline)

    async def all_sent() -> bool:
        return len(await user.messages_on(CHANNEL)) >= alerts

    await eventually(all_sent, what=f"{alerts} Slack messages")
    messages = await user.messages_on(CHANNEL)
    assert len(messages) == alerts
    assert all(f"/incidents/{timeline[0]['incident_number']}" in str(message) for message in messages)
    deliveries = await eventually(
        lambda: _deliveries(user, incident_id, alerts), what=f"{alerts} deliveries to be reported"
    )
    assert [each["transition_id"] for each in deliveries] == [
        step["transition_id"] for step in timeline if step["alert"]
    ]
    assert all(each["latency_seconds"] >= 0 for each in deliveries)
    page = await user.browser.get(f"/incidents/{timeline[0]['incident_number']}")
    assert page.status_code == 200
    assert MODEL in page.text
    assert page.text.count(">delivered after ") >= alerts


async def _version_is_named(user: User) -> bool:
    evaluations = (await user.get(f"/v1/models/{MODEL}/evaluations"))["items"]
    return any(each["value"] == "2" and each["share"] > 0 for found in evaluations for each in found.get("slices", ()))


async def _deliveries(user: User, incident_id: str, alerts: int) -> list[dict[str, Any]] | None:
    """The incident's deliveries to its channel, once that many have arrived."""
    every = (await user.get(f"/v1/incidents/{incident_id}/deliveries"))["items"]
    found = [each for each in every if each["channel"] == CHANNEL]
    return found if sum(each["state"] == "delivered" for each in found) >= alerts else None


async def _quiet(user: User) -> bool:
    evaluations = (await user.get(f"/v1/models/{MODEL}/evaluations"))["items"]
    return bool(evaluations) and evaluations[0]["level"] == "ok"


async def _severity(user: User, severity: str) -> bool:
    incident: dict[str, Any] | None = await user.incident_of(MODEL)
    return incident is not None and incident["severity"] == severity


async def _state(user: User, state: str) -> bool:
    incident = await user.incident_of(MODEL)
    return incident is not None and incident["state"] == state
