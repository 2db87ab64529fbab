"""What the page of an incident available_actions: exactly what the state machine takes, and never a silence."""

from __future__ import annotations

import pytest

from sentryml_common.contracts.transition import Actor, ActorType
from sentryml_incidents.web.view.available_actions import AvailableAction, available_actions
from sentryml_lifecycle.decision import Outcome
from sentryml_lifecycle.events.on_action import Action
from tests.unit.incidents.builders import ANA, Story

BEN = Actor(type=ActorType.USER, id="2", name="ben")


def offered(story: Story, actor: Actor = ANA) -> dict[Action, AvailableAction]:
    assert story.snapshot.incident is not None
    return {offer.action: offer for offer in available_actions(story.snapshot.incident, actor)}


def buttons(story: Story, actor: Actor = ANA) -> list[str]:
    return [offer.button for offer in offered(story, actor).values()]


def lived(*steps: str) -> Story:
    story = Story()
    for step in steps:
        if step in list(Action):
            story.asks(Action(step))
        else:
            story.sees(step)
    return story


NORMAL = ("Accept as the new normal", "This was normal")


@pytest.mark.parametrize(
    ("steps", "for_ana", "for_ben"),
    [
        (["warn"], ["Acknowledge", *NORMAL], ["Acknowledge", *NORMAL]),
        (["warn", "acknowledge"], ["Take back", "Close", *NORMAL], ["Acknowledge too", "Take back", "Close", *NORMAL]),
        (["warn", "ok"], ["Mark as reviewed", "Close", NORMAL[1]], ["Mark as reviewed", "Close", NORMAL[1]]),
        (["warn", "acknowledge", "close"], [], []),
    ],
)
def test_each_state_offers_what_makes_sense(steps: list[str], for_ana: list[str], for_ben: list[str]) -> None:
    note = ["Add note only"]
    assert buttons(lived(*steps)) == for_ana + note
    assert buttons(lived(*steps), BEN) == for_ben + note


@pytest.mark.parametrize(
    "steps", [["warn"], ["critical"], ["warn", "acknowledge"], ["warn", "ok"], ["warn", "acknowledge", "close"]]
)
def test_whatever_is_offered_is_taken_and_changes_something(steps: list[str]) -> None:
    for action in offered(lived(*steps)):
        assert lived(*steps).asks(action, note="x").outcome is Outcome.APPLIED


def test_acknowledging_says_that_it_does_not_mute() -> None:
    for severity in ("warn", "critical"):
        assert offered(lived(severity))[Action.ACKNOWLEDGE].means == (
            "Says that you have seen it. It does not mute alerts: you are notified again when it gets worse, resolves "
            "or comes back."
        )
