"""An incident as alerts of Prometheus Alertmanager, which knows an alert by its labels.

The severity is a label, so each severity that an incident has had is an alert of its own, and the one before ends when
it changes. A live alert has no `endsAt`: Alertmanager ends it by itself if it is not sent again in time.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from sentryml_common.contracts.transition import Severity, Transition
from sentryml_common.text import visible
from sentryml_notifier.channels.markup import is_web
from sentryml_notifier.channels.plain_text import fact_text
from sentryml_notifier.domain.message import Message
from sentryml_notifier.domain.message_input import Story
from sentryml_notifier.domain.story_text import LIVE

ALERT_NAME, TEST_NAME = "SentryMLIncident", "SentryMLTest"
SEVERITIES = {Severity.CRITICAL: "critical", Severity.WARN: "warning"}
"""What rules and routes of Prometheus usually call them."""

TEST_LASTS = timedelta(minutes=1)
DESCRIPTION_LENGTH = 4000

Alert = dict[str, Any]


def alerts_of(
    story: Story, message: Message, group_id: UUID | None, more_labels: Mapping[str, str], *, ended: bool = True
) -> list[Alert]:
    """The alerts of an incident since it began or was reopened last; with `ended` false only the live one."""
    steps = _since_it_began(story.history)
    found = [
        _alert(steps, severity, message, group_id, more_labels)
        for severity in dict.fromkeys(step.to.severity for step in steps)
    ]
    return [alert for alert in found if ended or "endsAt" not in alert]


def trial_alerts(message: Message, at: datetime, more_labels: Mapping[str, str]) -> list[Alert]:
    """What a test shows: an alert that ends by itself."""
    return [
        {
            "labels": {**more_labels, "alertname": TEST_NAME, "severity": "none"},
            "annotations": {"summary": visible(message.summary), "description": visible(message.lead)},
            "startsAt": _text(at),
            "endsAt": _text(at + TEST_LASTS),
        }
    ]


def _since_it_began(history: Sequence[Transition]) -> Sequence[Transition]:
    began = Story(history, history[-1:]).began
    return [step for step in history if began is None or step.sequence >= began.sequence]


def _alert(
    steps: Sequence[Transition],
    severity: Severity,
    message: Message,
    group_id: UUID | None,
    more_labels: Mapping[str, str],
) -> Alert:
    current = steps[-1]
    starts_at = next(step.at for step in steps if step.to.severity is severity)
    alert: Alert = {
        "labels": {
            **more_labels,
            "alertname": ALERT_NAME,
            "model": current.model_id,
            "severity": SEVERITIES[severity],
            "incident": str(current.incident_number),
        },
        "annotations": _annotations(current, message, group_id),
        "startsAt": _text(starts_at),
    }
    if is_web(current.incident_url):
        alert["generatorURL"] = current.incident_url
    if current.to.severity is not severity or current.to.state not in LIVE:
        alert["endsAt"] = _text(max(starts_at, _left_at(steps, severity)))
    return alert


def _left_at(steps: Sequence[Transition], severity: Severity) -> datetime:
    """When an incident stopped being live at a severity."""
    live = [place for place, step in enumerate(steps) if step.to.severity is severity and step.to.state in LIVE]
    return steps[min(live[-1] + 1, len(steps) - 1)].at if live else steps[-1].at


def _annotations(step: Transition, message: Message, group_id: UUID | None) -> dict[str, str]:
    facts = [f"{fact.label}:\n{fact_text(fact)}" for fact in message.facts_in_words]
    found = {
        "summary": visible(message.summary),
        "description": visible("\n\n".join([message.lead, *message.notes, *facts]))[:DESCRIPTION_LENGTH],
        "state": step.to.state.value,
        "incident_id": str(step.incident_id),
    }
    return found | ({"group_id": str(group_id)} if group_id else {})


def _text(at: datetime) -> str:
    return at.isoformat(timespec="milliseconds").replace("+00:00", "Z")
