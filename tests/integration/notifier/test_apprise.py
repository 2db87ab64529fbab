"""Channels by apprise, with a real receiver for its `json://`."""

from __future__ import annotations

import sys
from dataclasses import replace
from uuid import UUID

import orjson
import pytest

from sentryml_notifier.channels.apprise.sender import LOCAL, NOT_OURS, THREADS_MAX
from sentryml_notifier.channels.base import Channel, ChannelMisconfigured, Identity, Outgoing, Tools
from sentryml_notifier.channels.kinds import KINDS
from sentryml_notifier.domain.delivery import Outcome, SendResult
from sentryml_notifier.domain.message import Tone, compose
from sentryml_notifier.domain.message_input import Story
from tests.integration.notifier.conftest import SEND_SECONDS, World
from tests.support.http_server import Answer, answer, hang, http_server, reset
from tests.unit.notifier.builders import opened_critical, opened_warn, resolved

# Of apprise's own, as it is imported.
pytestmark = pytest.mark.filterwarnings("ignore:'imghdr' is deprecated")

OPS = Identity(UUID(int=2), "ops")


def to_send(title: str | None = None) -> Outgoing:
    story = Story([opened_critical()], [opened_critical()])
    message = compose(story)
    return Outgoing(replace(message, title=title or message.title), story, UUID(int=7), (UUID(int=8),))


def tools_of(world: World, *schemas: str, send_seconds: float = SEND_SECONDS) -> Tools:
    return replace(world.tools(), apprise_schemas=frozenset(schemas), send_seconds=send_seconds)


def opened(tools: Tools, url: str) -> Channel:
    return KINDS["apprise"].opened(tools, OPS, {}, {"url": url})


def outcome(result: SendResult) -> tuple[Outcome, str]:
    return result.outcome, result.reason


async def test_message_arrives(world: World) -> None:
    async with http_server() as receiver:
        result = await opened(tools_of(world, "json"), f"json://{receiver.authority}/in").send(to_send("<b>a</b> & b"))
    assert outcome(result) == (Outcome.DELIVERED, "ok")
    (got,) = receiver.received
    body = orjson.loads(got.body)
    assert body["title"] == "<b>a</b> & b"
    assert body["type"] == "failure"
    assert "scores 0.92–1.00: 4.1 % → 19 %" in body["message"]
    assert "https://sentryml.example/incidents/42" in body["message"]


@pytest.mark.parametrize("odd", [answer(500), answer(404), answer(429, retry_after="7"), reset])
async def test_failure_is_uncertain_since_apprise_does_not_say_why(world: World, odd: Answer) -> None:
    async with http_server(odd) as receiver:
        result = await opened(tools_of(world, "json"), f"json://{receiver.authority}/verysecret").send(to_send())
    assert outcome(result) == (Outcome.UNCERTAIN, "failed")
    assert len(receiver.received) == 1, "when to try again is decided elsewhere"
    assert "verysecret" not in result.text


async def test_redirect_is_not_followed(world: World) -> None:
    async with http_server() as elsewhere, http_server(answer(302, location=f"http://{elsewhere.authority}/")) as moved:
        result = await opened(tools_of(world, "json"), f"json://{moved.authority}/").send(to_send())
    assert outcome(result) == (Outcome.UNCERTAIN, "failed")
    assert elsewhere.connections == 0


async def test_service_that_hangs_holds_a_few_threads_and_nobody_else(world: World) -> None:
    async with http_server(hang) as hanging, http_server() as receiver:
        channel = opened(tools_of(world, "json", send_seconds=0.3), f"json://{hanging.authority}/")
        for _ in range(THREADS_MAX):
            assert outcome(await channel.send(to_send())) == (Outcome.UNCERTAIN, "timeout")
        assert outcome(await channel.send(to_send())) == (Outcome.NOT_ACCEPTED, "busy")
        other = opened(tools_of(world, "json"), f"json://{receiver.authority}/")
        assert outcome(await other.send(to_send())) == (Outcome.DELIVERED, "ok")


async def test_every_tone_is_a_kind_of_notice(world: World) -> None:
    messages = [compose(Story([step], [step])) for step in (opened_critical(), opened_warn(), resolved())]
    messages.append(replace(messages[0], tone=Tone.NEUTRAL))
    async with http_server() as receiver:
        channel = opened(tools_of(world, "json"), f"json://{receiver.authority}/")
        for message in messages:
            await channel.send(replace(to_send(), message=message))
    assert [orjson.loads(got.body)["type"] for got in receiver.received] == ["failure", "warning", "success", "info"]


@pytest.mark.parametrize(
    ("url", "text"),
    [
        ("ntfys://verysecret", "SENTRYML_APPRISE_SCHEMAS=ntfys"),
        ("JSONS://verysecret", "SENTRYML_APPRISE_SCHEMAS=jsons"),
        ("https://discord.com/api/webhooks/1234567890/verysecret", "SENTRYML_APPRISE_SCHEMAS=https"),
        ("json://", "does not understand"),
        ("nosuch://verysecret", "does not understand"),
        ("verysecret", "not an Apprise address"),
        ("../etc/passwd://verysecret", "not an Apprise address"),
        ("", "not an Apprise address"),
        *((f"{schema}://verysecret", "stays on the notifier's machine") for schema in sorted(LOCAL)),
        *((f"json://verysecret/?{name}=x", f"leave {name} out") for name in sorted(NOT_OURS)),
        ("json://verysecret/#x?Retry=3", "leave retry out"),
        ("json://verysecret/?a=b&%72edirect=yes", "leave redirect out"),
    ],
)
async def test_what_may_not_be_used_is_refused_without_being_shown(world: World, url: str, text: str) -> None:
    with pytest.raises(ChannelMisconfigured) as refused:
        opened(tools_of(world, "json", "nosuch", *LOCAL), url)
    assert text in str(refused.value)
    assert "verysecret" not in str(refused.value)


async def test_without_the_package_it_says_how_to_get_it(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "apprise", None)  # as Python has it for a package that is not there
    with pytest.raises(ChannelMisconfigured, match=r"pip install 'sentryml-notifier\[apprise\]'"):
        opened(tools_of(world, "json"), "json://localhost")
