"""What gets worse in another signal is an alert, though somebody has acknowledged the incident."""

from __future__ import annotations

from itertools import count
from typing import Any

from sentryml_local.stack import Stack
from tests.e2e.stories.drift_and_recovery import MONITOR
from tests.e2e.user import Flow, User
from tests.support.eventually import eventually

MODEL, CHANNEL = "two-signals", "TWOSIGNALS"
GOLDEN = 0.6180339887498949


async def story(stack: Stack, user: User) -> None:
    await user.add_channel(CHANNEL, MODEL)
    numbers, drifting = count(), set[str]()

    def event(at: float) -> dict[str, Any]:
        """The score's PSI rises to 0.35 without noise, above critical (0.25) and below twice that: once it is critical,
        no later alert can be about the score."""
        number = next(numbers)
        prediction = "yes" if (number % 10 == 0) is ("prediction" in drifting) else "no"
        evenly = number * GOLDEN % 1
        score = evenly**0.55 if "score" in drifting else evenly
        return {"model_id": MODEL, "prediction": prediction, "score": score, "timestamp": at}

    flow = Flow(user, 300, event)
    try:
        await user.watch(MODEL, **MONITOR)
        await eventually(lambda: _quiet(user), what="a quiet evaluation")
        drifting.add("score")
        incident = await eventually(lambda: _in_state(user, "critical", "open"), what="a critical incident")
        path = f"/v1/incidents/{incident['incident_id']}"
        answer = await user.incidents.post(f"{path}/acknowledge", json={})
        assert answer.status_code == 200, answer.text
        drifting.add("prediction")
        await eventually(lambda: _in_state(user, "critical", "open"), what="the incident to be open again")
        await eventually(lambda: _got_worse(user), what="a message that it got worse")
    finally:
        await flow.stop()
    timeline = await user.timeline(incident["incident_id"])
    after = timeline[[step["kind"] for step in timeline].index("acknowledged") + 1]
    assert (after["kind"], after["alert"]) == ("worsened", True)
    assert "prediction" in [each["signal"] for each in after["why"]]


async def _quiet(user: User) -> bool:
    evaluations = (await user.get(f"/v1/models/{MODEL}/evaluations"))["items"]
    return bool(evaluations) and evaluations[0]["level"] == "ok"


async def _got_worse(user: User) -> bool:
    return any("worse" in message["text"] for message in await user.messages_on(CHANNEL))


async def _in_state(user: User, severity: str, state: str) -> dict[str, Any] | None:
    incident = await user.incident_of(MODEL)
    right = incident is not None and (incident["severity"], incident["state"]) == (severity, state)
    return incident if right else None
