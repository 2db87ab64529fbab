"""The title and the first sentence of a message, for each kind of transition and each cause.

A cause that has no text of its own here is shown by its name.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

from sentryml_common.contracts.transition import ActorType, Cause, Severity, State, Transition, TransitionKind
from sentryml_common.text import cut
from sentryml_notifier.domain.message_input import Story
from sentryml_notifier.domain.routing import ALERTING

LONGEST_NAME = 80
LIVE = frozenset({State.OPEN, State.ACKNOWLEDGED})

OPENED_BECAUSE = {
    Cause.WORSE_THAN_WHEN_CLOSED: "It is worse than when the last incident was closed by hand.",
    Cause.STILL_DRIFTING_AFTER_LATCH: "The last incident was closed by hand while it drifted; it drifts still.",
}

RECOVERED = Cause.DATA_RETURNED_TO_NORMAL

NO_SIGN = "That is no sign that the data returned to normal."
ENDED_BECAUSE = {
    RECOVERED: "the data look like the baseline again.",
    Cause.MONITOR_DISABLED: "the monitor was switched off. The model is not watched any more.",
    Cause.MODEL_DELETED: f"the model was deleted. {NO_SIGN}",
    Cause.THRESHOLDS_CHANGED: f"the thresholds of the monitor were changed. {NO_SIGN}",
    Cause.BASELINE_CHANGED: f"the baseline of the monitor was changed. {NO_SIGN}",
    Cause.TIMES_CHANGED: f"the times of the monitor were changed. {NO_SIGN}",
    Cause.FOLLOWED_BY_NEW_INCIDENT: "a new incident follows it.",
    Cause.RESOLVED_LONG_AGO: "it was resolved long ago.",
    Cause.NEW_NORMAL: "the change is accepted as the new normal. From now on it is the baseline.",
    Cause.WAS_NORMAL: "what it was about was normal. Its time counts as normal again.",
}

CHANGED = {
    Cause.MONITOR_DISABLED: "The monitor was switched off",
    Cause.THRESHOLDS_CHANGED: "The thresholds of its monitor were changed",
    Cause.BASELINE_CHANGED: "The baseline of its monitor was changed",
    Cause.TIMES_CHANGED: "The times of its monitor were changed",
}

BLIND_BECAUSE = {
    Cause.WARMING_UP: "there is too little baseline yet",
    Cause.TOO_FEW_SAMPLES: "too few events came",
    Cause.NO_DATA: "no events came",
    Cause.NOT_SENT: "nothing of what is watched was sent",
}

QUIET_TITLES = {
    TransitionKind.DEESCALATED: "Less severe",
    TransitionKind.ACKNOWLEDGED: "Acknowledged",
    TransitionKind.UNACKNOWLEDGED: "No longer acknowledged",
    TransitionKind.NOTED: "Note",
    TransitionKind.RESOLVED: "Resolved",
    TransitionKind.CLOSED: "Closed",
    TransitionKind.EVALUATION_PAUSED: "Blind",
    TransitionKind.EVALUATION_RESUMED: "Seeing again",
    TransitionKind.MONITOR_CHANGED: "Monitor changed",
}


def title_of(story: Story) -> str:
    """What happened to which model, in a few words: the part that is read on a locked screen."""
    step = story.last
    if story.is_catching_up:
        return f"{_standing(step)} · {step.model_id}"
    if story.is_combined and step.cause is RECOVERED:
        return f"Drift came and went (was {severity_name(story.worst)}) · {step.model_id}"
    if step.kind is TransitionKind.RESOLVED and step.cause is not RECOVERED:
        return f"Ended by a change of its monitor · {step.model_id}"
    if step.kind not in ALERTING:
        return f"{QUIET_TITLES[step.kind]} · {step.model_id}"
    if story.reminder is not None:
        return f"{_severity_word(story.newest)} drift, still unseen · {step.model_id}"
    again = "drift, open again" if step.cause is Cause.UNDONE else "drift is back"
    what = {TransitionKind.ESCALATED: "drift, worse than before", TransitionKind.REOPENED: again}
    return f"{_severity_word(step)} {what.get(step.kind, 'drift')} · {step.model_id}"


def what_happened(story: Story) -> str:
    """What happened, in a sentence or two."""
    if story.is_catching_up:
        return _as_it_stands(story)
    if story.reminder is not None:
        number = f"Reminder {story.reminder.number} of at most {story.reminder.times}"
        return f"Incident #{story.last.incident_number} is still open, and nobody has marked it as seen. {number}."
    if story.is_combined:
        return _combined(story)
    return f"Incident #{story.last.incident_number} {TELL[story.last.kind](story)}"


def step_name(step: Transition) -> str:
    """A step in two or three words, for a list: `acknowledged by Ada`."""
    by = "" if step.actor.type is ActorType.SYSTEM else f" by {actor_name(step)}"
    return f"{step.kind.value.replace('_', ' ')}{by}"


def severity_name(severity: Severity) -> str:
    """A severity as people read it."""
    return {Severity.WARN: "a warning", Severity.CRITICAL: "critical"}[severity]


def actor_name(step: Transition) -> str:
    """Who did it, shortened."""
    return cut(step.actor.name, LONGEST_NAME)


def _opened(story: Story) -> str:
    because = OPENED_BECAUSE.get(story.last.cause, "")
    return f"opened: what {story.last.model_id} predicts no longer looks like its baseline. {because}".strip()


def _escalated(story: Story) -> str:
    step, seen_by = story.last, story.seen_by
    went = "went from a warning to critical."
    if step.from_ is None or step.from_.state is not State.ACKNOWLEDGED or seen_by is None:
        return went
    return f"{went} {cut(seen_by, LONGEST_NAME)} had seen it as a warning; nobody has seen it as it is now."


def _reopened(story: Story) -> str:
    if story.last.cause is Cause.UNDONE:
        return f"is open again: {actor_name(story.last)} took back what was said about normal data."
    return f"is open again: it had resolved, and what {story.last.model_id} predicts drifts once more."


def _ended(story: Story) -> str:
    """For example `resolved by itself: …` or `was closed by Ada.`"""
    step = story.last
    because = ENDED_BECAUSE.get(step.cause, f"{_spelled(step.cause)}.")
    if step.kind is TransitionKind.RESOLVED:
        return f"resolved by itself: {because}" if step.cause is RECOVERED else f"ended: {because}"
    by = "the system" if step.actor.type is ActorType.SYSTEM else actor_name(step)
    return f"was closed by {by}." if step.cause is Cause.REQUESTED else f"was closed by {by}: {because}"


def _combined(story: Story) -> str:
    began = {TransitionKind.ESCALATED: "got worse", TransitionKind.REOPENED: "opened again"}
    first = next(step for step in story.told if step.kind in ALERTING)
    return (
        f"Incident #{story.last.incident_number} {began.get(first.kind, 'opened')} as {severity_name(story.worst)} and "
        f"{_ended(story)} This is one message for {_all_of(story)}: the first could not be delivered before it was "
        "over."
    )


def _as_it_stands(story: Story) -> str:
    step, seen_by = story.last, story.seen_by
    stands = f"is {step.to.state.value}"
    if step.to.state is State.ACKNOWLEDGED and seen_by is not None:
        stands = f"is marked as seen by {cut(seen_by, LONGEST_NAME)}, and goes on"
    how = f" as {severity_name(step.to.severity)}" if step.to.state in LIVE else ""
    return (
        f"Incident #{step.incident_number} {stands}{how}. This is one message for {_all_of(story)} that could not be "
        "delivered before: it tells how things stand."
    )


def _all_of(story: Story) -> str:
    return "both" if story.is_combined and len(story.told) == 2 else f"{len(story.told)} steps"


def _standing(step: Transition) -> str:
    if step.to.state in LIVE:
        return f"{_severity_word(step)} drift, as it stands now"
    return step.to.state.value.capitalize()


def _severity_word(step: Transition) -> str:
    return "CRITICAL" if step.to.severity is Severity.CRITICAL else "Warning:"


def _monitor_changed(story: Story) -> str:
    step = story.last
    by = "" if step.actor.type is ActorType.SYSTEM else f" by {actor_name(step)}"
    return f"goes on. {CHANGED.get(step.cause, _spelled(step.cause))}{by}."


def _blind(story: Story) -> str:
    because = BLIND_BECAUSE.get(story.last.cause, _spelled(story.last.cause))
    return f"cannot be judged at the moment: {because}. It stays as it is until data are back."


def _spelled(cause: str) -> str:
    return cut(cause.replace("_", " "), LONGEST_NAME)


TELL: Mapping[TransitionKind, Callable[[Story], str]] = {
    TransitionKind.OPENED: _opened,
    TransitionKind.ESCALATED: _escalated,
    TransitionKind.DEESCALATED: lambda _: "went from critical to a warning; it goes on.",
    TransitionKind.ACKNOWLEDGED: lambda story: f"was marked as seen by {actor_name(story.last)}; alerts stay on.",
    TransitionKind.UNACKNOWLEDGED: lambda story: f"is unseen again: {actor_name(story.last)} took the mark back.",
    TransitionKind.NOTED: lambda story: f"has a note by {actor_name(story.last)}.",
    TransitionKind.RESOLVED: _ended,
    TransitionKind.REOPENED: _reopened,
    TransitionKind.CLOSED: _ended,
    TransitionKind.EVALUATION_PAUSED: _blind,
    TransitionKind.EVALUATION_RESUMED: lambda _: "can be judged again: data are back.",
    TransitionKind.MONITOR_CHANGED: _monitor_changed,
}
