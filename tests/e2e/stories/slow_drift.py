"""A drift too slow for any baseline is found against the reference, and ends when a person accepts it."""

from __future__ import annotations

from typing import Any

from sentryml_local.stack import Stack
from tests.e2e.user import Traffic, User
from tests.support.eventually import eventually

MODEL, CHANNEL = "slow", "SLOW"
MONITOR = {"baseline_seconds": 6, "current_seconds": 2, "every_seconds": 1, "confirm_warn": 1}
PER_SECOND = 0.015
"""How much more of the events is of another distribution each second: PSI 0.03 between the windows."""


async def story(stack: Stack, user: User) -> None:
    await user.add_channel(CHANNEL, MODEL)
    traffic = Traffic(user, MODEL, seed=12)
    try:
        await user.watch(MODEL, **MONITOR)
        first = await eventually(lambda: _reference(user), what="the first reference")

        traffic.ramp(PER_SECOND)
        incident = await eventually(lambda: user.incident_of(MODEL), what="an incident")
        traffic.ramp(0.0)
        assert (incident["state"], incident["severity"]) == ("open", "warn")
        (opened, *_) = await user.timeline(incident["incident_id"])
        assert opened["cause"] == "slow_drift"
        assert "against the reference" in opened["why"][0]["how_serious"], opened["why"][0]
        assert {each["level"] for each in await _evaluations(user)} == {"ok"}, "no window differs from the one before"
        normal = (await user.get(f"/v1/models/{MODEL}/monitor"))["normal_time"]
        assert normal["excluded"] == []
        await eventually(lambda: user.messages_on(CHANNEL), what="an alert")

        accepted = await user.incidents.post(f"/v1/incidents/{incident['incident_id']}/accept")
        assert accepted.status_code == 200, accepted.text
        second = await eventually(lambda: _reference(user), what="a new reference")
        assert second != first
        compared = await eventually(lambda: _compared_with(user, second), what="a comparison with it")
        assert compared["level"] == "ok"
        newest = await user.incident_of(MODEL)
        assert newest is not None
        assert (newest["incident_id"], newest["state"]) == (incident["incident_id"], "closed")
    finally:
        await traffic.stop()


async def _reference(user: User) -> str | None:
    found: str | None = (await user.get(f"/v1/models/{MODEL}/monitor"))["normal_time"]["reference_id"]
    return found


async def _evaluations(user: User) -> list[dict[str, Any]]:
    """The newest ones that had enough data."""
    newest = (await user.get(f"/v1/models/{MODEL}/evaluations"))["items"]
    return [each for each in newest if each["level"] != "insufficient_data"]


async def _compared_with(user: User, reference_id: str) -> dict[str, Any] | None:
    found = [each["slow_drift"] for each in await _evaluations(user) if each["slow_drift"] is not None]
    return next((each for each in found if each["reference_id"] == reference_id), None)
