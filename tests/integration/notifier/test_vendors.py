"""PagerDuty, Alertmanager, Microsoft Teams and Discord over real HTTP, by stand-ins that follow the references."""

from __future__ import annotations

from datetime import timedelta
from typing import Any
from uuid import UUID

import pytest

from sentryml_notifier.channels.base import ChannelMisconfigured, Identity, Outgoing
from sentryml_notifier.channels.kinds import KINDS
from sentryml_notifier.domain.channel_tests import trial_message, trial_story
from sentryml_notifier.domain.delivery import Outcome
from sentryml_notifier.domain.grouping import Grouping
from tests.integration.notifier.conftest import World
from tests.integration.notifier.test_groups import named, opened, pass_time
from tests.integration.notifier.vendor_channel import TAKES, resend, vendor_channel
from tests.support.vendors import Planned
from tests.unit.notifier.builders import (
    ADA,
    NIGHT,
    OPEN_WARN,
    SEEN_WARN,
    acknowledged,
    escalated,
    opened_critical,
    opened_warn,
    resolved,
)

MINUTE = 60
KEY_REFUSED = {"status": "invalid event", "message": "…", "errors": ["'routing_key' is invalid"]}
LIMITED = {"message": "You are being rate limited.", "retry_after": 1.25, "global": False}


async def test_pagerduty_shows_the_state_of_an_incident(world: World) -> None:
    async with vendor_channel(world, "pagerduty") as vendor:
        await world.take_in(opened_warn(), acknowledged())
        await world.dispatch()
        (state,) = vendor.alerts.values()
        assert state == "acknowledged"
        await world.take_in(escalated(sequence=3, from_=SEEN_WARN), resolved(sequence=4))
        await world.dispatch()
    assert list(vendor.alerts.values()) == ["resolved"]
    assert not vendor.refused


async def test_what_gets_worse_is_a_new_alert_also_where_the_old_one_was_acknowledged(world: World) -> None:
    async with vendor_channel(world, "pagerduty") as vendor:
        await world.take_in(opened_warn())
        await world.dispatch()
        vendor.alerts.update(dict.fromkeys(vendor.alerts, "acknowledged"))  # by somebody over there
        vendor.planned += [Planned(202), Planned(500)]
        await world.take_in(escalated())
        assert await world.dispatch(at_most=1) == 1
        world.clock.advance(60)
        await world.dispatch()
    assert list(vendor.alerts.values()) == ["triggered"]
    assert vendor.received[-1]["payload"]["severity"] == "critical"


async def test_an_incident_that_is_over_pages_nobody(world: World) -> None:
    async with vendor_channel(world, "pagerduty") as vendor:
        await world.take_in(opened_critical(), resolved())
        await world.dispatch()
    assert [event["event_action"] for event in vendor.received] == ["resolve"]
    assert vendor.alerts == {}


@pytest.mark.parametrize("kind", TAKES)
async def test_test_message_arrives_and_leaves_nothing_open(world: World, kind: str) -> None:
    async with vendor_channel(world, kind) as vendor:
        at, trial_id = world.clock(), UUID(int=4)
        story = trial_story(trial_id, ADA, at)
        outgoing = Outgoing(trial_message("ops", ADA, at), story, trial_id, (trial_id,), test=True)
        result = await world.channel.send(outgoing)
    assert (result.outcome, vendor.refused) == (Outcome.DELIVERED, [])
    assert "Test message" in str(vendor.received)
    if kind == "pagerduty":
        assert list(vendor.alerts.values()) == ["resolved"]
    if kind == "alertmanager":
        assert vendor.received[0][0]["endsAt"] > vendor.received[0][0]["startsAt"]


