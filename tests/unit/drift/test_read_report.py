"""How far the log has been read, and what came in when: from the combiner's reports to the processor's view."""

from __future__ import annotations

from random import Random

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sentryml_common.errors import UndecodableMessage
from sentryml_drift.combiner.read_times import ReadTimes
from sentryml_drift.domain.arrivals import PANES_PER_DAY, by_day, panes_in, with_arrivals
from sentryml_drift.domain.partials import unpack_record
from sentryml_drift.domain.read_report import HEADER, ReadReport, ReadUntil, report_in

REPORTS = st.builds(
    ReadReport,
    epoch=st.integers(1, 2),
    partitions=st.just(3),
    read_until=st.dictionaries(st.integers(0, 2), st.floats(1, 100), max_size=3),
)


def test_a_report_is_read_back_and_its_record_holds_nothing_else() -> None:
    report = ReadReport(2, 4, {0: 17.5, 3: 18.0}, {"fraud": (28_000_001, 28_000_002)})
    assert report_in(((HEADER, report.pack()),)) == report
    assert report_in((("other", b"1"),)) is None
    assert unpack_record(b"\x01") == []


@pytest.mark.parametrize("packed", [b"", b"{}", b"[1,2]", b"[1,2,[[0]],{}]", b'[1,2,[],{"a":1}]', b"[1,2,[],[]]"])
def test_what_is_no_report_is_refused(packed: bytes) -> None:
    with pytest.raises(UndecodableMessage):
        report_in(((HEADER, packed),))


def test_the_log_is_read_up_to_the_time_of_its_slowest_partition_and_to_none_before_all_are_known() -> None:
    known = ReadUntil()
    assert known.time is None
    known = known.taking_in(ReadReport(1, 2, {0: 50.0}))
    assert known.time is None
    known = known.taking_in(ReadReport(1, 2, {1: 40.0}))
    assert known.time == 40.0
    assert known.taking_in(ReadReport(1, 2, {1: 30.0})).time == 40.0, "a late report takes nothing back"
    assert known.taking_in(ReadReport(1, 3, {1: 60.0})).time is None, "a partition more"
    assert known.taking_in(ReadReport(2, 2, {0: 1.0})).time is None, "another incarnation of the topic"
    assert known.taking_in(ReadReport(0, 2, {0: 99.0, 1: 99.0})) == known


@given(st.lists(REPORTS, max_size=8), st.randoms(use_true_random=False))
def test_reports_lead_to_the_same_in_any_order_and_however_often_they_come(
    reports: list[ReadReport], random: Random
) -> None:
    def after(some: list[ReadReport]) -> ReadUntil:
        known = ReadUntil()
        for report in some:
            known = known.taking_in(report)
        return known

    again = [*reports, *reports]
    random.shuffle(again)
    assert after(again).time == after(reports).time


def test_a_partition_is_read_up_to_when_its_end_was_asked_for_once_that_is_reached() -> None:
    marks = ReadTimes()
    assert marks.read({0: 10}) == {}
    marks.asked(100.0, {0: 12, 1: 5})
    marks.asked(105.0, {0: 20, 1: 5})
    assert marks.read({0: 11, 1: 5}) == {1: 105.0}, "one lags, the other has nothing new"
    assert marks.read({0: 12, 1: 5}) == {0: 100.0, 1: 105.0}
    assert marks.read({0: 19}) == {0: 100.0}, "and the other has gone to another worker"
    assert marks.read({0: 20}) == {0: 105.0}


@given(st.lists(st.integers(20_000 * PANES_PER_DAY - 50, 20_002 * PANES_PER_DAY), max_size=60), st.data())
def test_arrivals_are_a_set_of_fine_panes_in_whatever_parts_they_come(panes: list[int], data: st.DataObject) -> None:
    days: dict[int, bytes] = {}
    cut = data.draw(st.integers(0, len(panes)))
    for part in (panes[cut:], panes[:cut], panes):
        for day, of_day in by_day(part).items():
            known = days.get(day)
            days[day] = with_arrivals(known, of_day)
            assert with_arrivals(days[day], of_day) is days[day], "nothing to be written again"
    assert panes_in(dict(sorted(days.items()))).tolist() == sorted(set(panes))
    assert panes_in({}).dtype == np.int64
