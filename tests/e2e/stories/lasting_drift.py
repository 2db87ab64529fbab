"""A lasting shift never becomes normal: its incident resolves only after recovery, and the recovery does not alert."""

from __future__ import annotations

from typing import Any

from sentryml_local.stack import Stack
from tests.e2e.user import Traffic, User
from tests.support.eventually import eventually

MODEL = "lasting"
BASELINE, CURRENT = 6, 2
MONITOR = {
    "baseline_seconds": BASELINE,
    "current_seconds": CURRENT,
    "every_seconds": 1,
    "resolve_after_seconds": 1,
    "reopen_seconds": 1,
}
LONG = 2 * (BASELINE + CURRENT)
"""Evaluations, one a second: by then, a baseline that rolls on has long been made of the shift alone."""


async def story(stack: Stack, user: User) -> None:
    traffic = Traffic(user, MODEL, seed=11)
    try:
        await user.watch(MODEL, **MONITOR)
        await eventually(lambda: _level(user, "ok"), what="a quiet evaluation")

        traffic.drifting = True
        opened = await eventually(lambda: user.incident_of(MODEL), what="an incident")
        held = await eventually(lambda: _held(user), what="a held baseline")
        drifting = await eventually(lambda: _evaluations_of(user, held["revision"], LONG), what=f"{LONG} evaluations")
        assert _levels(drifting) == {"critical"}
        (interval,) = held["excluded"]
        assert all(each["baseline"]["end"] <= interval["start"] for each in drifting), "none of the drift is in it"
        assert {each["baseline"]["start"] for each in drifting} == {drifting[0]["baseline"]["start"]}, "it is held"
        incident = await user.incident_of(MODEL)
        assert incident is not None
        assert (incident["incident_id"], incident["state"]) == (opened["incident_id"], "open")

        traffic.drifting = False
        ended = await eventually(lambda: _ended(user), what="the interval to end")
        clean = await eventually(lambda: _evaluations_of(user, ended["revision"], LONG), what=f"{LONG} evaluations")
        assert _levels(clean) == {"ok"}, "no echo of the drift"
        (interval,) = ended["excluded"]
        assert any(each["baseline"]["left_out"] for each in clean)
        after = await user.incident_of(MODEL)
        assert after is not None
        assert (after["incident_id"], after["state"]) == (opened["incident_id"], "resolved")
    finally:
        await traffic.stop()


async def _level(user: User, level: str) -> bool:
    evaluations = (await user.get(f"/v1/models/{MODEL}/evaluations"))["items"]
    return bool(evaluations) and evaluations[0]["level"] == level


async def _normal_time(user: User) -> dict[str, Any]:
    found: dict[str, Any] = (await user.get(f"/v1/models/{MODEL}/monitor"))["normal_time"]
    return found


async def _held(user: User) -> dict[str, Any] | None:
    found = await _normal_time(user)
    return found if found["excluded"] and found["excluded"][-1]["end"] is None else None


async def _ended(user: User) -> dict[str, Any] | None:
    found = await _normal_time(user)
    return found if found["excluded"] and found["excluded"][-1]["end"] is not None else None


async def _evaluations_of(user: User, revision: int, count: int) -> list[dict[str, Any]] | None:
    """The newest evaluations against a revision of normal time, once there are `count`."""
    newest = (await user.get(f"/v1/models/{MODEL}/evaluations", limit=count))["items"]
    found = [each for each in newest if each["normal_time_revision"] >= revision]
    return found if len(found) == count else None


def _levels(evaluations: list[dict[str, Any]]) -> set[str]:
    """Those that say something of the data: a sender that a busy machine holds up for a second leaves a gap."""
    return {each["level"] for each in evaluations} - {"insufficient_data"}
