"""Slow drift: what comparisons with the reference do to incidents, and what they leave alone."""

from __future__ import annotations

import pytest

from sentryml_common.contracts.normal_time import NormalTime
from sentryml_lifecycle.events.on_action import Action
from sentryml_lifecycle.snapshot import SlowCounts
from sentryml_lifecycle.text.what_next import what_next
from sentryml_lifecycle.text.wording import headline
from tests.unit.incidents.builders import REFERENCE, an_evaluation, at, proposing, said, slowly, stands, with_reference


def test_the_first_reference_is_what_an_evaluation_proposes() -> None:
    story = with_reference()
    normal = story.snapshot.normal_time
    assert (normal.reference_id, normal.revision) == (REFERENCE, 1)
    other = proposing(an_evaluation("ok", at(5)), reference_id=an_evaluation().evaluation_id)
    story.takes(other)
    assert story.snapshot.normal_time == normal


def test_slow_drift_opens_a_warning_once_it_is_confirmed() -> None:
    story = with_reference(confirm_warn=2)
    assert said(story.sees_slowly("warn")) == "applied"
    assert said(story.sees("ok", "ok")) == "applied", "no comparison in between changes nothing"
    decision = story.sees_slowly("warn")
    assert (said(decision), stands(story.snapshot)) == ("opened!", "open/warn")
    (step,) = decision.transitions
    assert step.cause == "slow_drift"
    assert step.why[0].how_serious == "score: PSI 0.15 against the reference, a warning from 0.10"
    incident = story.snapshot.incident
    assert incident is not None
    assert (incident.psi, incident.peak_psi) == (0.15, 0.15)
    assert headline(story.snapshot, incident, at(60)) == (
        "flights-delay has drifted slowly since 23 Nov 2026, 09:17:00 UTC; PSI 0.15 against its reference."
    )
    following = " ".join(what_next(story.snapshot, incident, at(60)))
    assert "they become the new reference" in following
    assert "So far" not in following, "clean evaluations against the baseline do not end it"


@pytest.mark.parametrize("grades", [["hold"], ["ok", "hold"], ["warn", "ok", "warn", "hold", "warn"]])
def test_a_run_that_breaks_off_opens_nothing(grades: list[str]) -> None:
    story = with_reference(confirm_warn=2)
    story.sees_slowly(*grades)
    assert stands(story.snapshot) == "-"


def test_comparisons_with_another_reference_do_not_count() -> None:
    story = with_reference()
    story.minute += 1
    story.takes(slowly(an_evaluation("ok", at(story.minute)), "warn", reference_id=an_evaluation().evaluation_id))
    assert story.snapshot.slow == SlowCounts()


def test_it_is_no_part_of_normal_time() -> None:
    story = with_reference()
    story.sees_slowly(*["warn"] * 20)
    assert story.snapshot.normal_time == NormalTime(revision=1, reference_id=REFERENCE)


def test_it_resolves_once_data_are_like_the_reference_again_and_not_before() -> None:
    story = with_reference(confirm_resolve=2)
    story.sees_slowly("warn")
    story.sees(*["ok"] * 30)
    assert stands(story.snapshot) == "open/warn"
    story.sees_slowly("hold", "ok", "hold", "ok")
    assert stands(story.snapshot) == "open/warn"
    decision = story.sees_slowly("ok")
    assert (said(decision), decision.transitions[0].cause) == ("resolved!", "data_returned_to_normal")


def test_a_sudden_drift_escalates_it_and_goes_back_to_it() -> None:
    story = with_reference()
    story.sees_slowly("warn")
    assert said(story.sees("critical")) == "escalated!"
    assert story.snapshot.normal_time.drift_lasts
    story.sees("ok")
    assert not story.snapshot.normal_time.drift_lasts, "the sudden drift is over"
    assert stands(story.snapshot) == "open/warn"
    incident = story.snapshot.incident
    assert incident is not None
    assert incident.peak_psi == 0.5


def test_accepting_replaces_the_reference_alone_and_undo_brings_it_back() -> None:
    story = with_reference()
    story.sees_slowly("warn")
    assert said(story.asks(Action.ACCEPT)) == "closed!"
    normal = story.snapshot.normal_time
    assert (normal.since, normal.excluded, normal.reference_id) == (None, (), None)
    assert story.snapshot.slow == SlowCounts()
    story.has_a_reference()
    story.sees_slowly("ok")
    assert said(story.asks(Action.UNDO)) == "reopened!"
    assert story.snapshot.normal_time.reference_id == REFERENCE