@pytest.mark.parametrize(
    ("kind", "planned", "outcome", "reason"),
    [
        ("pagerduty", Planned(400, KEY_REFUSED), Outcome.CHANNEL_REFUSED, "invalid_routing_key"),
        ("pagerduty", Planned(400, {"errors": ["'payload' is invalid"]}), Outcome.MESSAGE_REFUSED, "invalid_message"),
        ("pagerduty", Planned(429), Outcome.RATE_LIMITED, "rate_limited"),
        ("pagerduty", Planned(500), Outcome.UNCERTAIN, "http_5xx"),
        ("pagerduty", Planned(200, "<html>"), Outcome.UNCERTAIN, "strange_answer"),
        (
            "alertmanager",
            Planned(400, "start time must be before end time"),
            Outcome.MESSAGE_REFUSED,
            "invalid_message",
        ),
        ("alertmanager", Planned(401), Outcome.CHANNEL_REFUSED, "not_authorised"),
        ("alertmanager", Planned(503), Outcome.NOT_ACCEPTED, "http_503"),
        ("teams", Planned(202), Outcome.DELIVERED, "ok"),
        (
            "teams",
            Planned(400, {"error": {"code": "TriggerInputSchemaMismatch"}}),
            Outcome.MESSAGE_REFUSED,
            "invalid_message",
        ),
        ("teams", Planned(404, {"error": {"code": "WorkflowNotFound"}}), Outcome.CHANNEL_REFUSED, "not_found"),
        (
            "teams",
            Planned(400, {"error": {"code": "WorkflowTriggerIsNotEnabled"}}),
            Outcome.CHANNEL_REFUSED,
            "switched_off",
        ),
        ("teams", Planned(413), Outcome.MESSAGE_REFUSED, "too_large"),
        ("teams", Planned(429, "", {"Retry-After": "17"}), Outcome.RATE_LIMITED, "rate_limited"),
        ("discord", Planned(404, {"code": 10015}), Outcome.CHANNEL_REFUSED, "unknown_webhook"),
        ("discord", Planned(401, {"code": 50027}), Outcome.CHANNEL_REFUSED, "invalid_token"),
        ("discord", Planned(400, {"code": 50035}), Outcome.MESSAGE_REFUSED, "invalid_message"),
        ("discord", Planned(429, LIMITED, {"Retry-After": "2"}), Outcome.RATE_LIMITED, "rate_limited"),
        ("discord", Planned(429, "<html>", {"Retry-After": "9"}), Outcome.RATE_LIMITED, "rate_limited"),
        ("discord", Planned(200, "<html>"), Outcome.UNCERTAIN, "strange_answer"),
        ("discord", Planned(302), Outcome.CHANNEL_REFUSED, "redirect"),
    ],
)
async def test_answers_over_the_wire(world: World, kind: str, planned: Planned, outcome: Outcome, reason: str) -> None:
    async with vendor_channel(world, kind) as vendor:
        vendor.planned.append(planned)
        await world.take_in(opened_critical())
        await world.dispatch(at_most=1)
    (attempt,) = await world.attempts()
    assert (attempt["outcome"], attempt["reason"]) == (outcome.value, reason)
    assert "html" not in attempt["text"]
    assert attempt["http_status"] == planned.status
    if reason == "rate_limited" and planned.body == LIMITED:
        paused = (await world.pool.fetchval("SELECT paused_until FROM channel WHERE name = 'ops'")) - world.clock()
        assert timedelta(seconds=1.25) <= paused < timedelta(seconds=1.4), "not the rounded header"


@pytest.mark.parametrize("kind", TAKES)
async def test_what_is_refused_for_its_form_arrives_in_a_simpler_one(world: World, kind: str) -> None:
    async with vendor_channel(world, kind) as vendor:
        vendor.planned.append(Planned(400, {"code": 50035}))
        await world.take_in(opened_critical())
        assert await world.dispatch() == 2
    (delivery,) = await world.deliveries()
    assert (delivery["state"], delivery["plain"], len(vendor.received)) == ("delivered", True, 1)


@pytest.mark.parametrize(("kind", "messages"), [("pagerduty", 4), ("alertmanager", 4), ("teams", 1), ("discord", 1)])
async def test_people_get_a_group_and_programs_each_incident_with_its_id(
    world: World, kind: str, messages: int
) -> None:
    world.grouping = Grouping(timedelta(seconds=20), timedelta(seconds=600))
    async with vendor_channel(world, kind) as vendor:
        await world.take_in(*opened(range(4)))
        assert await world.dispatch() + await pass_time(world, 20) == messages
    groups = await world.pool.fetch("SELECT DISTINCT group_id FROM delivery")
    assert len(groups) == 1
    if not KINDS[kind].for_people:
        assert all(str(groups[0]["group_id"]) in str(each) for each in vendor.received)


