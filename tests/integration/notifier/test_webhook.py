"""The signed webhook over real HTTP, verified by the very code that the documentation gives to receivers."""

from __future__ import annotations

import re
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any
from uuid import UUID, uuid5

import orjson
import pytest

from sentryml_common.contracts.transition import Transition
from sentryml_notifier.channel_registry import ChannelRegistry
from sentryml_notifier.channels.base import Channel, Identity, Outgoing
from sentryml_notifier.channels.kinds import KINDS
from sentryml_notifier.delivery.reminders import remind
from sentryml_notifier.domain.delivery import Outcome
from sentryml_notifier.domain.message import compose, with_delivery_notes
from sentryml_notifier.domain.message_input import Story
from sentryml_notifier.secrets import SecretBox
from tests.integration.notifier.conftest import World, make_channel
from tests.support.http_server import Answer, HttpServer, Received, answer, flood, hang, http_server, reset
from tests.unit.notifier.builders import IDS, opened_critical, resolved

OPS = Identity(UUID(int=2), "ops")
PAGE = Path(__file__).parents[3] / "docs" / "webhook.md"
OLD, NEW = "whsec_b2xkb2xkb2xkb2xkb2xkb2xkb2xkb2xk", "whsec_bmV3bmV3bmV3bmV3bmV3bmV3bmV3bmV3"


@dataclass
class Documented:
    """The code of the page, as a receiver would paste it."""

    verify: Callable[..., Any]
    NotGenuine: type[Exception]


@pytest.fixture(scope="module")
def documented() -> Documented:
    (code,) = re.findall(r"```python\n(.*?)```", PAGE.read_text(), re.DOTALL)
    names: dict[str, Any] = {}
    exec(code, names)
    return Documented(names["verify"], names["NotGenuine"])


def to_send(*steps: Transition, repeat: bool = False, plain: bool = False) -> Outgoing:
    story = Story(list(steps), list(steps))
    at = story.last.at
    message = with_delivery_notes(compose(story), possibly_sent=repeat, happened_at=at, now=at, reason=None)
    ids = tuple(uuid5(IDS, f"delivery/{step.sequence}") for step in steps)
    return Outgoing(message, story, UUID(int=7), ids, possibly_sent=repeat, plain=plain)


def webhook(world: World, server: HttpServer, *secrets: str) -> Channel:
    return KINDS["webhook"].opened(
        world.tools(server.authority), OPS, {}, {"url": f"http://{server.authority}/in?x", "signing_secrets": secrets}
    )


@pytest.fixture
async def receiver() -> AsyncIterator[HttpServer]:
    async with http_server(answer(204)) as server:
        yield server


async def test_delivery_is_verified_by_the_documented_code(
    world: World, receiver: HttpServer, documented: Documented
) -> None:
    outgoing = to_send(opened_critical(), resolved())
    result = await webhook(world, receiver, NEW, OLD).send(outgoing)
    assert result.outcome is Outcome.DELIVERED
    (got,) = receiver.received
    now = world.clock().timestamp()
    for known in ([NEW], [OLD], ["whsec_eHh4", NEW]):
        body = documented.verify(got.headers, got.body, known, now)
        assert body["type"] == "incident.resolved"
    data = body["data"]
    assert data["delivery_id"] == got.headers["webhook-id"] == str(outgoing.delivery_ids[-1])
    assert Transition.model_validate_json(orjson.dumps(data["transition"])) == outgoing.story.last
    assert [each["kind"] for each in data["earlier"]] == ["opened"]
    assert data["message"]["link"]["url"] == outgoing.message.link_url
    assert got.line == "POST /in?x HTTP/1.1"
    assert got.headers["content-type"] == "application/json"


@pytest.mark.parametrize("what", ["body", "webhook-id", "webhook-timestamp", "secret", "old", "early"])
async def test_changed_or_old_delivery_is_not_genuine(
    world: World, receiver: HttpServer, documented: Documented, what: str
) -> None:
    await webhook(world, receiver, NEW).send(to_send(opened_critical()))
    (got,) = receiver.received
    now, headers, body, secret = world.clock().timestamp(), dict(got.headers), got.body, NEW
    assert documented.verify(headers, body, [secret], now)
    match what:
        case "body":
            body = body.replace(b"critical", b"trifling", 1)
        case "secret":
            secret = OLD
        case "old":
            now += 301
        case "early":
            now -= 301
        case "webhook-timestamp":
            headers[what] = str(int(headers[what]) + 1)
        case _:
            headers[what] += "x"
    with pytest.raises(documented.NotGenuine):
        documented.verify(headers, body, [secret], now)


async def test_repeat_has_the_same_id_and_says_that_it_is_one(world: World, documented: Documented) -> None:
    async with http_server(reset, answer(200)) as receiver:
        channel = webhook(world, receiver, NEW)
        first = await channel.send(to_send(opened_critical()))
        world.clock.advance(400)
        second = await channel.send(to_send(opened_critical(), repeat=True))
    assert (first.outcome, second.outcome) == (Outcome.UNCERTAIN, Outcome.DELIVERED)
    before, again = receiver.received
    assert before.headers["webhook-id"] == again.headers["webhook-id"]
    body = documented.verify(again.headers, again.body, [NEW], world.clock().timestamp())
    assert body["data"]["repeat"] is True
    assert body["data"]["message"]["title"].endswith("(repeat)")


