"""Which settings are tried beside those in force, and what is said of them."""

from __future__ import annotations

from sentryml_common.contracts.monitor import DAY, HOUR, MonitorSettings
from sentryml_incidents.domain.advice import candidates
from sentryml_incidents.domain.monitor_rules import all_contradictions


def test_those_in_force_come_first_and_each_other_says_what_it_costs() -> None:
    in_force, *others = candidates(MonitorSettings())
    assert (in_force.changed, in_force.settings) == ({}, MonitorSettings())
    assert [each.changed for each in others] == [
        {"warn": 0.15, "critical": 0.3},
        {"warn": 0.2, "critical": 0.4},
        {"season_seconds": None},
        {"current_seconds": 2.0 * DAY},
        {"baseline_seconds": 14.0 * DAY},
        {"baseline_seconds": 3.5 * DAY},
        {"baseline_seconds": 3.5 * DAY, "current_seconds": 12.0 * HOUR},
    ]
    assert all(each.trade_off for each in others)
    assert "The seasonal check needs a baseline of 7 d" in others[5].trade_off


def test_without_a_season_it_is_one_that_is_tried() -> None:
    found = {str(each.changed): each for each in candidates(MonitorSettings(season_seconds=None))}
    assert found[f"{{'season_seconds': {7.0 * DAY}}}"].trade_off.startswith("A fault that comes back")
    assert not any("seasonal check" in each.trade_off for each in found.values())


def test_settings_that_do_not_go_together_are_not_among_them() -> None:
    narrow = MonitorSettings(baseline_seconds=DAY, current_seconds=DAY, every_seconds=DAY, min_baseline_coverage=1.0)
    found = candidates(narrow)
    assert {"baseline_seconds": DAY / 2} not in [each.changed for each in found]
    assert not any(all_contradictions(each.settings) for each in found[1:])
    assert {"baseline_seconds": 2.0 * DAY} in [each.changed for each in found]
