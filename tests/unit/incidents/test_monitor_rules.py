"""What a person may not ask of a monitor: each contradiction with what to change, all of them at once."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest

from sentryml_common.contracts.monitor import DAY, HOUR, Monitor, MonitorSettings, MonitorValues
from sentryml_incidents.domain.monitor_rules import all_contradictions
from sentryml_lifecycle.events.on_monitor_change import kept_since
from tests.unit.incidents.builders import MODEL, MONDAY, at


def test_the_defaults_contradict_nothing() -> None:
    assert all_contradictions(MonitorValues()) == ()


@pytest.mark.parametrize(
    ("changes", "fields", "to_do"),
    [
        ({"warn": 0.3}, ("warn", "critical"), "lower warn or raise critical"),
        ({"current_seconds": 8 * DAY}, ("current_seconds", "baseline_seconds"), "shorten the current window"),
        ({"every_seconds": DAY, "current_seconds": HOUR}, ("every_seconds", "current_seconds"), "evaluate more often"),
        ({"signals": ("score", "score")}, ("signals",), "name each once"),
        ({"baseline_seconds": 366 * DAY}, ("baseline_seconds", "current_seconds"), "shorten one of the windows"),
        ({"min_samples": 5}, ("min_samples", "bins"), "raise min_samples"),
        ({"min_baseline_coverage": 1e-6}, ("min_baseline_coverage", "baseline_seconds"), "raise it, or set it to 0"),
        ({"confirm_warn": 9, "every_seconds": DAY}, ("confirm_warn", "every_seconds"), "lower confirm_warn"),
        ({"confirm_critical": 9, "every_seconds": DAY}, ("confirm_critical", "every_seconds"), "confirm_critical"),
        ({"resolve_after_seconds": 9 * DAY}, ("resolve_after_seconds", "baseline_seconds"), "shorten it, or set it to"),
        ({"reopen_seconds": 8 * DAY}, ("reopen_seconds", "close_after_seconds"), "shorten the first or lengthen"),
    ],
)
def test_a_contradiction_names_its_settings_and_says_what_to_change(
    changes: dict[str, Any], fields: tuple[str, ...], to_do: str
) -> None:
    (found,) = all_contradictions(MonitorValues(**changes))
    assert found.fields == fields
    assert to_do in found.reason


def test_segments_need_a_current_window_of_a_coarse_pane() -> None:
    values = MonitorValues(current_seconds=HOUR / 2, evaluate_segments=True)
    (found,) = all_contradictions(values, coarse_seconds=float(HOUR))
    assert found.fields == ("evaluate_segments", "current_seconds")
    assert "shorter than 3600 s" in found.reason
    assert "lengthen the current window, or switch evaluate_segments off" in found.reason
    assert all_contradictions(values, coarse_seconds=HOUR / 2) == all_contradictions(values) == ()
    assert all_contradictions(MonitorValues(current_seconds=HOUR / 2), coarse_seconds=float(HOUR)) == ()


def test_all_contradictions_come_at_once() -> None:
    values = MonitorValues(warn=0.3, min_samples=5, reopen_seconds=8 * DAY, signals=("score", "score"))
    found = [each.fields[0] for each in all_contradictions(values)]
    assert found == ["warn", "signals", "min_samples", "reopen_seconds"]


def test_what_was_published_under_milder_rules_still_decodes() -> None:
    assert Monitor(model_id=MODEL, version=1, min_samples=5, reopen_seconds=8 * DAY).min_samples == 5


def a_monitor(days: int, **changes: Any) -> Monitor:
    """A monitor whose windows reach back some days."""
    return Monitor(model_id=MODEL, version=1, baseline_seconds=(days - 1) * DAY, current_seconds=DAY, **changes)


def reaching(days: int) -> MonitorSettings:
    return MonitorSettings(baseline_seconds=(days - 1) * DAY, current_seconds=DAY)


@pytest.mark.parametrize(
    ("before", "after", "kept"),
    [
        (a_monitor(8), reaching(8), None),
        (a_monitor(8), reaching(4), None),
        (a_monitor(8), reaching(29), MONDAY - timedelta(days=8)),
        (a_monitor(8, kept_since=at(-60)), reaching(29), at(-60)),
        (a_monitor(8, kept_since=at(-60)), reaching(4), at(-60)),
        (a_monitor(8, kept_since=MONDAY - timedelta(days=20)), reaching(29), MONDAY - timedelta(days=8)),
    ],
)
def test_longer_windows_find_only_what_the_shorter_ones_kept(
    before: Monitor, after: MonitorSettings, kept: Any
) -> None:
    assert kept_since(before, after, MONDAY) == kept
