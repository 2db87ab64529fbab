"""A person's word about what is normal: what it does to the incident and to normal time, and how it is undone."""

from __future__ import annotations

from datetime import datetime, timedelta

import pytest

from sentryml_common.contracts.normal_time import NormalTime
from sentryml_common.contracts.transition import State
from sentryml_lifecycle.decision import Decision, Outcome
from sentryml_lifecycle.events.on_action import Action
from sentryml_lifecycle.snapshot import EvidenceRole
from sentryml_lifecycle.state_machine import Asked, decide
from tests.unit.incidents.builders import ANA, Story, at, said, stands

WEEK = 7 * 24 * 60


def drifting(*grades: str) -> Story:
    story = Story()
    story.sees(*grades or ("critical",))
    return story


def spans(normal: NormalTime) -> tuple[object, object]:
    return normal.since, normal.excluded


def test_accepting_closes_the_incident_and_begins_normal_time_at_its_opening() -> None:
    story = drifting("critical", "critical")
    before = story.snapshot.normal_time
    decision = story.asks(Action.ACCEPT)
    assert (said(decision), stands(story.snapshot)) == ("closed!", "closed/critical")
    assert decision.transitions[0].cause == "new_normal"
    assert decision.evidence == (EvidenceRole.ACCEPTED,)
    normal = story.snapshot.normal_time
    assert spans(normal) == (at(1), ())
    assert normal.revision == before.revision + 1
    assert normal.set_aside is not None
    assert (normal.set_aside.since, normal.set_aside.excluded) == spans(before)
    assert normal.set_aside.until == at(story.minute) + timedelta(days=7)


def asked_since(story: Story, since: datetime) -> Decision:
    return decide(story.snapshot, Asked(Action.ACCEPT, ANA, None, since), at(story.minute + 1))


def test_the_new_normal_may_begin_later_than_the_incident_but_neither_before_nor_in_the_future() -> None:
    story = drifting("critical", "critical", "critical")
    decision = asked_since(story, at(2))
    assert decision.snapshot.normal_time.since == at(2)
    for since in (at(0), at(60)):
        assert asked_since(story, since).outcome is Outcome.NOT_ALLOWED


def test_only_a_live_incident_is_accepted() -> None:
    story = drifting("warn", "ok")
    assert story.asks(Action.ACCEPT).outcome is Outcome.NOT_ALLOWED


@pytest.mark.parametrize("grades", [("critical",), ("critical", "ok")], ids=["while it drifts", "after it resolved"])
def test_what_was_normal_is_excluded_no_more(grades: tuple[str, ...]) -> None:
    story = drifting(*grades)
    decision = story.asks(Action.WAS_NORMAL)
    assert (said(decision), stands(story.snapshot)) == ("closed!", "closed/critical")
    assert decision.transitions[0].cause == "was_normal"
    assert spans(story.snapshot.normal_time) == (None, ())


def test_an_older_interval_stays_excluded() -> None:
    story = drifting("warn", "ok")
    first = story.snapshot.normal_time.excluded
    story.minute += 5 * 24 * 60
    story.sees("warn")
    story.asks(Action.WAS_NORMAL)
    assert story.snapshot.normal_time.excluded == first


def test_drift_that_was_called_normal_stays_quiet_and_normal_for_a_while() -> None:
    story = drifting("warn")
    story.asks(Action.WAS_NORMAL)
    normal = story.snapshot.normal_time
    assert said(story.sees("warn", "warn")) == "applied"
    assert story.snapshot.normal_time == normal
    story.minute += 24 * 60
    assert said(story.sees("warn")) == "opened!"
    assert story.snapshot.normal_time.drift_lasts


def test_what_gets_worse_than_what_was_called_normal_is_drift() -> None:
    story = drifting("warn")
    story.asks(Action.WAS_NORMAL)
    assert said(story.sees("critical")) == "opened!"
    assert story.snapshot.normal_time.drift_lasts


@pytest.mark.parametrize("word", [Action.ACCEPT, Action.WAS_NORMAL])
def test_undoing_brings_back_normal_time_and_opens_the_incident_again(word: Action) -> None:
    story = drifting("critical")
    before = story.snapshot.normal_time
    story.asks(word)
    assert said(story.asks(Action.UNDO)) == "reopened!"
    assert stands(story.snapshot) == "open/critical"
    assert spans(story.snapshot.normal_time) == spans(before)
    assert story.snapshot.normal_time.revision == before.revision + 2
    assert said(story.sees("ok")) == "resolved!", "and goes on from there"


def test_it_can_be_undone_for_seven_days() -> None:
    story = drifting("critical")
    story.asks(Action.ACCEPT)
    story.minute += WEEK - 1
    assert story.asks(Action.UNDO).outcome is Outcome.NOT_ALLOWED


def test_it_can_be_undone_until_drift_begins_again() -> None:
    story = drifting("critical")
    story.asks(Action.ACCEPT)
    first = story.snapshot.incident
    assert first is not None
    story.sees("critical")
    again = story.snapshot.incident
    assert again is not None
    assert again.incident_id != first.incident_id
    assert story.asks(Action.UNDO).outcome is Outcome.NOT_ALLOWED


def test_while_the_monitor_is_off_nothing_is_undone_and_no_incident_is_live() -> None:
    story = drifting("critical")
    story.asks(Action.ACCEPT)
    story.changes_monitor(enabled=False)
    assert story.asks(Action.UNDO).outcome is Outcome.NOT_ALLOWED
    story.changes_monitor(enabled=True)
    assert said(story.asks(Action.UNDO)) == "reopened!"


def test_closing_by_hand_is_nothing_to_undo() -> None:
    story = drifting("warn")
    story.asks(Action.ACKNOWLEDGE)
    story.asks(Action.CLOSE)
    assert story.snapshot.incident is not None
    assert story.snapshot.incident.state is State.CLOSED
    assert story.asks(Action.UNDO).outcome is Outcome.NOT_ALLOWED
