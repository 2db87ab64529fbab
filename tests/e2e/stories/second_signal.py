"""What gets worse in another signal is an alert, though somebody has acknowledged the incident."""

from __future__ import annotations

import random
import time
from typing import Any

from sentryml_local.stack import Stack
from tests.e2e.stories.drift_and_recovery import MONITOR
from tests.e2e.user import Flow, User, a_score, utc_text
from tests.support.eventually import eventually

MODEL, CHANNEL = "two-signals", "TWOSIGNALS"
EVALUATIONS = 6


async def story(stack: Stack, user: User) -> None:
    await user.add_channel(CHANNEL, MODEL)
    rng, drifting = random.Random(5), set[str]()

    def event(at: float) -> dict[str, Any]:
        likely = 0.1 if "prediction" in drifting else 0.9
        prediction = "yes" if rng.random() < likely else "no"
        score = a_score(rng, drifts="score" in drifting)
        return {"model_id": MODEL, "prediction": prediction, "score": score, "timestamp": at}

    flow = Flow(user, 300, event)
    try:
        await user.watch(MODEL, **MONITOR)
        await eventually(lambda: _quiet(user), what="a quiet evaluation")
        drifting.add("score")
        moved = time.time()
        incident = await eventually(lambda: _in_state(user, "critical", "open"), what="a critical incident")
        await eventually(lambda: _all_of_it_seen(user, moved), what="evaluations of nothing but the drift")
        path = f"/v1/incidents/{incident['incident_id']}"
        answer = await user.incidents.post(f"{path}/acknowledge", json={})
        assert answer.status_code == 200, answer.text
        before = len(await user.messages_on(CHANNEL))
        drifting.add("prediction")
        await eventually(lambda: _in_state(user, "critical", "open"), what="the incident to be open again")
        messages = await eventually(lambda: _more_than(user, before), what="a message that it got worse")
    finally:
        await flow.stop()
    timeline = await user.timeline(incident["incident_id"])
    after = timeline[[step["kind"] for step in timeline].index("acknowledged") + 1]
    assert (after["kind"], after["alert"]) == ("worsened", True)
    assert "prediction" in [each["signal"] for each in after["why"]]
    assert "worse" in messages[before]["text"]


async def _quiet(user: User) -> bool:
    evaluations = (await user.get(f"/v1/models/{MODEL}/evaluations"))["items"]
    return bool(evaluations) and evaluations[0]["level"] == "ok"


async def _all_of_it_seen(user: User, since: float) -> bool:
    """Whether by now the score has been alerted of at its highest: later steps are not about it."""
    evaluations = (await user.get(f"/v1/models/{MODEL}/evaluations"))["items"]
    return sum(each["current"]["start"] > utc_text(since) for each in evaluations) >= EVALUATIONS


async def _more_than(user: User, count: int) -> list[dict[str, Any]] | None:
    messages = await user.messages_on(CHANNEL)
    return messages if len(messages) > count else None


async def _in_state(user: User, severity: str, state: str) -> dict[str, Any] | None:
    incident = await user.incident_of(MODEL)
    right = incident is not None and (incident["severity"], incident["state"]) == (severity, state)
    return incident if right else None
