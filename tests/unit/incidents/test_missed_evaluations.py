"""When evaluations of a model are missing, and when those of most models are."""

from __future__ import annotations

from datetime import datetime, timedelta

import pytest

from sentryml_incidents.domain.system.missed_evaluations import Schedule, Unevaluated, not_evaluated_since
from tests.unit.incidents.builders import at

BEFORE, START = at(-10_000), at(0)


def every(
    seconds: float, evaluated_at: datetime | None = START, in_force_since: datetime = BEFORE, *, enabled: bool = True
) -> Schedule:
    return Schedule(evaluated_at, timedelta(seconds=seconds), in_force_since, enabled)


@pytest.mark.parametrize(("seconds", "late"), [(300, 990), (10, 70), (1, 34), (3600, 10_890)])
def test_three_evaluations_have_to_be_missing(seconds: float, late: float) -> None:
    found = [not_evaluated_since(every(seconds), at(0) + timedelta(seconds=late + more)) for more in (0, 1)]
    assert found == [None, at(0)]


def test_nothing_is_missing_of_a_monitor_that_is_off_or_of_a_model_that_was_never_evaluated() -> None:
    assert not_evaluated_since(every(300, enabled=False), at(1000)) is None
    assert not_evaluated_since(every(300, None), at(1000)) is None


def test_a_changed_monitor_has_time_for_three_evaluations() -> None:
    """Switched on again after a week, or evaluated each minute instead of once a day."""
    changed = every(60, in_force_since=at(7 * 24 * 60))
    assert not_evaluated_since(changed, at(7 * 24 * 60 + 3)) is None
    assert not_evaluated_since(changed, at(7 * 24 * 60 + 5)) == at(0)


@pytest.mark.parametrize(
    ("expected", "missing", "stopped", "why"),
    [
        (1, 1, True, "No model is evaluated: is a drift processor running"),
        (500, 500, True, "No model is evaluated"),
        (500, 251, True, "251 of 500 models are not evaluated: is a drift processor running"),
        (500, 250, False, "250 of 500 models are not evaluated: a drift processor may have lost its part"),
        (500, 1, False, "1 of 500 models is not evaluated: a drift processor"),
    ],
)
def test_evaluations_have_stopped_where_most_are_missing(expected: int, missing: int, stopped: bool, why: str) -> None:
    found = Unevaluated(expected, {f"model-{number}": at(-number) for number in range(missing)})
    assert found.stopped_at == (at(0) if stopped else None)
    assert found.why.startswith(why)


def test_nothing_has_stopped_without_models() -> None:
    assert Unevaluated(0, {}).stopped_at is None
