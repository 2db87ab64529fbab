"""A new setting of a monitor has to be sorted in: what a change of it does to counts and alerts, and whether a stored
PSI answers for another value of it. Without a word it would change nothing, and a preview would call the old PSI
exact."""

from __future__ import annotations

from sentryml_common.contracts.monitor import MonitorValues
from sentryml_lifecycle.events.on_monitor_change import BASELINE, THRESHOLDS
from sentryml_lifecycle.regrading import CANNOT

SETTINGS = set(MonitorValues.model_fields)
SWITCHES = {"enabled", "silence"}
TIMES = {"every_seconds", "resolve_after_seconds", "reopen_seconds", "latch_seconds", "close_after_seconds"}
"""They neither reset what was counted in a row nor alert."""
SUFFICIENCY = {"min_samples", "min_baseline_coverage"}
"""Whether there was enough is decided again from the stored counts."""
LEFT_OUT = {"evaluate_segments"}
"""What is not replayed is said (`segments_left_out`)."""


def test_a_change_of_every_setting_has_a_consequence() -> None:
    kinds = (BASELINE, THRESHOLDS, TIMES, SWITCHES)
    assert set().union(*kinds) == SETTINGS
    assert sum(map(len, kinds)) == len(SETTINGS), "each is of one kind"


def test_stored_psi_answers_for_every_other_setting() -> None:
    answered = THRESHOLDS - set(CANNOT) | (TIMES - set(CANNOT)) | SWITCHES | SUFFICIENCY | LEFT_OUT
    assert answered | set(CANNOT) == SETTINGS
    assert not answered & set(CANNOT)