def test_accepting_a_sudden_drift_begins_normal_time_again_and_makes_a_new_reference() -> None:
    story = with_reference()
    story.sees("critical")
    opened_at = at(story.minute)
    story.asks(Action.ACCEPT)
    normal = story.snapshot.normal_time
    assert (normal.since, normal.reference_id) == (opened_at, None)


def test_closed_by_hand_it_keeps_quiet_until_the_quiet_time_is_over() -> None:
    story = with_reference(latch_seconds=600)
    story.sees_slowly("warn")
    story.asks(Action.ACKNOWLEDGE)
    story.asks(Action.CLOSE)
    assert said(story.sees_slowly("warn")) == "applied"
    story.minute += 10
    decision = story.sees("ok")
    assert (said(decision), decision.transitions[0].cause) == ("opened!", "still_drifting_after_latch")


def test_where_it_is_only_shown_it_opens_nothing() -> None:
    story = with_reference(slow_drift=False)
    story.sees_slowly("warn", "warn")
    assert stands(story.snapshot) == "-"
    assert said(story.changes_monitor(slow_drift=True)) == "applied"
    assert stands(story.snapshot) == "-", "what was found under another monitor does not count"
    story.sees_slowly("warn")
    assert stands(story.snapshot) == "open/warn"


def test_excluded_intervals_keep_the_reference() -> None:
    story = with_reference()
    story.sees("critical", "ok")
    assert story.snapshot.normal_time.reference_id == REFERENCE
    assert len(story.snapshot.normal_time.excluded) == 1


def test_another_reference_starts_over_and_evaluations_against_the_old_one_decide_nothing() -> None:
    story, another = with_reference(confirm_warn=2), an_evaluation().evaluation_id
    story.sees_slowly("warn")
    assert said(story.changes_reference(another)) == "applied"
    normal = story.snapshot.normal_time
    assert (normal.reference_id, normal.revision, story.snapshot.slow) == (another, 2, SlowCounts())
    story.minute += 1
    old = slowly(an_evaluation("ok", at(story.minute), revision=1), "warn")
    assert said(story.takes(old)) == "superseded"


def test_a_reference_is_made_again_from_the_next_clean_evaluation() -> None:
    story = with_reference()
    assert said(story.changes_reference(None)) == "applied"
    assert story.snapshot.normal_time.reference_id is None
    assert said(story.changes_reference(None)) == "unchanged"
    story.has_a_reference()
    normal = story.snapshot.normal_time
    assert (normal.reference_id, normal.revision) == (REFERENCE, 3)


def test_an_incident_that_ends_by_another_reference_does_not_say_that_the_data_recovered() -> None:
    story = with_reference()
    story.sees_slowly("warn")
    decision = story.changes_reference(None)
    assert (said(decision), stands(story.snapshot)) == ("monitor_changed!", "open/warn")
    text = decision.transitions[0].text
    assert (text.title, text.headline) == (
        "Reference changed · flights-delay",
        "Ana changed the reference; the incident goes on.",
    )
    decision = story.sees("ok")
    (step,) = decision.transitions
    assert (step.kind, step.cause, step.text.step) == (
        "resolved",
        "reference_changed",
        "Resolved by a reference change",
    )
    assert step.text.headline.endswith("This does not mean that the data returned to normal.")


def test_sudden_drift_goes_on_under_another_reference() -> None:
    story = with_reference()
    story.sees("critical")
    assert said(story.changes_reference(None)) == "monitor_changed"
    assert story.snapshot.normal_time.drift_lasts
    decision = story.sees("ok")
    assert (said(decision), decision.transitions[0].cause) == ("resolved!", "data_returned_to_normal")


def test_an_undone_acceptance_brings_back_the_reference_of_before_whatever_came_between() -> None:
    story = with_reference()
    story.sees_slowly("warn")
    story.asks(Action.ACCEPT)
    story.changes_reference(an_evaluation().evaluation_id)
    assert said(story.asks(Action.UNDO)) == "reopened!"
    assert story.snapshot.normal_time.reference_id == REFERENCE
