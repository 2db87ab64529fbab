"""System alerts: noticed by asking incidents, sent once to the channels of routes that take them, over restarts."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime
from typing import Any

import httpx
import pytest
from pydantic import SecretStr

from sentryml_common.contracts.internal.system_state import PATH, FoundFault, SystemState
from sentryml_common.contracts.message import encode
from sentryml_local.slack_stand_in.store import Script
from sentryml_notifier.channel_registry import ChannelRegistry
from sentryml_notifier.incidents import Incidents
from sentryml_notifier.system_alerts.sender import SystemSender
from sentryml_notifier.system_alerts.watch import CHECK_EVERY_SECONDS, SystemWatch
from tests.integration.notifier.api_client import Api, api
from tests.integration.notifier.conftest import LEASE, World
from tests.unit.notifier.builders import NIGHT, opened_critical

__all__ = ["api"]

COUNTED = "What is sent is not counted: is a combiner running?"
INPUT_STALLED = FoundFault(fault="input_stalled", since=NIGHT, text=COUNTED)


class Watched:
    """A watch of a world whose incidents service finds `found`, or does not answer where that is None."""

    def __init__(self, world: World) -> None:
        self.world = world
        self.found: tuple[FoundFault, ...] | None = ()
        self.kafka_answered_at: datetime | None = None
        self.commits_stalled_since: datetime | None = None
        self.asked: list[httpx.Request] = []
        self.start()

    def start(self) -> None:
        """Start it, again after a restart."""
        client = httpx.AsyncClient(transport=httpx.MockTransport(self._answer))
        incidents = Incidents("http://incidents", SecretStr("between us " * 4), client, self.world.clock)
        clock = self.world.clock
        self.watch = SystemWatch(
            self.world.pool, incidents, lambda: self.kafka_answered_at or clock(), lambda: self.commits_stalled_since,
            lambda: None, clock,
        )  # fmt: skip

    def _answer(self, request: httpx.Request) -> httpx.Response:
        self.asked.append(request)
        if self.found is None:
            raise httpx.ConnectError("nobody is there")
        return httpx.Response(200, content=encode(SystemState(at=self.world.clock(), found=self.found)))

    async def checks(self, seconds: float) -> None:
        for _ in range(int(seconds / CHECK_EVERY_SECONDS)):
            await self.watch.check()
            self.world.clock.advance(CHECK_EVERY_SECONDS)

    async def sends(self, registry: ChannelRegistry | None = None) -> int:
        """Send what is due; return how many messages were attempted."""
        world = self.world
        opened = registry or world.registry(None, world.given)
        await opened.read()
        sender = SystemSender(world.pool, opened, LEASE, world.clock, lambda: 0.5, world.new_id)
        sent = 0
        while await sender.send_one():
            sent += 1
        return sent


@pytest.fixture
def watched(world: World) -> Iterator[Watched]:
    return Watched(world)


async def test_a_channel_that_is_deleted_when_its_message_is_claimed_ends_nothing(
    world: World, watched: Watched, monkeypatch: pytest.MonkeyPatch
) -> None:
    registry = world.registry(None, world.given)
    channels = iter([await registry.read()])
    monkeypatch.setattr(ChannelRegistry, "opened", property(lambda _: next(channels, {})))
    watched.found = (INPUT_STALLED,)
    await watched.checks(180)
    assert await SystemSender(world.pool, registry, LEASE, world.clock, lambda: 0.5, world.new_id).send_one()
    assert len(world.slack.titles) == 1


async def test_one_message_when_it_begins_and_one_when_it_ends_over_restarts(world: World, watched: Watched) -> None:
    watched.found = (INPUT_STALLED,)
    for _ in range(3):
        await watched.checks(120)
        await watched.sends()
        watched.start()
    assert world.slack.titles == ["🔴 SentryML: predictions are not counted"]
    assert COUNTED in world.slack.texts[0]
    watched.found = ()
    for _ in range(3):
        await watched.checks(60)
        await watched.sends()
        watched.start()
    assert world.slack.titles[1:] == ["🟢 SentryML: predictions are counted again"]
    assert watched.asked[0].url.path == PATH


async def test_two_notifiers_alert_once(world: World, watched: Watched) -> None:
    other = Watched(world)
    watched.found = other.found = (INPUT_STALLED,)
    for _ in range(12):
        await watched.watch.check()
        await other.watch.check()
        world.clock.advance(10)
    assert await watched.sends() + await other.sends() == 1


async def test_incidents_that_does_not_answer_is_a_fault_and_what_it_knew_is_unknown(
    world: World, watched: Watched
) -> None:
    watched.found = (INPUT_STALLED,)
    await watched.checks(120)
    watched.found = None
    await watched.checks(180)
    watched.found = (INPUT_STALLED,)
    await watched.checks(60)
    await watched.sends()
    assert world.slack.titles == [
        "🔴 SentryML: predictions are not counted",
        "🟢 SentryML: incidents answers again",
    ], "nobody has to be called for what is over before it could be sent"
    assert "It works again, after" in world.slack.texts[1]


async def test_kafka_that_does_not_answer_is_one_alert(world: World, watched: Watched) -> None:
    watched.kafka_answered_at = world.clock()
    watched.found = (INPUT_STALLED, FoundFault(fault="evaluations_stalled", since=NIGHT, text="No model is evaluated."))
    await watched.checks(300)
    await watched.sends()
    assert world.slack.titles == ["🔴 SentryML: Kafka does not answer"]


async def test_combiner_that_commits_nothing_is_reported_unless_there_is_none(world: World, watched: Watched) -> None:
    watched.commits_stalled_since = world.clock()
    await watched.checks(80)
    await watched.sends()
    assert world.slack.titles == ["🔴 SentryML: the combiner commits nothing"]
    watched.commits_stalled_since, watched.found = None, (INPUT_STALLED,)
    await watched.checks(80)
    watched.commits_stalled_since = world.clock()
    await watched.checks(80)
    await watched.sends()
    assert world.slack.titles[1:] == ["🔴 SentryML: predictions are not counted"]


async def test_a_broken_channel_is_reported_on_another_one(world: World, watched: Watched, api: Api) -> None:
    other = await api.make_channel("ops", world.slack.address)
    body = {"name": "ops", "channel_id": other["channel_id"], "model_patterns": ["fraud-*"], "system": True}
    await api.ask("POST", "/v1/routes", 201, json=body)
    world.slack.play(Script(status=410, body="channel_is_archived"))
    await world.take_in(opened_critical())
    await world.dispatch()
    await watched.checks(80)
    await watched.sends(world.registry(api.context.secret_box, world.given))
    (text,) = world.slack.texts
    assert text.startswith("🔴 SentryML: messages to slack are not delivered")
    assert "1 message waits: The webhook's Slack channel is archived." in text
    (shown,) = (await api.ask("GET", "/v1/system-alerts", 200))["items"]
    assert (shown["fault"], shown["channel"], shown["ended_at"]) == ("deliveries_stalled", "slack", None)


async def test_what_has_waited_on_purpose_is_late_from_its_first_attempt_on(
    world: World, watched: Watched, api: Api
) -> None:
    await world.pool.execute("UPDATE route SET hold_hours = $1, hold_critical = true", ["daily 00:00-04:00"])
    await world.take_in(opened_critical())
    world.clock.advance(2 * 3600)
    world.slack.play(Script(status=429, headers={"Retry-After": "1200"}))
    assert await world.dispatch() == 1
    assert (await api.ask("GET", "/v1/channels", 200))["items"][0]["waiting"] == 1
    await watched.checks(600)
    assert await watched.sends() == 0
    await watched.checks(600)
    (shown,) = (await api.ask("GET", "/v1/system-alerts", 200))["items"]
    assert shown["fault"] == "deliveries_stalled"


async def test_failed_message_is_retried_with_what_is_so_by_then(world: World, watched: Watched) -> None:
    watched.found = (INPUT_STALLED,)
    await watched.checks(80)
    world.slack.play(Script(status=429, headers={"Retry-After": "600"}))
    assert await watched.sends() == 1
    watched.found = ()
    await watched.checks(60)
    assert await watched.sends() == 1
    assert world.slack.titles == ["🟢 SentryML: predictions are counted again"]
    world.clock.advance(3600)
    assert await watched.sends() == 0


async def test_without_a_route_for_them_they_are_shown(world: World, watched: Watched, api: Api) -> None:
    await world.pool.execute("UPDATE route SET system = false")
    watched.found = (INPUT_STALLED,)
    await watched.checks(80)
    assert await watched.sends() == 0
    (shown,) = (await api.ask("GET", "/v1/system-alerts", 200))["items"]
    assert shown["title"] == "SentryML: predictions are not counted"


async def flags(api: Api) -> dict[str, Any]:
    return {each["name"]: each["system"] for each in (await api.ask("GET", "/v1/routes", 200))["items"]}


async def test_first_route_takes_system_alerts_and_others_if_they_say_so(world: World, api: Api) -> None:
    assert await flags(api) == {"slack": True}
    body = {"channel_id": str(world.channel.channel_id)}
    made = await api.ask("POST", "/v1/routes", 201, json=body | {"name": "second"})
    third = await api.ask("POST", "/v1/routes", 201, json=body | {"name": "third", "system": True})
    assert await flags(api) == {"slack": True, "second": False, "third": True}
    await world.pool.execute("UPDATE route SET deleted_at = now() WHERE name = 'slack'")
    await api.ask("PUT", f"/v1/routes/{third['route_id']}", 200, json=body | {"name": "third"})
    assert await flags(api) == {"second": False, "third": True}, "no other route takes them"
    await api.ask("PUT", f"/v1/routes/{third['route_id']}", 200, json=body | {"name": "third", "system": False})
    await api.ask("PUT", f"/v1/routes/{made['route_id']}", 200, json=body | {"name": "second"})
    assert await flags(api) == {"second": True, "third": False}
