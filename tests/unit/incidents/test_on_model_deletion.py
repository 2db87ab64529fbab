"""Deleting a model: the incident ends visibly, and only a fresh confirmation of this very state counts."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

import pytest

from sentryml_common.contracts.transition import Cause
from sentryml_lifecycle.decision import Outcome
from sentryml_lifecycle.events.on_action import Action
from sentryml_lifecycle.events.on_model_deletion import make_confirmation, why_not_confirmed
from sentryml_lifecycle.snapshot import Snapshot, deleted_model
from sentryml_lifecycle.state_machine import Evaluated, ModelDeleted, decide
from tests.unit.incidents.builders import ANA, MODEL, MONDAY, Story, an_evaluation, at, quick, said, stands

KEY = bytes(range(32))


def after(story: Story) -> tuple[str, str]:
    decision = decide(story.snapshot, ModelDeleted(ANA), at(60))
    return said(decision), stands(decision.snapshot)


def test_a_live_incident_is_closed_and_alerts() -> None:
    story = Story()
    story.sees("critical")
    decision = decide(story.snapshot, ModelDeleted(ANA), at(60))
    (step,) = decision.transitions
    assert said(decision) == "closed!"
    assert (step.cause, step.actor, step.at) == (Cause.MODEL_DELETED, ANA, at(60))
    assert decision.snapshot.incident is not None
    assert (decision.snapshot.incident.closed_at, decision.snapshot.incident.latched_until) == (at(60), None)


def test_a_resolved_incident_is_closed_quietly_and_a_closed_one_stays() -> None:
    story = Story()
    assert after(story) == ("unchanged", "-")
    story.sees("critical", "ok")
    assert after(story) == ("closed", "closed/critical")
    story.asks(Action.CLOSE)
    assert after(story) == ("unchanged", "closed/critical")


def test_evaluations_of_before_the_deletion_decide_nothing() -> None:
    gone = deleted_model(MODEL, quick())
    again = Snapshot(model_id=MODEL, monitor_version=6, settings=quick(), first_version=5)
    for snapshot, version in ((gone, 3), (again, 3), (again, 4)):
        decision = decide(snapshot, Evaluated(an_evaluation("critical", at(1), version=version)), at(1))
        assert (decision.outcome, decision.snapshot) == (Outcome.MODEL_DELETED, snapshot)
    assert said(decide(again, Evaluated(an_evaluation("critical", at(1), version=6)), at(1))) == "opened!"


class TestConfirmation:
    """Two requests, so that nobody loses a model by a slip."""

    def test_it_holds_for_ten_minutes(self) -> None:
        snapshot = Story().snapshot
        given = make_confirmation(KEY, snapshot, MONDAY)
        assert why_not_confirmed(KEY, snapshot, given, MONDAY + timedelta(minutes=9, seconds=59)) is None
        late = why_not_confirmed(KEY, snapshot, given, MONDAY + timedelta(minutes=10))
        assert late == "the confirmation is older than 10 minutes"

    def test_it_is_void_when_anything_has_happened(self) -> None:
        story = Story()
        given = make_confirmation(KEY, story.snapshot, MONDAY)
        for other in (
            replace(story.snapshot, model_id="other"),
            replace(story.snapshot, monitor_version=2),
            story.sees("critical").snapshot,
        ):
            assert "has changed since" in (why_not_confirmed(KEY, other, given, MONDAY) or "")
        live = make_confirmation(KEY, story.snapshot, MONDAY)
        assert why_not_confirmed(KEY, story.snapshot, live, MONDAY) is None
        assert why_not_confirmed(KEY, story.asks(Action.NOTE, note="x").snapshot, live, MONDAY) is not None

    @pytest.mark.parametrize("given", ["", "yes", "-", "9", "9999999999-", "9999999999-é", "x-y", "1" * 50, "²-a"])
    def test_what_is_none_is_refused(self, given: str) -> None:
        assert why_not_confirmed(KEY, Story().snapshot, given, MONDAY) is not None

    def test_its_expiry_cannot_be_moved(self) -> None:
        snapshot = Story().snapshot
        expires, _, signature = make_confirmation(KEY, snapshot, MONDAY).partition("-")
        moved = f"{int(expires) + 3600}-{signature}"
        assert why_not_confirmed(KEY, snapshot, moved, MONDAY) is not None
