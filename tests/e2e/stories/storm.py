"""One fault upstream moves many models at once: an incident each, and few messages."""

from __future__ import annotations

import random
from typing import Any

from sentryml_local.stack import Stack
from tests.e2e.stories.drift_and_recovery import MONITOR
from tests.e2e.user import Flow, User, a_score
from tests.support.eventually import eventually

CHANNEL = "STORM"
MODELS = [f"storm-{number:02d}" for number in range(20)]
PER_SECOND = 40
BEGINNING, END = 4, 3
"""How many messages there are at most."""


async def story(stack: Stack, user: User) -> None:
    await user.add_channel(CHANNEL, "storm-*")
    rng, drifting = random.Random(6), False

    def event(at: float) -> dict[str, Any]:
        score = a_score(rng, drifts=drifting)
        return {"model_id": rng.choice(MODELS), "prediction": "yes", "score": score, "timestamp": at}

    flow = Flow(user, PER_SECOND * len(MODELS), event)
    try:
        for model_id in MODELS:
            await user.watch(model_id, **MONITOR)
        await eventually(lambda: _all_quiet(user), what="quiet evaluations of all models")
        drifting = True
        await eventually(lambda: _all_are(user, "open"), what="incidents of all models")
        await eventually(lambda: _all_delivered(user, "opened"), what="alerts of all models to be delivered")
        begun = await user.messages_on(CHANNEL)
        assert len(begun) <= BEGINNING, [each["text"][:60] for each in begun]
        assert any("models" in each["text"] for each in begun), "they are alerted together"
        drifting = False
        await eventually(lambda: _all_are(user, "resolved"), what="all incidents to resolve")
        await eventually(lambda: _all_delivered(user, "resolved"), what="their ends to be delivered")
    finally:
        await flow.stop()
    messages = await user.messages_on(CHANNEL)
    assert len(messages) <= BEGINNING + END, [each["text"] for each in messages]
    incident = await user.incident_of(MODELS[0])
    assert incident is not None
    page = await user.browser.get(f"/incidents/{incident['incident_number']}")
    assert "Alerted together with" in page.text


async def _all_quiet(user: User) -> bool:
    found = (await user.get("/v1/models", search="storm-", level="ok", limit="100"))["items"]
    return len(found) == len(MODELS)


async def _all_are(user: User, state: str) -> bool:
    found = (await user.get("/v1/incidents", state=state, limit="100"))["items"]
    return {each["model_id"] for each in found} >= set(MODELS)


async def _all_delivered(user: User, kind: str) -> bool:
    """Whether each model's alert of that kind has arrived on the channel, in a message or with others in one."""
    answer = await user.notifier.get("/v1/deliveries", params={"channel": CHANNEL, "limit": 500})
    assert answer.status_code == 200, answer.text
    states = {each["model_id"]: each["state"] for each in answer.json()["items"] if each["kind"] == kind}
    return set(states) == set(MODELS) and set(states.values()) == {"delivered"}
