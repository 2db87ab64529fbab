"""A monitor's settings: contradictions are refused with what to change; derived times follow the design."""

from __future__ import annotations

from typing import Any

import pytest
from pydantic import ValidationError

from sentryml_common.contracts.evaluation import Signal
from sentryml_common.contracts.monitor import DAY, HOUR, MINUTE, Monitor, MonitorSettings


def refusal(**changes: Any) -> str:
    with pytest.raises(ValidationError) as refused:
        MonitorSettings(**changes)
    return str(refused.value)


def test_the_defaults_are_for_real_days() -> None:
    monitor = Monitor(model_id="flights-delay", version=1)
    assert monitor.enabled
    assert monitor.signals == (Signal.SCORE, Signal.PREDICTION)
    assert (monitor.baseline_seconds, monitor.current_seconds, monitor.every_seconds) == (7 * DAY, DAY, 5 * MINUTE)
    assert (monitor.warn, monitor.critical, monitor.bins) == (0.1, 0.2, 10)


@pytest.mark.parametrize("critical", [0.3, 0.25])
def test_warn_has_to_be_below_critical(critical: float) -> None:
    found = refusal(warn=0.3, critical=critical)
    assert f"warn (0.3) must be below critical ({critical:g}): lower warn or raise critical" in found


def test_the_current_window_has_to_fit_into_the_baseline() -> None:
    found = refusal(baseline_seconds=HOUR, current_seconds=2 * HOUR)
    assert "current_seconds (7200) must not exceed baseline_seconds (3600)" in found
    assert "shorten the current window or lengthen the baseline" in found
    assert MonitorSettings(baseline_seconds=HOUR, current_seconds=HOUR).current_seconds == HOUR


def test_evaluations_have_to_cover_every_event() -> None:
    found = refusal(current_seconds=MINUTE, every_seconds=2 * MINUTE)
    assert "every_seconds (120) must not exceed current_seconds (60)" in found
    assert "events between two evaluations would never be compared" in found


def test_a_signal_is_named_once() -> None:
    assert "signals names one signal twice: name each once" in refusal(signals=("score", "score"))


@pytest.mark.parametrize(
    "changes",
    [
        {"warn": 0.0},
        {"warn": float("nan")},
        {"critical": float("inf")},
        {"bins": 1},
        {"bins": 101},
        {"baseline_seconds": 367 * DAY},
        {"every_seconds": 0.5},
        {"min_samples": 0},
        {"confirm_warn": 0},
        {"resolve_below": 1.1},
        {"latch_seconds": -1},
        {"signals": ()},
        {"signals": ("features",)},
    ],
    ids=str,
)
def test_values_out_of_range_are_refused_by_name(changes: dict[str, Any]) -> None:
    [field] = changes
    assert field in refusal(**changes)


def test_samples_needed_follow_the_bins_unless_they_are_set() -> None:
    assert MonitorSettings().samples_needed == 50
    assert MonitorSettings(bins=20).samples_needed == 100
    assert MonitorSettings(bins=20, min_samples=7).samples_needed == 7


@pytest.mark.parametrize(
    ("current", "dwell", "reopen"),
    [
        (DAY, 0.1 * DAY, 0.25 * DAY),
        (HOUR, 10 * MINUTE, HOUR),
        (4 * HOUR, 0.4 * HOUR, HOUR),
        (30 * DAY, 3 * DAY, 7.5 * DAY),
    ],
)
def test_derived_times_are_a_part_of_the_window_but_never_too_short(
    current: float, dwell: float, reopen: float
) -> None:
    monitor = MonitorSettings(baseline_seconds=90 * DAY, current_seconds=current)
    assert monitor.resolve_dwell_seconds == pytest.approx(dwell)
    assert monitor.reopen_window_seconds == pytest.approx(reopen)


def test_derived_times_can_be_set_even_to_nothing() -> None:
    monitor = MonitorSettings(resolve_after_seconds=0, reopen_seconds=0)
    assert (monitor.resolve_dwell_seconds, monitor.reopen_window_seconds) == (0, 0)
