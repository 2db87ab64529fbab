"""The weekly summary: when it is due, and what it says, as golden files to be read."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sentryml_common.contracts.transition import Severity
from sentryml_notifier.channels.plain_text import as_text
from sentryml_notifier.domain.holding.schedule import Weekly
from sentryml_notifier.domain.holding.weekly import WeeklyReport, compose_weekly, concerns
from sentryml_notifier.domain.holding.written import read_weekly
from sentryml_notifier.domain.message_input import Story
from sentryml_notifier.domain.routing import Route
from tests.unit.notifier.builders import (
    IDS,
    NIGHT,
    OPEN_WARN,
    SEEN_WARN,
    acknowledged,
    escalated,
    opened_critical,
    opened_warn,
    reopened,
    resolved,
    worsened,
)
from tests.unit.notifier.test_messages import compare

ENDS_AT = datetime(2026, 11, 29, 8, tzinfo=UTC)


def a_story(model_id: str, incident: int, *steps: object) -> Story:
    history = [make(model_id=model_id, incident=incident) for make in steps]  # type: ignore[operator]
    return Story(history, history[-1:])


def a_week() -> list[Story]:
    noisy = a_story("flappy", 4, opened_warn, worsened, lambda **who: escalated(3, **who),
                    lambda **who: resolved(4, **who), lambda **who: reopened(5, **who),
                    lambda **who: resolved(6, minutes=400, from_=OPEN_WARN, **who))  # fmt: skip
    return [
        a_story("quiet", 1, opened_warn, acknowledged),
        a_story("fraud", 2, opened_critical),
        a_story("gone", 3, lambda **who: opened_warn(cause="no_predictions", why=(), **who)),
        noisy,
    ]


def text_of(stories: list[Story]) -> str:
    message = compose_weekly(WeeklyReport(ENDS_AT, stories))
    return f"{message.title}\n\n{as_text(message)}"


@pytest.mark.parametrize(("name", "stories"), [("weekly", a_week()), ("weekly-nothing", [])])
def test_weekly_summary_reads_well(name: str, stories: list[Story]) -> None:
    compare(f"{name}.txt", text_of(stories))


def test_a_noisy_monitor_is_named_with_a_link_to_what_would_be_quieter() -> None:
    text = text_of(a_week())
    assert "flappy: 4 alerts. What would be quieter? (https://sentryml.example/models/flappy/monitor#advice)" in text
    assert "fraud: 1" not in text


def test_a_route_summarises_what_it_is_for() -> None:
    warning, critical = a_week()[:2]
    route = Route(IDS, IDS, ("fraud*",))
    assert [concerns(each, route) for each in (warning, critical)] == [False, True]
    severe = Route(IDS, IDS, least_severity=Severity.CRITICAL)
    assert [concerns(each, severe) for each in (warning, critical)] == [False, True]
    assert warning.last.to == SEEN_WARN


@pytest.mark.parametrize(
    ("at", "newest"),
    [
        ("2026-11-30T07:59", "Mon 23 09:00"),
        ("2026-11-30T08:00", "Mon 30 09:00"),
        ("2026-11-29T12:00", "Mon 23 09:00"),
        ("2026-03-30T07:00", "Mon 30 09:00"),  # the day after clocks went forward
    ],
)
def test_the_newest_moment_of_the_week(at: str, newest: str) -> None:
    found = Weekly(0, 540).newest("Europe/Berlin", datetime.fromisoformat(at).replace(tzinfo=UTC))
    assert found.astimezone(ZoneInfo("Europe/Berlin")).strftime("%a %d %H:%M") == newest


@given(
    st.integers(0, 6),
    st.integers(0, 1439),
    st.sampled_from(["UTC", "Europe/Berlin", "Australia/Lord_Howe"]),
    st.timedeltas(timedelta(0), timedelta(days=366)),
)
def test_there_is_one_each_week(day: int, minute: int, zone: str, later: timedelta) -> None:
    weekly, at = Weekly(day, minute), NIGHT + later
    newest = weekly.newest(zone, at)
    assert timedelta(0) <= at - newest <= timedelta(days=7, hours=2)
    assert weekly.newest(zone, newest) == newest
    before = weekly.newest(zone, newest - timedelta(seconds=1))
    assert timedelta(days=7) - timedelta(hours=2) <= newest - before <= timedelta(days=7, hours=2)


@pytest.mark.parametrize("text", ["", "monday", "mon", "xyz 09:00", "mon 24:00", "mon 25:00", "mon-fri 09:00"])
def test_what_is_no_day_and_time_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match=r"mon 09:00|no time|next day"):
        read_weekly(text)
