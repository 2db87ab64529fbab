"""System alerts in words: the message of a beginning and of an end, and the story that channels want beside it."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime

from sentryml_common.contracts.internal.system_state import SystemFault
from sentryml_common.contracts.transition import SYSTEM
from sentryml_common.text import cut, duration
from sentryml_notifier.domain.channel_tests import made_up_story
from sentryml_notifier.domain.message import NEXT, Fact, Message, Tone
from sentryml_notifier.domain.message_input import Story
from sentryml_notifier.domain.story_text import LONGEST_NAME
from sentryml_notifier.domain.system_alerts.rules import Subject, SystemAlert

LONGEST_TEXT = 500
MODEL = "sentryml-system"
"""What the made-up story of a system alert has for a model."""

TITLES: Mapping[SystemFault, tuple[str, str]] = {
    SystemFault.INPUT_STALLED: ("predictions are not counted", "predictions are counted again"),
    SystemFault.EVALUATIONS_STALLED: ("models are not evaluated", "models are evaluated again"),
    SystemFault.TRANSITIONS_STALLED: ("incidents are not reported", "incidents are reported again"),
    SystemFault.COMMITS_STALLED: ("the combiner commits nothing", "the combiner commits again"),
    SystemFault.DELIVERIES_STALLED: (
        "messages to {channel} are not delivered",
        "messages to {channel} are delivered again",
    ),
    SystemFault.KAFKA_AWAY: ("Kafka does not answer", "Kafka answers again"),
    SystemFault.INCIDENTS_AWAY: ("incidents does not answer", "incidents answers again"),
}
"""What does not work, and that it works again."""
MEANS: Mapping[SystemFault, str] = {
    SystemFault.INPUT_STALLED: "Drift and silence are not noticed meanwhile. Predictions wait in Kafka, 7 days by "
    "default, and are counted when it works again.",
    SystemFault.EVALUATIONS_STALLED: "Drift and silence are not noticed meanwhile. What is sent is kept, and is "
    "evaluated when it works again.",
    SystemFault.TRANSITIONS_STALLED: "Alerts are late. They are kept, and are sent when it works again.",
    SystemFault.COMMITS_STALLED: "Predictions are counted, but a restart reads all of them again, and may take long.",
    SystemFault.DELIVERIES_STALLED: "Alerts for this channel wait there, and are sent when it works again.",
    SystemFault.KAFKA_AWAY: "Nothing is counted or evaluated meanwhile, and senders are answered 503. What has been "
    "accepted is kept.",
    SystemFault.INCIDENTS_AWAY: "No incident opens, and pages and API are unavailable. Evaluations are kept in Kafka, "
    "7 days by default.",
}
WHERE = "The page Alerts shows what does not work."
ENDS_BY_ITSELF = "A message comes when it works again."


def title_of(subject: Subject, *, over: bool = False) -> str:
    """`SentryML: predictions are not counted`."""
    began, ended = TITLES[subject.fault]
    text = ended if over else began
    return f"SentryML: {text.format(channel=cut(subject.channel, LONGEST_NAME))}"


def compose_system(alert: SystemAlert, now: datetime) -> Message:
    """The message that it has begun; that it is over, if it is."""
    over = alert.ended_at is not None
    title, known = title_of(alert.subject, over=over), cut(alert.text, LONGEST_TEXT)
    return Message(
        tone=Tone.CALM if over else Tone.CRITICAL,
        title=title,
        summary=f"{title}. {_lasted(alert)}" if over else f"{title}. {known}",
        lead=_lasted(alert) if over else known,
        facts=_ended_facts(alert, known) if over else _facts(alert, now),
        link_label=WHERE,
        link_url="",
    )


def _facts(alert: SystemAlert, now: datetime) -> tuple[Fact, ...]:
    return (
        Fact("Since", ((alert.since, f" ({duration(now - alert.since)})"),)),
        Fact("What it means", ((MEANS[alert.subject.fault],),)),
        Fact(NEXT, ((ENDS_BY_ITSELF,),)),
    )


def _ended_facts(alert: SystemAlert, known: str) -> tuple[Fact, ...]:
    assert alert.ended_at is not None
    return Fact("It lasted", ((alert.since, " to ", alert.ended_at),)), Fact("It was", ((known,),))


def _lasted(alert: SystemAlert) -> str:
    assert alert.ended_at is not None
    return f"It works again, after {duration(alert.ended_at - alert.since)}."


def system_story(alert: SystemAlert) -> Story:
    """A story for channels that want one: of no incident, with the alert's id for one, so that a beginning and its end
    belong together."""
    at = alert.ended_at or alert.since
    title = title_of(alert.subject, over=alert.ended_at is not None)
    return made_up_story(alert.alert_id, SYSTEM, at, model_id=MODEL, title=title, headline=alert.text)