def parsed(got: Received) -> dict[str, Any]:
    found: dict[str, Any] = orjson.loads(got.body)
    return found["data"]  # type: ignore[no-any-return]


async def test_plain_form_is_shorter_and_says_the_same(world: World, receiver: HttpServer) -> None:
    channel = webhook(world, receiver, NEW)
    await channel.send(to_send(opened_critical()))
    await channel.send(to_send(opened_critical(), plain=True))
    whole, plain = map(parsed, receiver.received)
    assert len(receiver.received[1].body) < len(receiver.received[0].body) / 2
    assert plain["transition"] == whole["transition"] | {"why": []}
    assert plain["message"] == whole["message"] | {"facts": []}


async def test_message_that_only_tries_the_channel_is_no_incident(world: World, receiver: HttpServer) -> None:
    await webhook(world, receiver, NEW).send(replace(to_send(opened_critical()), test=True))
    assert orjson.loads(receiver.received[0].body)["type"] == "test"


@pytest.mark.parametrize(
    ("odd", "outcome", "reason"),
    [
        (answer(200, b"<script>"), Outcome.DELIVERED, "ok"),
        (flood, Outcome.DELIVERED, "ok"),
        (reset, Outcome.UNCERTAIN, "connection_lost"),
        (answer(302, location="http://127.0.0.1:1/"), Outcome.CHANNEL_REFUSED, "redirect"),
        (answer(429, retry_after="7"), Outcome.RATE_LIMITED, "rate_limited"),
        (answer(500), Outcome.UNCERTAIN, "http_5xx"),
    ],
)
async def test_answers_over_the_wire(world: World, odd: Answer, outcome: Outcome, reason: str) -> None:
    async with http_server(odd) as receiver:
        result = await webhook(world, receiver, NEW).send(to_send(opened_critical()))
    assert (result.outcome, result.reason) == (outcome, reason)
    assert "script" not in result.text


async def test_receiver_that_hangs_is_given_up_in_time(world: World) -> None:
    async with http_server(hang) as receiver:
        tools = world.tools(receiver.authority)
        secret = {"url": f"http://{receiver.authority}/", "signing_secrets": [NEW]}
        channel = KINDS["webhook"].opened(replace(tools, send_seconds=0.3), OPS, {}, secret)
        result = await channel.send(to_send(opened_critical()))
    assert (result.outcome, result.reason) == (Outcome.UNCERTAIN, "timeout")


async def test_reminder_is_distinguished_from_the_alert(world: World, receiver: HttpServer) -> None:
    """Who counts alerts, or pages somebody, must not take it for a new one."""
    secret_box = SecretBox(["k" * 32])
    sealed = secret_box.seal({"url": f"http://{receiver.authority}/", "signing_secrets": [NEW]})
    channel_id = await make_channel(world, "ops", "webhook", sealed)
    await world.pool.execute("UPDATE route SET remind_after_seconds = 600 WHERE channel_id = $1", channel_id)
    registry = ChannelRegistry(world.tools(receiver.authority), secret_box, {})
    ops = (await registry.read())[channel_id]
    await world.take_in(opened_critical())
    dispatcher = world.dispatcher(registry=registry)
    assert await dispatcher.dispatch_one(ops)
    world.clock.advance(600)
    assert await remind(world.pool, world.clock) == 1
    assert await dispatcher.dispatch_one(ops)
    alert, reminder = (orjson.loads(got.body) for got in receiver.received)
    assert (alert["type"], alert["data"]["reminder"]) == ("incident.opened", None)
    assert (reminder["type"], reminder["data"]["reminder"]) == ("incident.reminder", {"number": 1, "times": 3})
    assert reminder["data"]["transition"] == alert["data"]["transition"]
    assert reminder["data"]["delivery_id"] != alert["data"]["delivery_id"], "or it would be dropped as a repeat"


async def test_410_is_for_good_until_somebody_enters_something_else(world: World) -> None:
    secret_box = SecretBox(["k" * 32])
    async with http_server(answer(410), answer(200)) as receiver:
        sealed = secret_box.seal({"url": f"http://{receiver.authority}/", "signing_secrets": [NEW]})
        channel_id = await make_channel(world, "ops", "webhook", sealed)
        registry = ChannelRegistry(world.tools(receiver.authority), secret_box, {})
        ops = (await registry.read())[channel_id]
        await world.take_in(opened_critical())
        dispatcher = world.dispatcher(registry=registry)
        assert await dispatcher.dispatch_one(ops)
        for _ in range(3):
            world.clock.advance(3600)
            await dispatcher.revive_once(ops)
            assert not await dispatcher.dispatch_one(ops)
        row = await world.pool.fetchrow("SELECT state, broken_reason FROM channel WHERE channel_id = $1", channel_id)
        assert row is not None
        assert row["state"] == "broken"
        assert "wants no messages any more (410)" in row["broken_reason"]
    assert len(receiver.received) == 1
