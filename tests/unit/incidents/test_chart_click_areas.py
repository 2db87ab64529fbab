"""A curve that can be clicked: where its click_areas are, and which evaluation each leads to."""

from __future__ import annotations

from datetime import timedelta

from hypothesis import given
from hypothesis import strategies as st

from sentryml_common.contracts.evaluation import Level, Signal
from sentryml_incidents.domain.psi_series import EvaluationPoint, Span
from sentryml_incidents.web.view.chart_click_areas import MOST_SLICES, click_areas, worst_of
from tests.unit.incidents.builders import MONDAY, at

DAY = Span(MONDAY, MONDAY + timedelta(days=1), timedelta(minutes=5))


def point(minutes: float, psi: float | None, signal: Signal = Signal.SCORE) -> EvaluationPoint:
    return EvaluationPoint(at(minutes), signal, Level.OK, psi)


def test_a_slice_leads_to_the_worst_evaluation_in_it() -> None:
    found = click_areas([point(0, 0.05), point(5, 0.3), point(10, None), point(720, None)], DAY)
    assert [(each.place, each.at, each.text.rpartition(": ")[2]) for each in found] == [
        (0.0, at(5), "PSI 0.300"),
        (50.0, at(720), "too little data"),
    ]


def test_the_worst_signal_counts() -> None:
    (found,) = click_areas([point(0, 0.05), point(0, 0.3, Signal.PREDICTION)], DAY)
    assert found.psi == 0.3


def test_slices_are_no_finer_than_evaluations() -> None:
    hour = Span(MONDAY, at(60), timedelta(minutes=5))
    assert click_areas([point(0, 0.1)], hour)[0].width == round(100 / 12, 2)


def test_the_worst_of_all_is_found_and_nothing_judged_has_none() -> None:
    found = worst_of(click_areas([point(0, 0.05), point(600, 0.3), point(900, 0.1)], DAY))
    assert found is not None
    assert found.at == at(600)
    assert worst_of(click_areas([point(0, None)], DAY)) is None
    assert click_areas([], DAY) == ()


@given(st.lists(st.tuples(st.floats(0, 1440), st.none() | st.floats(0, 10)), max_size=200))
def test_no_slice_leaves_the_picture_or_lies_on_another(found: list[tuple[float, float | None]]) -> None:
    drawn = click_areas([point(minutes, psi) for minutes, psi in found], DAY)
    assert len(drawn) <= MOST_SLICES
    assert all(each.place >= 0 and each.place + each.width <= 100.1 for each in drawn)
    places = [each.place for each in drawn]
    assert places == sorted(set(places))


def test_an_area_names_the_levels_that_were_in_force() -> None:
    judged = EvaluationPoint(at(0), Signal.SCORE, Level.OK, 0.05, warn_at=0.1234, critical_at=0.2)
    assert [each.levels for each in click_areas([judged, point(720, 0.3)], DAY)] == [
        "warning from 0.123, critical from 0.2",
        "",
    ]
