"""When system alerts begin and end, and what they say."""

from __future__ import annotations

from collections.abc import Collection
from datetime import timedelta

import orjson
import pytest

from sentryml_common.contracts.internal.system_state import SystemFault
from sentryml_notifier.channels.base import Outgoing
from sentryml_notifier.channels.webhook.body import body_of
from sentryml_notifier.domain.system_alerts.rules import (
    KNOWN_BY_INCIDENTS,
    Finding,
    Observed,
    Subject,
    SystemAlert,
    judge,
)
from sentryml_notifier.domain.system_alerts.text import compose_system, system_story, title_of
from tests.unit.notifier.builders import IDS, NIGHT

INPUT, KAFKA = Subject(SystemFault.INPUT_STALLED), Subject(SystemFault.KAFKA_AWAY)
OPS = Subject(SystemFault.DELIVERIES_STALLED, "ops")


class Watched:
    """A watch that looks each ten seconds."""

    def __init__(self) -> None:
        self.observed, self.live, self.seconds = Observed(), set[Subject](), 0
        self.steps: list[tuple[int, str]] = []

    def sees(self, *subjects: Subject, seconds: int, unknown: Collection[SystemFault] = ()) -> None:
        for _ in range(0, seconds, 10):
            now = NIGHT + timedelta(seconds=self.seconds)
            findings = [Finding(each, NIGHT, "It does not work.") for each in subjects]
            verdict = judge(self.observed, self.live, findings, unknown, now)
            self.observed = verdict.observed
            self.live |= {each.subject for each in verdict.begins}
            self.live -= set(verdict.ends)
            self.steps += [(self.seconds, f"+{each.subject.fault}") for each in verdict.begins]
            self.steps += [(self.seconds, f"-{each.fault}") for each in verdict.ends]
            self.seconds += 10


def test_fault_begins_once_after_a_minute_and_ends_once_when_it_is_gone() -> None:
    watch = Watched()
    watch.sees(INPUT, OPS, seconds=300)
    watch.sees(OPS, seconds=300)
    assert watch.steps == [(60, "+deliveries_stalled"), (60, "+input_stalled"), (330, "-input_stalled")]


def test_restart_is_no_alert_and_a_short_recovery_no_end() -> None:
    watch = Watched()
    for _ in range(5):
        watch.sees(INPUT, seconds=60)
        watch.sees(seconds=10)
    watch.sees(INPUT, seconds=70)
    watch.sees(seconds=20)
    watch.sees(INPUT, seconds=60)
    assert [step for _, step in watch.steps] == ["+input_stalled"]


def test_nothing_begins_or_ends_of_what_nobody_says() -> None:
    watch = Watched()
    watch.sees(INPUT, seconds=70)
    watch.sees(seconds=300, unknown=KNOWN_BY_INCIDENTS)
    watch.sees(seconds=20)
    assert [step for _, step in watch.steps] == ["+input_stalled"]
    watch.sees(seconds=20)
    assert [step for _, step in watch.steps] == ["+input_stalled", "-input_stalled"]


def test_without_kafka_its_consequences_are_no_faults_of_their_own() -> None:
    watch = Watched()
    watch.sees(INPUT, KAFKA, OPS, seconds=300)
    watch.sees(INPUT, seconds=80)
    watch.sees(seconds=300)
    steps = [step for _, step in watch.steps]
    assert steps == ["+deliveries_stalled", "+kafka_away", "-deliveries_stalled", "-kafka_away"]


def an_alert(subject: Subject = INPUT, *, minutes: float | None = None) -> SystemAlert:
    text = "What is sent is not counted: is a combiner running?"
    ended_at = None if minutes is None else NIGHT + timedelta(minutes=minutes)
    return SystemAlert(IDS, subject, NIGHT, text, NIGHT + timedelta(minutes=11), ended_at)


def test_beginning_says_what_does_not_work_since_when_and_what_it_means() -> None:
    message = compose_system(an_alert(), NIGHT + timedelta(minutes=11))
    assert (message.tone, message.title) == ("critical", "SentryML: predictions are not counted")
    assert message.lead == an_alert().text
    assert message.summary == f"{message.title}. {message.lead}"
    facts = {fact.label: fact.lines for fact in message.facts}
    assert facts["Since"] == ((NIGHT, " (11 min)"),)
    assert "Drift and silence are not noticed meanwhile." in facts["What it means"][0][0]


def test_end_says_how_long_it_lasted() -> None:
    message = compose_system(an_alert(minutes=90), NIGHT + timedelta(minutes=90))
    assert (message.tone, message.title) == ("calm", "SentryML: predictions are counted again")
    assert message.lead == "It works again, after 1 h 30 min."


@pytest.mark.parametrize("fault", SystemFault)
def test_every_fault_has_its_texts(fault: SystemFault) -> None:
    for minutes in (None, 5.0):
        message = compose_system(an_alert(Subject(fault, "ops"), minutes=minutes), NIGHT)
        assert "{" not in message.title
    assert title_of(OPS) == "SentryML: messages to ops are not delivered"


def test_webhook_gets_a_type_of_its_own_and_no_transition() -> None:
    alert = an_alert(OPS, minutes=90)
    outgoing = Outgoing(compose_system(alert, NIGHT), system_story(alert), IDS, (IDS,), system=alert)
    body = orjson.loads(body_of(outgoing))
    assert (body["type"], body["data"]["transition"], body["data"]["earlier"]) == ("system.ended", None, [])
    assert body["data"]["system"]["fault"] == "deliveries_stalled"
    assert body["data"]["system"]["channel"] == "ops"
    assert body["timestamp"] == body["data"]["system"]["ended_at"]
