"""The verdict is good only when an incident has opened, escalated and resolved, and Slack got every alert."""

from __future__ import annotations

import pytest

from sentryml_common.contracts.transition import Severity, Transition, TransitionKind
from sentryml_local.demo.verdict import SlackMessage, at_rest, missing, undelivered
from tests.unit.demo.builders import NOON, a_message, a_transition, an_incident

OPENED, ESCALATED, RESOLVED = TransitionKind.OPENED, TransitionKind.ESCALATED, TransitionKind.RESOLVED
CLOSED, REOPENED, DEESCALATED = TransitionKind.CLOSED, TransitionKind.REOPENED, TransitionKind.DEESCALATED


def messages_of(transitions: list[Transition]) -> list[SlackMessage]:
    return [a_message(step) for step in transitions if step.alert]


def escalating() -> list[Transition]:
    opened = a_transition(OPENED, severity=Severity.WARN)
    return [opened, a_transition(ESCALATED, sequence=2), a_transition(RESOLVED, sequence=3)]


@pytest.mark.parametrize("transitions", [escalating(), an_incident(OPENED, RESOLVED)], ids=["escalated", "at once"])
def test_an_incident_that_went_all_the_way_is_enough(transitions: list[Transition]) -> None:
    assert missing(transitions, messages_of(transitions)) == []


def test_nothing_seen_is_not_enough() -> None:
    assert missing([], []) == ["No incident was opened."]


@pytest.mark.parametrize(
    ("transitions", "sentence"),
    [
        (an_incident(OPENED, RESOLVED, severity=Severity.WARN), "Incident #1 never became critical."),
        (an_incident(OPENED), "Incident #1 was not resolved."),
        (an_incident(RESOLVED), "Incident #1 was never seen to open."),
    ],
)
def test_what_an_incident_lacks_is_said(transitions: list[Transition], sentence: str) -> None:
    assert missing(transitions, messages_of(transitions)) == [sentence]


def test_one_incident_that_went_all_the_way_excuses_the_others() -> None:
    transitions = an_incident(OPENED, RESOLVED, number=1, severity=Severity.WARN) + an_incident(
        OPENED, RESOLVED, number=2
    )
    assert missing(transitions, messages_of(transitions)) == []


def test_a_missing_message_is_named() -> None:
    transitions = escalating()
    messages = [a_message(step) for step in transitions if step.kind is not ESCALATED]
    assert missing(transitions, messages) == ["Slack has 0 of 1 messages that incident #1 was escalated."]


def test_a_message_about_another_incident_does_not_count() -> None:
    of_42 = an_incident(OPENED, number=42)
    assert undelivered(an_incident(OPENED, number=4), messages_of(of_42)) != []


def test_every_repetition_needs_a_message_of_its_own() -> None:
    transitions = an_incident(OPENED, RESOLVED, REOPENED, RESOLVED)
    assert undelivered(transitions, messages_of(transitions)[:3]) == [
        "Slack has 1 of 2 messages that incident #1 was resolved."
    ]


def test_what_does_not_alert_needs_no_message() -> None:
    quiet = a_transition(DEESCALATED, sequence=3, alert=False)
    transitions = [*an_incident(OPENED, RESOLVED), quiet]
    assert undelivered(transitions, messages_of(transitions)) == []


def test_one_message_may_tell_an_alert_and_its_end() -> None:
    steps = an_incident(OPENED, RESOLVED)
    text = (
        f"Resolved before it could be delivered\n{steps[-1].text.headline} This is one message for both steps.\n"
        "Not delivered before\n2026-11-23 12:00 UTC: Opened\nOpen incident #1: http://127.0.0.1/incidents/1"
    )
    assert undelivered(steps, [SlackMessage(1, NOON, "Resolved before it could be delivered", text)]) == []


@pytest.mark.parametrize(
    ("kinds", "rests"),
    [((), True), ((OPENED,), False), ((OPENED, RESOLVED), True), ((OPENED, RESOLVED, REOPENED), False)],
)
def test_rest_is_when_no_incident_is_live(kinds: tuple[TransitionKind, ...], rests: bool) -> None:
    assert at_rest(an_incident(*kinds)) is rests


def test_one_live_incident_disturbs_the_rest() -> None:
    assert not at_rest(an_incident(OPENED, RESOLVED, CLOSED, number=1) + an_incident(OPENED, number=2))
