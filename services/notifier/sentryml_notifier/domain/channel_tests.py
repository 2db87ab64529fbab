"""The test message: clearly no alert, and the story it is made from, for channels that need one."""

from __future__ import annotations

from datetime import datetime
from uuid import UUID

from sentryml_common.contracts.transition import (
    Actor,
    Cause,
    Severity,
    Standing,
    State,
    Transition,
    TransitionKind,
    TransitionText,
)
from sentryml_common.text import cut, visible
from sentryml_notifier.domain.delivery import Outcome, SendResult
from sentryml_notifier.domain.message import Fact, Message, Tone
from sentryml_notifier.domain.message_input import Story
from sentryml_notifier.domain.story_text import LONGEST_NAME

TEST_MODEL = "sentryml-test"
TITLE = "Test message · no alert"
NEXT = {
    Outcome.DELIVERED: "Look for it there: it is called “Test message”.",
    Outcome.RATE_LIMITED: "Alerts wait as long as was asked for. Test again later.",
    Outcome.NOT_ACCEPTED: "Check that the notifier can reach it, then test again. Alerts are retried automatically.",
    Outcome.UNCERTAIN: "Check whether it has arrived, then test again. Alerts are retried, marked as repeats.",
    Outcome.MESSAGE_REFUSED: "Please report this: the form of our message is at fault, not the channel.",
    Outcome.CHANNEL_REFUSED: "Fix what it says, then test again.",
}
"""What to do after a test, by what became of it."""


def trial_message(channel: str, actor: Actor, now: datetime) -> Message:
    """A message that nobody takes for an alert."""
    by, channel = cut(actor.name, LONGEST_NAME), visible(channel)
    return Message(
        tone=Tone.NEUTRAL,
        title=TITLE,
        summary="Test message from SentryML, no alert: nothing has happened",
        lead=f"This is a test of the channel {channel}, asked for by {by}. Nothing has happened to any model.",
        facts=(
            Fact("What it shows", ((f"Alerts whose route leads to {channel} arrive here.",),)),
            Fact("Sent", ((now,),)),
        ),
        link_label="Nothing has to be done.",
        link_url="",
    )


def trial_story(trial_id: UUID, actor: Actor, now: datetime) -> Story:
    """The story of an incident that never was, of the model `sentryml-test`."""
    headline = "Nothing has happened to any model."
    return made_up_story(trial_id, actor, now, model_id=TEST_MODEL, title=TITLE, headline=headline)


def made_up_story(story_id: UUID, actor: Actor, now: datetime, *, model_id: str, title: str, headline: str) -> Story:
    """The story of an incident that never was, for messages that are about none."""
    step = Transition.model_validate(
        {
            "transition_id": story_id,
            "incident_id": story_id,
            "incident_number": 1,
            "model_id": model_id,
            "sequence": 1,
            "kind": TransitionKind.NOTED,
            "at": now,
            "from": None,
            "to": Standing(state=State.CLOSED, severity=Severity.WARN),
            "actor": actor,
            "cause": Cause.REQUESTED,
            "alert": False,
            "note": headline,
            "evaluation_id": None,
            "why": (),
            "text": TransitionText(title=title, headline=headline, step=title, next=()),
            "incident_url": "",
        }
    )
    return Story([step], [step])


def what_next(result: SendResult) -> str:
    """What to do after a test."""
    return NEXT.get(result.outcome, "Test again.")
