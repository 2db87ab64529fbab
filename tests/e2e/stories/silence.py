"""A model that falls silent is an incident, and Slack says since when; it ends when predictions come again."""

from __future__ import annotations

import random
import time
from typing import Any

from sentryml_local.stack import Stack
from tests.e2e.user import Flow, User, utc_text
from tests.support.eventually import eventually

MODEL, CHANNEL = "silent", "SILENT"
DAY, HOUR = 24 * 60, 60
"""In seconds: panes of one second instead of one minute are time-lapse by 60. A pace is known after a day around the
clock, of which an hour has come in live; old panes are an hour long."""
MONITOR = {"baseline_seconds": DAY + 3 * HOUR, "current_seconds": 10, "every_seconds": 1, "resolve_after_seconds": 1}


async def story(stack: Stack, user: User) -> None:
    await user.add_channel(CHANNEL, MODEL)
    now = time.time()
    await user.send([_event(now - ago) for ago in range(DAY + 3 * HOUR, 0, -1)])
    began = time.time()
    flow = Flow(user, 5, _event)
    try:
        await user.watch(MODEL, **MONITOR)
        await eventually(lambda: _evaluated_after(user, began + HOUR + 5), what="a pace")
        assert await user.incident_of(MODEL) is None
    finally:
        await flow.stop()

    silent = await eventually(lambda: user.incident_of(MODEL), what="an incident")
    assert (silent["state"], silent["severity"]) == ("open", "warn")
    (opened,) = await user.timeline(silent["incident_id"])
    assert f"No predictions have come from {MODEL} since" in str(opened["text"])
    message = (await eventually(lambda: user.messages_on(CHANNEL), what="a message"))[0]
    assert f"No predictions have come from {MODEL} since" in str(message)

    flow = Flow(user, 5, _event)
    try:
        await eventually(lambda: _resolved(user), what="the incident to resolve")
        end = await eventually(lambda: _second_message(user), what="a message of its end")
    finally:
        await flow.stop()
    assert "Resolved" in str(end)


def _event(at: float) -> dict[str, Any]:
    return {"model_id": MODEL, "prediction": "yes", "score": random.random(), "timestamp": at}


async def _evaluated_after(user: User, time_of_it: float) -> bool:
    """Whether a window has ended after an epoch second."""
    evaluations = (await user.get(f"/v1/models/{MODEL}/evaluations"))["items"]
    return bool(evaluations) and evaluations[0]["evaluated_at"] > utc_text(time_of_it)


async def _resolved(user: User) -> bool:
    incident = await user.incident_of(MODEL)
    return incident is not None and incident["state"] == "resolved"


async def _second_message(user: User) -> dict[str, Any] | None:
    messages = await user.messages_on(CHANNEL)
    return messages[1] if len(messages) > 1 else None
