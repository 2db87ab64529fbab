"""What of SentryML stands still: one fault is one finding, whatever the number of models."""

from __future__ import annotations

from datetime import datetime, timedelta

import pytest

from sentryml_common.contracts.internal.system_state import SystemFault
from sentryml_incidents.domain.system.faults import Progress, find_faults
from sentryml_incidents.domain.system.missed_evaluations import Unevaluated
from tests.unit.incidents.builders import at

ALL_WELL = Unevaluated(500, {})
NOTHING_YET = Progress()
TEN_MINUTES = timedelta(minutes=10)


def faults(
    unevaluated: Unevaluated = ALL_WELL, progress: Progress = NOTHING_YET, oldest: datetime | None = None
) -> dict[str, datetime]:
    found = find_faults(unevaluated, progress, oldest, TEN_MINUTES, at(60))
    return {each.fault: each.since for each in found}


def test_nothing_is_found_where_all_works_or_nothing_has_happened_yet() -> None:
    assert faults() == faults(Unevaluated(0, {})) == {}
    assert faults(progress=Progress(at(60), at(60)), oldest=at(59)) == {}


@pytest.mark.parametrize(("read_until", "stalled"), [(50, False), (49, True)])
def test_input_stalls_where_evaluations_go_on_and_what_has_been_read_does_not(read_until: float, stalled: bool) -> None:
    found = faults(progress=Progress(at(60), at(read_until)))
    assert found == ({SystemFault.INPUT_STALLED: at(read_until)} if stalled else {})


def test_no_combiner_is_one_fault_of_the_input_and_none_of_its_models() -> None:
    (found,) = find_faults(ALL_WELL, Progress(at(60), at(5)), None, TEN_MINUTES, at(60))
    assert found.fault == SystemFault.INPUT_STALLED
    assert found.text.startswith("What is sent is not counted: is a combiner running")


def test_evaluations_stall_where_most_models_miss_theirs() -> None:
    assert faults(Unevaluated(4, {"a": at(1), "b": at(2), "c": at(3)})) == {SystemFault.EVALUATIONS_STALLED: at(3)}
    assert faults(Unevaluated(4, {"a": at(1), "b": at(2)})) == {}


def test_transitions_stall_where_one_waits_for_more_than_two_minutes() -> None:
    assert faults(oldest=at(57)) == {SystemFault.TRANSITIONS_STALLED: at(57)}
    assert faults(oldest=at(58)) == {}
