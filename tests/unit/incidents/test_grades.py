"""Grades at their edges: at a threshold one thing is true, never two."""

from __future__ import annotations

import pytest

from sentryml_common.contracts.evaluation import Level, Signal
from sentryml_common.contracts.monitor import MonitorSettings
from sentryml_lifecycle.grades import Grade, grade_of, psi_of
from tests.unit.incidents.builders import a_signal, an_evaluation


@pytest.mark.parametrize(
    ("psi", "grade"), [(0.0, Grade.OK), (0.0799, Grade.OK), (0.0801, Grade.HOLD), (0.0999, Grade.HOLD)]
)
def test_clean_is_below_a_part_of_the_warning_threshold(psi: float, grade: Grade) -> None:
    assert grade_of(an_evaluation("ok", psi=psi), MonitorSettings()) is grade


def test_the_threshold_in_force_counts_not_the_monitors_own() -> None:
    """Small samples raise it: PSI 0.15 is noise where warn_at is 0.3."""
    noisy = a_signal("ok", psi=0.15).model_copy(update={"warn_at": 0.3})
    evaluation = an_evaluation("ok").model_copy(update={"signals": (noisy,)})
    assert grade_of(evaluation, MonitorSettings()) is Grade.OK


def test_one_signal_on_hold_is_enough() -> None:
    signals = (a_signal("ok"), a_signal("hold", signal=Signal.PREDICTION))
    assert grade_of(an_evaluation("ok").model_copy(update={"signals": signals}), MonitorSettings()) is Grade.HOLD


@pytest.mark.parametrize("level", [Level.WARN, Level.CRITICAL])
def test_the_level_of_the_evaluation_is_taken_as_it_is(level: Level) -> None:
    assert grade_of(an_evaluation(level.value), MonitorSettings()) == level.value


def test_missing_data_are_neither_clean_nor_drifting() -> None:
    evaluation = an_evaluation("insufficient")
    assert grade_of(evaluation, MonitorSettings()) is Grade.INSUFFICIENT
    assert psi_of(evaluation) is None
