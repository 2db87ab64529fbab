"""One incident, one conversation: what its root message says at any time, and which changes are said out loud.

The root shows the current state of the incident; each change is posted below it, once. A change for the worse is shown
to everybody in the channel too, since most people do not follow threads.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import timedelta

from sentryml_common.contracts.transition import Severity, State, Transition, TransitionKind
from sentryml_common.text import cut
from sentryml_notifier.domain.headline import BLIND_BECAUSE, LONGEST_NAME, step_name
from sentryml_notifier.domain.message import Fact, Line, Message, Tone, compose
from sentryml_notifier.domain.message_input import Story
from sentryml_notifier.domain.routing import ALERTING, CLOSING

TURNS = ALERTING | CLOSING | {TransitionKind.DEESCALATED}
"""Kinds that change the state of an incident, and bring figures of their own."""

SIGHT = (TransitionKind.EVALUATION_PAUSED, TransitionKind.EVALUATION_RESUMED)
LATEST_SHOWN = 5
EDIT_AFTER = timedelta(seconds=3)
"""How long an edit of the root waits for more changes, so that one edit shows them all."""
SAID_BY_ROOT = frozenset({"Since", "Meanwhile", "What happens next"})


def is_said_aloud(story: Story) -> bool:
    """Whether a change is shown in the channel too, and not in the thread alone."""
    return any(step.kind in ALERTING for step in story.told)


def is_unseen(story: Story) -> bool:
    """Whether the incident is open and nobody has marked it as seen: whether there is something to mark."""
    return story.history[-1].to.state is State.OPEN


def as_reply(message: Message, story: Story) -> Message:
    """A message for the thread: a quiet change need not say again what the root says."""
    if is_said_aloud(story) or story.last.kind in CLOSING:
        return message
    return replace(message, facts=tuple(fact for fact in message.facts if fact.label not in SAID_BY_ROOT))


def how_it_stands(story: Story) -> Message:
    """The root message: the incident as it is after the last step of the history."""
    history = story.history
    place = next((at for at in reversed(range(len(history))) if history[at].kind in TURNS), 0)
    turn, since = history[place], history[place + 1 :]
    message = compose(Story(history[: place + 1], [turn], story.monitor))
    message = replace(message, facts=_with_latest(message.facts, history))
    return message if turn.kind in CLOSING else _live(message, story, since)


def _live(message: Message, story: Story, since: Sequence[Transition]) -> Message:
    last = story.history[-1]
    severe = last.to.severity is Severity.CRITICAL
    seen_by = cut(story.seen_by or "", LONGEST_NAME) if last.to.state is State.ACKNOWLEDGED else ""
    seen = f", seen by {seen_by}" if seen_by else ""
    title = f"{'CRITICAL' if severe else 'Warning:'} drift{seen} · {last.model_id}"
    how = f"was marked as seen by {seen_by}; alerts stay on" if seen_by else f"is open, and nobody {_has_seen(story)}"
    sight = next((step for step in reversed(since) if step.kind in SIGHT), None)
    return replace(
        message,
        tone=Tone.CRITICAL if severe else Tone.WARN,
        title=title,
        summary=f"{title}. Incident #{last.incident_number}",
        lead=f"Incident #{last.incident_number} {how}. What {last.model_id} predicts does not look like its baseline.",
        notes=(_blind(sight),) if sight is not None and sight.kind is TransitionKind.EVALUATION_PAUSED else (),
    )


def _has_seen(story: Story) -> str:
    """What nobody has done: a mark of before it got worse is not one of now."""
    return "has marked it as seen" if story.seen_by is None else "has marked it as seen as it is now"


def _blind(step: Transition) -> str:
    because = BLIND_BECAUSE.get(step.cause, cut(step.cause.replace("_", " "), LONGEST_NAME))
    return f"It cannot be judged at the moment: {because}. It stays as it is until data are back."


def _with_latest(facts: tuple[Fact, ...], history: Sequence[Transition]) -> tuple[Fact, ...]:
    """The facts with the latest steps before what happens next, which stays the end."""
    if len(history) == 1:
        return facts
    lines: tuple[Line, ...] = tuple((step.at, f": {step_name(step)}") for step in history[-LATEST_SHOWN:])
    return (*facts[:-1], Fact("So far" if len(history) <= LATEST_SHOWN else "Latest", lines), facts[-1])
