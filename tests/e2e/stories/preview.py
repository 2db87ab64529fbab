"""The whole stack lets its services ask each other: a preview comes from panes, and the secret is in no log."""

from __future__ import annotations

from sentryml_local.stack import Stack
from tests.e2e.stories.drift_and_recovery import MONITOR
from tests.e2e.user import Traffic, User
from tests.support.eventually import eventually

MODEL = "previewed"


async def story(stack: Stack, user: User) -> None:
    traffic = Traffic(user, MODEL, seed=3)

    async def evaluated() -> bool:
        evaluations = (await user.get(f"/v1/models/{MODEL}/evaluations"))["items"]
        return bool(evaluations) and evaluations[0]["level"] == "ok"

    try:
        await user.watch(MODEL, **MONITOR)
        await eventually(evaluated, what="an evaluation that could see")
        answer = await user.incidents.post(f"/v1/models/{MODEL}/monitor:preview", json={"bins": 5})
    finally:
        await traffic.stop()
    found = answer.json()
    assert found["recomputed"] > 0, found
    assert found["recomputed_from"] is not None
    secret = stack.state.internal_secret
    assert len(secret) >= 32
    logs = list((stack.folder / "logs").glob("*.log"))
    assert len(logs) > 5
    assert [log.name for log in logs if secret in log.read_text(errors="replace")] == []
