"""What a person is offered to do to an incident, each with what it means, in words that stand beside the button."""

from __future__ import annotations

from dataclasses import dataclass

from sentryml_common.contracts.transition import Actor, State
from sentryml_lifecycle.events.on_action import Action, allowed
from sentryml_lifecycle.snapshot import Incident


@dataclass(frozen=True, slots=True)
class AvailableAction:
    """A button and what it does."""

    action: Action
    button: str
    means: str


ABOUT_NORMAL = {
    Action.ACCEPT: (
        "Accept as the new normal",
        "Ends it: the predictions since it opened become the baseline, and the model is compared with them as soon as "
        "there are enough; after slow drift alone, a new reference is made. Can be undone for 7 days.",
    ),
    Action.WAS_NORMAL: (
        "This was normal",
        "Ends it: a sale, a holiday, or a false alarm. Its time counts as normal again. Can be undone for 7 days.",
    ),
    Action.UNDO: ("Undo", "The incident is open again, and normal time is as it was before."),
}


def available_actions(incident: Incident, actor: Actor) -> tuple[AvailableAction, ...]:
    """What `actor` can do now, by the state machine's own table."""
    return tuple(
        _available(action, incident)
        for action in allowed(incident)
        if not (action is Action.ACKNOWLEDGE and actor in incident.acknowledged_by)
    )


def _available(action: Action, incident: Incident) -> AvailableAction:
    match action:
        case Action.ACKNOWLEDGE:
            return _acknowledge(incident)
        case Action.UNACKNOWLEDGE:
            means = "Opens it again, as if nobody had seen it. Alerts are not affected."
            return AvailableAction(action, "Take back", means)
        case Action.CLOSE:
            return AvailableAction(action, "Close", _closing(incident))
        case Action.NOTE:
            return AvailableAction(action, "Add note only", "Changes nothing else.")
        case _:
            return AvailableAction(action, *ABOUT_NORMAL[action])


def _acknowledge(incident: Incident) -> AvailableAction:
    if incident.state is State.RESOLVED:
        return AvailableAction(
            Action.ACKNOWLEDGE, "Mark as reviewed", "Records that you have reviewed it after it resolved."
        )
    button = "Acknowledge too" if incident.acknowledged_by else "Acknowledge"
    again = "you are notified again when it gets worse, resolves or comes back"
    return AvailableAction(Action.ACKNOWLEDGE, button, f"Says that you have seen it. It does not mute alerts: {again}.")


def _closing(incident: Incident) -> str:
    if incident.state is State.RESOLVED:
        return "Ends it for good: if the model drifts again, a new incident is opened."
    return (
        "Ends it. If it still drifts, it stays quiet for a while; this page says until when, and what ends that sooner."
    )
