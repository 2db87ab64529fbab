"""A weekend like the last one is no drift; the data of a weekend on a weekday are."""

from __future__ import annotations

from typing import Any

from sentryml_local.stack import Stack
from tests.e2e.user import Traffic, User
from tests.support.eventually import eventually

MODEL = "weekly"
WEEK, WEEKEND = 10, 3
MONITOR = {
    "baseline_seconds": 2 * WEEK,
    "current_seconds": 2,
    "every_seconds": 1,
    "season_seconds": WEEK,
    "min_baseline_coverage": 1,
    "confirm_warn": 4,
    "confirm_critical": 4,
}
"""What a busy machine delivers late is missing from two or three windows."""
EVALUATIONS = 2 * WEEK
"""One a second: two weekends are among them."""


def is_weekend(at: float) -> bool:
    """The last seconds of each week of the epoch."""
    return at % WEEK >= WEEK - WEEKEND


async def story(stack: Stack, user: User) -> None:
    traffic = Traffic(user, MODEL, seed=13, weekend=is_weekend)
    try:
        await user.watch(MODEL, **MONITOR)
        usual = await eventually(lambda: _judged(user), what=f"{EVALUATIONS} evaluations")
        assert await user.incident_of(MODEL) is None
        scores = [_score(each) for each in usual]
        explained = [each for each in scores if each["level"] == "ok" and each["psi"] >= each["critical_at"]]
        assert explained, "against the weeks before alone, a weekend is critical"
        assert all(each["season"]["psi"] < each["warn_at"] for each in explained)

        traffic.drifting = True
        incident = await eventually(lambda: user.incident_of(MODEL), what="an incident")
        assert incident["state"] == "open"
    finally:
        await traffic.stop()


async def _judged(user: User) -> list[dict[str, Any]] | None:
    """The newest evaluations that had enough data, once there are enough of them."""
    newest = (await user.get(f"/v1/models/{MODEL}/evaluations", limit=100))["items"]
    found = [each for each in newest if each["level"] != "insufficient_data"]
    return found if len(found) >= EVALUATIONS else None


def _score(evaluation: dict[str, Any]) -> dict[str, Any]:
    return next(each for each in evaluation["signals"] if each["signal"] == "score")
