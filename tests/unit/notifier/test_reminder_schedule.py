"""When a reminder is due, and when none is."""

from __future__ import annotations

import itertools
from dataclasses import replace
from datetime import timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sentryml_common.contracts.transition import State
from sentryml_notifier.domain.reminder_schedule import SentAlert, next_long_drift, next_reminder
from tests.unit.notifier.builders import NIGHT

HOUR = timedelta(hours=1)
SENT = SentAlert(NIGHT, State.OPEN, made=0, waiting=False, after=HOUR, times=3)


def test_reminder_is_due_after_its_time_and_not_before() -> None:
    assert next_reminder(SENT, NIGHT + HOUR - timedelta(seconds=1)) is None
    assert next_reminder(SENT, NIGHT + HOUR) == 1
    assert next_reminder(replace(SENT, made=2), NIGHT + HOUR) == 3


@pytest.mark.parametrize(
    "sent",
    [
        replace(SENT, made=3),
        replace(SENT, waiting=True),
        *(replace(SENT, state=state) for state in State if state is not State.OPEN),
        replace(SENT, unseen_at=NIGHT + timedelta(minutes=30)),
    ],
)
def test_no_reminder_is_due(sent: SentAlert) -> None:
    assert next_reminder(sent, NIGHT + HOUR) is None


@given(st.lists(st.timedeltas(timedelta(0), timedelta(hours=3)), max_size=60), st.integers(1, 5))
def test_however_often_it_is_checked_reminders_are_apart_and_at_most_the_set_number(
    pauses: list[timedelta], times: int
) -> None:
    alert, now, sent = replace(SENT, times=times), NIGHT, [NIGHT]
    for pause in pauses:
        now += pause
        number = next_reminder(alert, now)
        if number is not None:
            assert number == len(sent)
            sent.append(now)
            alert = replace(alert, made=number, sent_at=now)
    assert len(sent) <= times + 1
    assert all(later - earlier >= HOUR for earlier, later in itertools.pairwise(sent))


DAY = timedelta(days=1)


@pytest.mark.parametrize(
    ("passed", "reminded", "due"),
    [
        (7 * DAY - timedelta(seconds=1), 0, None),
        (7 * DAY, 0, 7),
        (13 * DAY, 0, 7),
        (13 * DAY, 7, None),
        (14 * DAY, 7, 14),
        (30 * DAY, 0, 28),  # after an outage the newest only
        (30 * DAY, 7, 28),
    ],
)
def test_long_drift_is_reminded_of_each_week(passed: timedelta, reminded: int, due: int | None) -> None:
    assert next_long_drift(NIGHT, reminded, 7, NIGHT + passed) == due


def test_another_setting_reminds_of_no_time_that_has_been_reminded_of() -> None:
    assert next_long_drift(NIGHT, 7, 3, NIGHT + 8 * DAY) is None
    assert next_long_drift(NIGHT, 7, 3, NIGHT + 9 * DAY) == 9
