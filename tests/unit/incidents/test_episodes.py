"""Incidents as bars on one axis of time."""

from __future__ import annotations

from datetime import datetime, timedelta

from sentryml_common.contracts.transition import Severity
from sentryml_incidents.domain.psi_series import Span
from sentryml_incidents.web.view.episodes import NARROWEST, Episode, episodes_chart
from tests.unit.incidents.builders import MONDAY, at

HOUR = Span(MONDAY, at(60), timedelta(0))


def an_episode(start: float, end: float | None) -> Episode:
    ended: datetime | None = None if end is None else at(end)
    return Episode(at(start), ended, Severity.WARN, 0.15)


def places(*found: Episode) -> list[tuple[float, float]]:
    (row,) = episodes_chart([("actually happened", found)], HOUR).rows
    return [(bar.place, bar.width) for bar in row.bars]


def test_incidents_lie_where_they_were() -> None:
    assert places(an_episode(15, 30), an_episode(45, None)) == [(25.0, 25.0), (75.0, 25.0)]


def test_what_reaches_out_is_cut_and_what_is_outside_is_left_out() -> None:
    assert places(an_episode(-30, 15), an_episode(-30, -15)) == [(0.0, 25.0)]


def test_the_shortest_is_still_seen_within_the_picture() -> None:
    assert places(an_episode(0, 0), an_episode(60, None)) == [(0.0, NARROWEST), (100 - NARROWEST, NARROWEST)]


def test_bars_are_reported_in_words() -> None:
    (row,) = episodes_chart([("actually happened", [an_episode(15, None)])], HOUR).rows
    assert row.bars[0].text == "warn from 23 Nov 2026, 09:30:00 UTC, 45 min so far, peak 0.15"


def test_without_time_nothing_breaks() -> None:
    chart = episodes_chart([("actually happened", [])], Span(MONDAY, MONDAY, timedelta(0)))
    assert chart.rows[0].bars == ()
