"""How far a model is from its first comparison, in words and as parts."""

from __future__ import annotations

from datetime import datetime, timedelta

import pytest

from sentryml_common.contracts.evaluation import Evaluation, InsufficientReason, Level, Signal, SignalEvaluation
from sentryml_common.contracts.monitor import Monitor
from sentryml_incidents.web.view.warm_up import warm_up
from tests.unit.incidents.builders import MODEL, MONDAY, an_evaluation, at

HOUR = timedelta(hours=1)


def monitor(**changes: object) -> Monitor:
    settings = {"baseline_seconds": 40 * 3600, "current_seconds": 4 * 3600, "min_samples": 1000}
    return Monitor.model_validate({"model_id": MODEL, "version": 1} | settings | changes)


def blind(reason: InsufficientReason, baseline: int, current: int) -> Evaluation:
    signal = SignalEvaluation(
        signal=Signal.SCORE, level=Level.INSUFFICIENT_DATA, psi=None, baseline_count=baseline, current_count=current,
        noise_floor=None, warn_at=None, critical_at=None, p_value=None, overlap=None, bins=(),
    )  # fmt: skip
    return an_evaluation("insufficient", MONDAY).model_copy(update={"reason": reason, "signals": (signal,)})


def test_time_and_events_are_reported_with_when_it_begins() -> None:
    found = warm_up(monitor(), blind(InsufficientReason.WARMING_UP, 0, 412), MONDAY, MONDAY + 3 * HOUR)
    assert found is not None
    # Half of the baseline is 5 of 10 parts of 4 h, of which the oldest counts from its first event on: 4 h and 16 h.
    assert [(round(each.part, 3), each.text) for each in found.progress] == [
        (0.15, "3 h of 20 h: the current window of 4 h, and before it 16 h of the baseline of 1 d 16 h"),
        (0.0, "0 of 1,000 events in the baseline"),
        (0.412, "412 of 1,000 events in the current window"),
    ]
    assert found.outlook == ("First comparison about 24 Nov 2026, 05:15:00 UTC, if enough events have come by then.")


def test_before_the_first_evaluation_there_is_only_time() -> None:
    found = warm_up(monitor(), None, MONDAY, at(1))
    assert found is not None
    assert len(found.progress) == 1
    assert found.outlook == "First comparison about 24 Nov 2026, 05:15:00 UTC."


def test_longer_windows_warm_up_from_where_events_are_kept() -> None:
    kept = monitor(kept_since=(MONDAY + 10 * HOUR).isoformat())
    found = warm_up(kept, None, MONDAY, MONDAY + 11 * HOUR)
    assert found is not None
    assert found.progress[0].text.startswith("1 h of 20 h")


def test_with_all_the_time_passed_it_is_events_that_are_missing() -> None:
    found = warm_up(monitor(), blind(InsufficientReason.TOO_FEW_SAMPLES, 1500, 999), MONDAY, MONDAY + 50 * HOUR)
    assert found is not None
    assert [each.part for each in found.progress] == [1.0, 1.0, 0.999]
    assert found.outlook.startswith("It is compared as soon as both windows hold enough events.")


def test_when_all_is_there_the_next_evaluation_compares() -> None:
    found = warm_up(monitor(), blind(InsufficientReason.WARMING_UP, 1500, 1000), MONDAY, MONDAY + 25 * HOUR)
    assert found is not None
    assert found.outlook == "First comparison within 5 min."


@pytest.mark.parametrize(
    ("latest", "enabled"),
    [(an_evaluation("ok"), True), (blind(InsufficientReason.NO_DATA, 5, 0), True), (None, False)],
)
def test_what_is_compared_silent_or_off_is_not_warming_up(latest: Evaluation | None, enabled: bool) -> None:
    now: datetime = MONDAY + HOUR
    assert warm_up(monitor(enabled=enabled), latest, MONDAY, now) is None
