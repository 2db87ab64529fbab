"""One incident, one conversation: what its root message says at any time, and which changes are said out loud.

The root shows the current state of the incident; each change is posted below it, once. A change for the worse is shown
to everybody in the channel too, since most people do not follow threads.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import timedelta

from sentryml_common.contracts.transition import Severity, State, Transition, TransitionKind
from sentryml_common.text import count_of, cut
from sentryml_notifier.domain.message import NEXT, Fact, Line, Message, Tone, compose
from sentryml_notifier.domain.message_input import Reminder, Story
from sentryml_notifier.domain.routing import ALERTING, CLOSING
from sentryml_notifier.domain.story_text import LIVE, LONGEST_NAME, step_name, subject

TURNS = ALERTING | CLOSING | {TransitionKind.DEESCALATED}
"""Kinds that change the state of an incident, and bring figures of their own."""

PAUSING = (TransitionKind.EVALUATION_PAUSED, TransitionKind.EVALUATION_RESUMED)
LATEST_SHOWN = 5
EDIT_AFTER = timedelta(seconds=3)
"""How long an edit of the root waits for more changes, so that one edit shows them all."""
SAID_BY_ROOT = frozenset({"Since", "Meanwhile", NEXT})


def is_said_aloud(story: Story) -> bool:
    """Whether a change is shown in the channel too, and not in the thread alone."""
    return any(step.kind in ALERTING for step in story.reported)


def as_reply(message: Message, story: Story) -> Message:
    """A message for the thread: a quiet change need not say again what the root says."""
    if is_said_aloud(story) or story.last.kind in CLOSING:
        return message
    return replace(message, facts=tuple(fact for fact in message.facts if fact.label not in SAID_BY_ROOT))


def current_state(story: Story) -> Message:
    """The root message: the incident as it is after the last step of the history."""
    history = story.history
    place = next((at for at in reversed(range(len(history))) if history[at].kind in TURNS), 0)
    turn, since = history[place], history[place + 1 :]
    message = compose(Story(history[: place + 1], [turn]))
    next_steps = Fact(NEXT, tuple((line,) for line in history[-1].text.next))
    message = replace(message, facts=(*message.facts[:-1], *_latest(history), next_steps))
    return message if turn.kind in CLOSING else _live(message, story, since)


def as_question(story: Story, long_drift_days: int, *, newest: bool) -> Message:
    """A question of before: with the incident as it stands, or what became of it."""
    history = story.history
    place = next((at for at in reversed(range(len(history))) if history[at].kind in TURNS), 0)
    if history[-1].to.state in LIVE:
        alert = max(at for at, step in enumerate(history) if step.kind in ALERTING)
        message = compose(
            Story(history[: alert + 1], [history[alert]], history[alert + 1 :], Reminder(1, 1, long_drift_days))
        )
        return message if newest else replace(message, notes=("It was asked again since.",), facts=())
    message = compose(Story(history[: place + 1], [history[place]]))
    asked = f"This asked, after {count_of(long_drift_days, 'day')} of drift, whether it is the new normal."
    return replace(message, lead=f"{asked} {message.lead}", facts=())


def _live(message: Message, story: Story, since: Sequence[Transition]) -> Message:
    last = story.history[-1]
    by = cut(story.acknowledged_by or "", LONGEST_NAME) if last.to.state is State.ACKNOWLEDGED else ""
    title = f"{subject(story)}{f', acknowledged by {by}' if by else ''} · {last.model_id}"
    paused = next((step for step in reversed(since) if step.kind in PAUSING), None)
    return replace(
        message,
        tone=Tone.CRITICAL if last.to.severity is Severity.CRITICAL else Tone.WARN,
        title=title,
        summary=f"{title}. Incident #{last.incident_number}",
        notes=(paused.text.headline,) if paused and paused.kind is TransitionKind.EVALUATION_PAUSED else (),
    )


def _latest(history: Sequence[Transition]) -> tuple[Fact, ...]:
    """The latest steps, if there is more than one."""
    if len(history) == 1:
        return ()
    lines: tuple[Line, ...] = tuple((step.at, f": {step_name(step)}") for step in history[-LATEST_SHOWN:])
    return (Fact("So far" if len(history) <= LATEST_SHOWN else "Latest", lines),)
