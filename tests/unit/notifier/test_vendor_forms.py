"""Forms of PagerDuty, Alertmanager, Microsoft Teams and Discord: within each vendor's limits whatever senders write, as
golden files to be read, and nothing in a value becomes a mention or a link."""

from __future__ import annotations

from datetime import timedelta
from typing import Any
from uuid import UUID

import orjson
import pytest
from hypothesis import given

from sentryml_common.contracts.transition import Transition
from sentryml_notifier.channels.alertmanager.alerts import alerts_of
from sentryml_notifier.channels.base import Outgoing
from sentryml_notifier.channels.discord import embed
from sentryml_notifier.channels.pagerduty.event import event_of, events_of
from sentryml_notifier.channels.teams import card
from sentryml_notifier.domain.message import compose, with_delivery_notes
from sentryml_notifier.domain.message_input import Story
from tests.support import vendors
from tests.support.vendors import ROUTING_KEY, Vendor
from tests.unit.notifier.builders import (
    NIGHT,
    SEEN_WARN,
    acknowledged,
    escalated,
    opened_critical,
    opened_warn,
    reopened,
    resolved,
    worsened,
)
from tests.unit.notifier.test_messages import STORIES, compare
from tests.unit.notifier.test_slack_form import steps

NAMES = ("opened-critical", "escalated", "resolved", "combined")
GROUP = UUID(int=9)


def outgoing(story: Story, *, plain: bool = False, test: bool = False) -> Outgoing:
    message = with_delivery_notes(
        compose(story),
        possibly_sent=False,
        happened_at=story.last.at,
        now=story.last.at + timedelta(seconds=9),
        reason=None,
    )
    return Outgoing(message, story, UUID(int=7), (UUID(int=8),), plain=plain, test=test, group_id=GROUP)


def pretty(body: object) -> str:
    return orjson.dumps(body, option=orjson.OPT_INDENT_2).decode() + "\n"


@pytest.mark.parametrize("name", NAMES)
def test_each_form_reads_well(name: str) -> None:
    sent = outgoing(STORIES[name])
    compare(f"pagerduty-{name}.json", pretty(orjson.loads(event_of(sent, ROUTING_KEY))))
    compare(f"alertmanager-{name}.json", pretty(alerts_of(sent.story, sent.message, GROUP, {"team": "ml"})))
    compare(f"teams-{name}.json", pretty(card.rich_payload(sent.message)))
    compare(f"discord-{name}.json", pretty(embed.rich_payload(sent.message)))


@given(steps())
def test_every_vendor_takes_every_message(step: Transition) -> None:
    story = Story([step], [step])
    for plain in (False, True):
        sent = outgoing(story, plain=plain)
        forms: list[tuple[Any, bytes]] = [
            (vendors.pagerduty, event_of(sent, ROUTING_KEY)),
            (vendors.teams, orjson.dumps((card.plain_payload if plain else card.rich_payload)(sent.message))),
            (vendors.discord, orjson.dumps((embed.plain_payload if plain else embed.rich_payload)(sent.message))),
            (vendors.alertmanager, orjson.dumps(alerts_of(story, sent.message, GROUP, {}))),
        ]
        for take, body in forms:
            vendor = Vendor()
            assert take(vendor, body).status_code < 300, vendor.refused


@pytest.mark.parametrize("hostile", ["@everyone", "<@1>", "<#1>", "<at>all</at>", "[x](https://evil.example)", "**b**"])
def test_what_senders_write_calls_nobody_and_leads_nowhere(hostile: str) -> None:
    sent = outgoing(Story([step := opened_warn(model_id="m", note=hostile)], [step]))
    on_discord, on_teams = embed.rich_payload(sent.message), card.rich_payload(sent.message)
    assert on_discord["allowed_mentions"] == {"parse": []}
    assert "entities" not in on_teams["attachments"][0]["content"]["msteams"]
    note, block = on_discord["embeds"][0]["fields"][-2]["value"], on_teams["attachments"][0]["content"]["body"][-2]
    for shown in (note, block["items"][1]["text"]):
        assert shown.replace("\\", "") == hostile, "people read what was written"
        assert shown != hostile or hostile == "@everyone", "and its markup is none"


@pytest.mark.parametrize(
    ("history", "action", "severity"),
    [
        ([opened_warn()], "trigger", "warning"),
        ([opened_critical()], "trigger", "critical"),
        ([opened_warn(), escalated()], "trigger", "critical"),
        ([opened_warn(), acknowledged()], "acknowledge", None),
        ([opened_warn(), acknowledged(), escalated(sequence=3, from_=SEEN_WARN)], "trigger", "critical"),
        ([opened_critical(), resolved()], "resolve", None),
        ([opened_critical(), resolved(), reopened()], "trigger", "warning"),
    ],
)
def test_pagerduty_gets_the_action_that_fits_the_state(history: list[Any], action: str, severity: str | None) -> None:
    event = orjson.loads(event_of(outgoing(Story(history, history[-1:])), ROUTING_KEY))
    assert (event["event_action"], event.get("payload", {}).get("severity")) == (action, severity)
    assert event["dedup_key"] == f"sentryml/{history[0].incident_id}", "one alert over there for each incident"


@pytest.mark.parametrize(
    ("history", "reported", "actions"),
    [
        ([opened_warn()], 1, ["trigger"]),
        ([opened_warn(), escalated()], 1, ["resolve", "trigger"]),
        ([opened_warn(), acknowledged(), worsened(sequence=3, from_=SEEN_WARN)], 1, ["resolve", "trigger"]),
        ([opened_warn(), escalated()], 2, ["trigger"]),
        ([opened_warn(), escalated(), resolved(sequence=3)], 2, ["resolve"]),
    ],
)
def test_what_gets_worse_pages_again(history: list[Any], reported: int, actions: list[str]) -> None:
    events = events_of(outgoing(Story(history, history[-reported:])), ROUTING_KEY)
    assert [orjson.loads(event)["event_action"] for event in events] == actions


def test_a_reminder_of_what_is_acknowledged_here_acknowledges_nothing_there() -> None:
    event = orjson.loads(event_of(outgoing(STORIES["long-drift-acknowledged"]), ROUTING_KEY))
    assert event["event_action"] == "trigger"


def shown(story: Story, *, ended: bool = True) -> list[tuple[str, str, str | None]]:
    alerts = alerts_of(story, compose(story), None, {}, ended=ended)
    return [
        (each["labels"]["severity"], each["startsAt"][11:16], each.get("endsAt", "")[11:16] or None) for each in alerts
    ]


def test_each_severity_is_an_alert_that_ends_when_it_changes() -> None:
    """02:15 opened, 02:40 escalated, 07:27 resolved."""
    steps = [opened_warn(), escalated(), resolved(sequence=3)]
    assert shown(Story(steps[:1], steps[:1])) == [("warning", "02:15", None)]
    assert shown(Story(steps[:2], steps[1:2])) == [("warning", "02:15", "02:40"), ("critical", "02:40", None)]
    assert shown(Story(steps, steps[2:])) == [("warning", "02:15", "02:40"), ("critical", "02:40", "07:27")]
    assert shown(Story(steps[:2], steps[1:2]), ended=False) == [("critical", "02:40", None)]
    assert shown(Story(steps, steps[2:]), ended=False) == []


def test_what_reopens_is_a_new_alert_since_then() -> None:
    steps = [opened_critical(), resolved(), reopened()]
    assert shown(Story(steps, steps[2:])) == [("warning", (NIGHT + timedelta(minutes=371)).strftime("%H:%M"), None)]
