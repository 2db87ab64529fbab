"""What a message is made from: an incident's transitions so far, and which of them it covers."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from sentryml_common.contracts.transition import Severity, Transition, TransitionKind
from sentryml_notifier.domain.routing import ALERTING, CLOSING, OPENING


@dataclass(frozen=True, slots=True)
class Reminder:
    """Which reminder of an alert it is, and how many there are at most; or, after `long_drift_days`, the one that asks
    what the drift is; or, `still_critical`, of an alert that was acknowledged."""

    number: int
    times: int
    long_drift_days: int = 0
    still_critical: bool = False


@dataclass(frozen=True, slots=True)
class Story:
    """One incident up to the last transition reported.

    `history` is oldest first and ends with the last one covered; `reported` are those that this message is about:
    one, or more where earlier ones could not be delivered. `later` are steps that have happened since, where the
    message is late. `reminder` says that the one step covered has been delivered before: its alert, or the newest of
    long drift.
    """

    history: Sequence[Transition]
    reported: Sequence[Transition]
    later: Sequence[Transition] = ()
    reminder: Reminder | None = None

    @property
    def newest(self) -> Transition:
        """The current state of the incident, as far as is known."""
        return self.later[-1] if self.later else self.history[-1]

    @property
    def newest_alert(self) -> Transition:
        """The last step that called somebody, by all that is known; the last one reported where none is known."""
        steps = [*self.history, *self.later]
        return next((step for step in reversed(steps) if step.kind in ALERTING), self.last)

    @property
    def long_drift_days(self) -> int:
        """After how many days the message asks what the drift is; 0 if it does not."""
        return self.reminder.long_drift_days if self.reminder else 0

    @property
    def still_critical(self) -> bool:
        """Whether the message reminds of what was acknowledged and is still critical."""
        return self.reminder is not None and self.reminder.still_critical

    @property
    def acknowledgement(self) -> Transition | None:
        """The last one, by all that is known; None if there is none."""
        steps = [*self.history, *self.later]
        return next((step for step in reversed(steps) if step.kind is TransitionKind.ACKNOWLEDGED), None)

    @property
    def unacknowledged_since(self) -> datetime:
        """Since when nobody has acknowledged it: from the alert, or since an acknowledgement was taken back."""
        taken_back = [step.at for step in self.later if step.kind is TransitionKind.UNACKNOWLEDGED]
        return taken_back[-1] if taken_back else self.last.at

    @property
    def last(self) -> Transition:
        """The transition that the message is about."""
        return self.reported[-1]

    @property
    def began(self) -> Transition | None:
        """The step with which the incident opened, or opened again, last; None if it is not known."""
        return next((step for step in reversed(self.history) if step.kind in OPENING), None)

    @property
    def worst(self) -> Severity:
        """The highest severity since it began."""
        first = self.began.sequence if self.began else 0
        met = {step.to.severity for step in self.history if step.sequence >= first}
        return Severity.CRITICAL if Severity.CRITICAL in met else Severity.WARN

    @property
    def acknowledged_by(self) -> str | None:
        """Who acknowledged it last since it began."""
        first = self.began.sequence if self.began else 0
        for step in reversed(self.history):
            if step.kind is TransitionKind.ACKNOWLEDGED and step.sequence >= first:
                return step.actor.name
        return None

    @property
    def is_catching_up(self) -> bool:
        """Whether undelivered alerts are sent together with quiet steps after them: what counts is the current
        state."""
        return len(self.reported) > 1 and not self.last.alert and self.last.kind not in CLOSING

    @property
    def evidence(self) -> Transition:
        """The step whose reasons a message gives: the last one reported, or the newest before it that has any."""
        return next((step for step in reversed(self.reported) if step.why), self.last)

    @property
    def is_combined(self) -> bool:
        """Whether an alert is sent together with its end."""
        return self.last.kind in CLOSING and any(step.kind in ALERTING for step in self.reported)
