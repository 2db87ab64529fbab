"""The verdict is good only when an incident has opened, escalated and resolved, alerts came as a group, a model fell
silent, and every alert was delivered."""

from __future__ import annotations

from collections.abc import Iterable
from uuid import UUID

import pytest

from sentryml_common.contracts.delivery import Delivery, DeliveryState
from sentryml_common.contracts.transition import Cause, Severity, Transition, TransitionKind
from sentryml_local.demo.verdict import at_rest, missing, undelivered
from tests.unit.demo.builders import a_delivery, a_message, a_transition, an_incident

OPENED, ESCALATED, RESOLVED = TransitionKind.OPENED, TransitionKind.ESCALATED, TransitionKind.RESOLVED
CLOSED, REOPENED, DEESCALATED = TransitionKind.CLOSED, TransitionKind.REOPENED, TransitionKind.DEESCALATED


def deliveries_of(transitions: Iterable[Transition], *, grouped: bool = True) -> dict[UUID, Delivery]:
    made = [a_delivery(step, grouped=grouped) for step in transitions if step.alert]
    return {each.delivery_id: each for each in made}


def lacks(
    transitions: list[Transition], *, silence: bool = True, grouped: bool = True, named: Iterable[int] | None = None
) -> list[str]:
    """What is missing of a story, of which one more incident may be a silence."""
    quiet = a_transition(OPENED, number=9, severity=Severity.WARN, cause=Cause.NO_PREDICTIONS)
    seen = [*transitions, quiet] if silence and transitions else transitions
    messages = [a_message(step) for step in seen if step.alert and (named is None or step.incident_number in named)]
    return missing(seen, messages, deliveries_of(seen, grouped=grouped))


def escalating() -> list[Transition]:
    opened = a_transition(OPENED, severity=Severity.WARN)
    return [opened, a_transition(ESCALATED, sequence=2), a_transition(RESOLVED, sequence=3)]


@pytest.mark.parametrize("transitions", [escalating(), an_incident(OPENED, RESOLVED)], ids=["escalated", "at once"])
def test_an_incident_that_went_all_the_way_a_group_and_a_silence_are_enough(transitions: list[Transition]) -> None:
    assert lacks(transitions) == []


def test_nothing_seen_is_not_enough() -> None:
    assert lacks([]) == ["No incident was opened."]


@pytest.mark.parametrize(
    ("transitions", "sentence"),
    [
        (an_incident(OPENED, RESOLVED, severity=Severity.WARN), "Incident #1 never became critical."),
        (an_incident(OPENED), "Incident #1 was not resolved."),
        (an_incident(RESOLVED), "Incident #1 was never seen to open."),
    ],
)
def test_what_an_incident_lacks_is_said(transitions: list[Transition], sentence: str) -> None:
    assert lacks(transitions)[0] == sentence


def test_one_incident_that_went_all_the_way_excuses_the_others() -> None:
    warned = an_incident(OPENED, RESOLVED, number=1, severity=Severity.WARN)
    assert lacks(warned + an_incident(OPENED, RESOLVED, number=2)) == []


def test_a_group_and_a_silence_are_missed() -> None:
    transitions = an_incident(OPENED, RESOLVED)
    assert lacks(transitions, grouped=False) == ["No alerts came as one message."]
    assert lacks(transitions, silence=False) == ["No model fell silent."]


def test_an_alert_that_is_said_to_be_delivered_has_to_have_come() -> None:
    transitions = an_incident(OPENED, RESOLVED, number=1) + an_incident(OPENED, number=12)
    assert lacks(transitions, named=[9, 12]) == ["No message in Slack names incident #1."]


def test_an_alert_that_waits_is_named() -> None:
    opened, resolved = an_incident(OPENED, RESOLVED)
    waits = a_delivery(resolved, DeliveryState.PENDING)
    assert undelivered([opened, resolved], {**deliveries_of([opened]), waits.delivery_id: waits}) == [
        "The alert that incident #1 was resolved has not been delivered."
    ]
    assert len(undelivered([opened, resolved], {})) == 2


def test_what_does_not_alert_or_needs_no_message_is_not_missed() -> None:
    quiet = a_transition(DEESCALATED, sequence=3, alert=False)
    steps = an_incident(OPENED, RESOLVED)
    covered = a_delivery(steps[1], DeliveryState.NOT_SENT)
    assert undelivered([*steps, quiet], {**deliveries_of(steps), covered.delivery_id: covered}) == []


@pytest.mark.parametrize(
    ("kinds", "rests"),
    [((), True), ((OPENED,), False), ((OPENED, RESOLVED), True), ((OPENED, RESOLVED, REOPENED), False)],
)
def test_rest_is_when_no_incident_is_live(kinds: tuple[TransitionKind, ...], rests: bool) -> None:
    assert at_rest(an_incident(*kinds)) is rests


def test_one_live_incident_disturbs_the_rest() -> None:
    assert not at_rest(an_incident(OPENED, RESOLVED, CLOSED, number=1) + an_incident(OPENED, number=2))
