"""What a message says of its story: the text of its transition, and what only the notifier knows: that one message is
for several steps, or a reminder."""

from __future__ import annotations

from sentryml_common.contracts.transition import ActorType, Cause, Severity, State, Transition
from sentryml_common.text import count_of, cut
from sentryml_notifier.domain.message_input import Reminder, Story

LONGEST_NAME = 80
LIVE = frozenset({State.OPEN, State.ACKNOWLEDGED})
DRIFT = {Severity.WARN: "Warning: drift", Severity.CRITICAL: "CRITICAL drift"}
"""Titles made here begin as those of alerts do."""
NO_PREDICTIONS = "Warning: no predictions"
RECOVERED = frozenset({Cause.DATA_RETURNED_TO_NORMAL, Cause.PREDICTIONS_ARE_BACK})


def subject(story: Story) -> str:
    """What a title made here begins with: what the newest alert was about, at the severity of now."""
    severity = story.newest.to.severity
    return NO_PREDICTIONS if is_silent(story) and severity is Severity.WARN else DRIFT[severity]


def is_silent(story: Story) -> bool:
    """Whether the newest alert was that no predictions come."""
    return story.newest_alert.cause is Cause.NO_PREDICTIONS


def title_of(story: Story) -> str:
    """What happened to which model, in a few words: the part that is read on a locked screen."""
    step = story.last
    if story.is_catching_up:
        state = step.to.state
        current = f"{subject(story)}, current state" if state in LIVE else state.value.capitalize()
        return f"{current} · {step.model_id}"
    if story.is_combined and step.cause in RECOVERED:
        was = "critical" if story.worst is Severity.CRITICAL else "a warning"
        return f"Resolved before it could be delivered (was {was}) · {step.model_id}"
    if story.long_drift_days:
        return f"{subject(story)} for {count_of(story.long_drift_days, 'day')} · {step.model_id}"
    if story.still_critical:
        return f"{subject(story)}, acknowledged and still there · {step.model_id}"
    if story.reminder is not None:
        return f"{subject(story)}, not acknowledged · {step.model_id}"
    return step.text.title


def what_happened(story: Story) -> str:
    """What happened, in a sentence or two."""
    step, count = story.last, len(story.reported)
    if story.is_catching_up:
        return (
            f"The incident is {_state(story)}. This is one message for {count} steps that could not be delivered "
            "before."
        )
    if story.reminder is not None:
        return _what_lasts(story, story.reminder)
    if story.is_combined:
        steps = "both steps" if count == 2 else f"{count} steps"
        return (
            f"{step.text.headline} This is one message for {steps}: the alert could not be delivered before the "
            "incident was over."
        )
    return step.text.headline


def _what_lasts(story: Story, reminder: Reminder) -> str:
    """What a reminder says: that it has not been acknowledged, or is still there."""
    days = count_of(reminder.long_drift_days, "day")
    if reminder.long_drift_days and is_silent(story):
        return f"Still no predictions after {days}. Is the model still in use?"
    if reminder.long_drift_days:
        return f"Still drifting after {days}. Is this the new normal, was it normal, or is it still a fault?"
    if reminder.still_critical:
        by = cut(story.acknowledgement.actor.name, LONGEST_NAME) if story.acknowledgement else "Somebody"
        return f"{by} acknowledged the incident, and it is still critical."
    return f"Nobody has acknowledged the incident. Reminder {reminder.number} of at most {reminder.times}."


def what_next(story: Story) -> tuple[str, ...]:
    """What happens automatically, and what can be done."""
    if story.reminder is None:
        return story.last.text.next
    if story.long_drift_days:
        return (*story.newest.text.next, "It is asked again as long as the incident is live.")
    if story.still_critical:
        return (*story.newest.text.next, "It is reminded of once a day, as long as it is critical.")
    return (*story.newest.text.next, "Reminders end when it is acknowledged; alerts do not.")


def step_name(step: Transition) -> str:
    """A step in a few words, for a list: `Acknowledged by Ada`."""
    return step.text.step if step.actor.type is ActorType.SYSTEM else f"{step.text.step} by {actor_name(step)}"


def actor_name(step: Transition) -> str:
    """Who did it, shortened."""
    return cut(step.actor.name, LONGEST_NAME)


def _state(story: Story) -> str:
    step, by = story.last, story.acknowledged_by
    if step.to.state not in LIVE:
        return step.to.state.value
    acknowledged = f" by {cut(by, LONGEST_NAME)}" if by and step.to.state is State.ACKNOWLEDGED else ""
    severity = "critical" if step.to.severity is Severity.CRITICAL else "a warning"
    return f"{step.to.state.value}{acknowledged}, and {severity}"