@pytest.mark.parametrize(
    ("kind", "settings", "secret", "why"),
    [
        ("pagerduty", {}, {"routing_key": "verysecret"}, "32 letters"),
        ("discord", {}, {"url": "https://evil.example/api/webhooks/1/verysecret"}, "discord.com/api/webhooks"),
        ("teams", {}, {"url": "http://10.0.0.1/verysecret"}, "SENTRYML_ALLOWED_HOSTS"),
        ("alertmanager", {"urls": ["http://alertmanager:9093"]}, {}, "SENTRYML_ALLOWED_HOSTS"),
        ("alertmanager", {"urls": ["https://a.example"], "labels": ["severity=x"]}, {}, "severity"),
        ("alertmanager", {"urls": ["https://a.example"]}, {"user": "verysecret"}, "belong together"),
    ],
)
def test_what_cannot_work_is_refused_without_being_shown(
    world: World, kind: str, settings: dict[str, Any], secret: dict[str, Any], why: str
) -> None:
    with pytest.raises(ChannelMisconfigured, match=why) as refused:
        KINDS[kind].opened(world.tools(), Identity(UUID(int=2), "ops"), settings, secret)
    assert "verysecret" not in str(refused.value)


def severities(alerts: list[dict[str, Any]]) -> dict[str, bool]:
    """The alerts of a message by severity, and whether each is live."""
    return {each["labels"]["severity"]: "endsAt" not in each for each in alerts}


async def test_alertmanager_is_sent_a_live_incident_again_until_it_is_over(world: World) -> None:
    async with vendor_channel(world, "alertmanager") as vendor:
        await world.take_in(opened_warn())
        await world.dispatch()
        assert not await resend(world), "it is not due yet"
        for _ in range(3):
            world.clock.advance(MINUTE)
            assert await resend(world)
        await world.take_in(escalated())
        await world.dispatch()
        world.clock.advance(MINUTE)
        assert await resend(world)
        await world.take_in(resolved(sequence=3))
        await world.dispatch()
        world.clock.advance(MINUTE)
        assert not await resend(world)
    assert list(map(severities, vendor.received)) == [
        {"warning": True},
        *[{"warning": True}] * 3,
        {"warning": False, "critical": True},
        {"critical": True},
        {"warning": False, "critical": False},
    ]
    assert vendor.received[0][0]["labels"]["team"] == "ml"
    assert vendor.headers[0]["authorization"] == "Bearer secret-token"
    assert len(await world.attempts()) == 3, "what is sent again is no delivery"


async def test_a_step_that_is_not_delivered_is_not_sent_again(world: World) -> None:
    async with vendor_channel(world, "alertmanager") as vendor:
        await world.take_in(opened_warn())
        await world.dispatch()
        await world.take_in(escalated())
        world.clock.advance(MINUTE)
        assert await resend(world)
    assert severities(vendor.received[-1]) == {"warning": True}


async def test_what_alertmanager_did_not_take_is_sent_again_soon(world: World) -> None:
    async with vendor_channel(world, "alertmanager") as vendor:
        await world.take_in(opened_warn())
        await world.dispatch()
        vendor.planned.append(Planned(503))
        world.clock.advance(MINUTE)
        assert not await resend(world)
        world.clock.advance(15)
        assert await resend(world)


async def test_an_end_that_is_delivered_meanwhile_is_what_arrives_last(world: World) -> None:
    async with vendor_channel(world, "alertmanager") as vendor:
        await world.take_in(opened_warn())
        await world.dispatch()
        channel: Any = world.channel.channel
        before = channel.resend

        async def overtaken(*incidents: Any, **how: Any) -> Any:
            if not how["ended"]:
                await world.take_in(resolved(from_=OPEN_WARN))
                await world.dispatch()
            return await before(*incidents, **how)

        channel.resend = overtaken
        world.clock.advance(MINUTE)
        assert await resend(world)
    assert [severities(each)["warning"] for each in vendor.received] == [True, False, True, False]
    assert await world.pool.fetchval("SELECT count(*) FROM resending") == 0


async def test_nobody_sends_again_what_was_over_while_its_route_was_off(world: World) -> None:
    async with vendor_channel(world, "alertmanager"):
        await world.take_in(opened_warn())
        await world.dispatch()
        await world.pool.execute("UPDATE route SET enabled = false")
        await world.take_in(resolved(from_=OPEN_WARN))
        world.clock.advance(MINUTE)
        assert not await resend(world)
    assert await world.pool.fetchval("SELECT count(*) FROM resending") == 0


async def test_two_replicas_send_again_once(world: World) -> None:
    async with vendor_channel(world, "alertmanager") as vendor:
        await world.take_in(opened_warn(**named(1)), opened_critical(**named(2), at=NIGHT))
        await world.dispatch()
        world.clock.advance(MINUTE)
        assert await resend(world)
        assert not await resend(world)
    assert [len(each) for each in vendor.received] == [1, 1, 2]
