"""E-mail through a real mail server: what arrives, and what each way of failing is reported as."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path
from typing import Any
from uuid import UUID, uuid5

import pytest

from sentryml_common.contracts.transition import Transition
from sentryml_notifier.channel_registry import ChannelRegistry
from sentryml_notifier.channels.base import Channel, Identity, Outgoing
from sentryml_notifier.channels.kinds import KINDS
from sentryml_notifier.channels.outbound import make_tls
from sentryml_notifier.domain.delivery import Outcome, SendResult
from sentryml_notifier.domain.message import compose, with_delivery_notes
from sentryml_notifier.domain.message_input import Story
from sentryml_notifier.secrets import SecretBox
from tests.integration.notifier.conftest import World, make_channel
from tests.support.certificates import make_certificate
from tests.support.smtp_server import MailServer, mail_server
from tests.unit.notifier.builders import IDS, opened_critical, resolved

OPS = Identity(UUID(int=2), "ops")
ANA, BEN, CAT = "ana@example.org", "ben@example.org", "cat@example.org"
PASSWORD = "verysecret"


def to_send(*steps: Transition, plain: bool = False, repeat: bool = False) -> Outgoing:
    reported = steps or (opened_critical(),)
    story = Story(list(reported), [reported[-1]])
    message = with_delivery_notes(
        compose(story), possibly_sent=repeat, happened_at=story.last.at, now=story.last.at, reason=None
    )
    ids = (uuid5(IDS, f"delivery/{story.last.sequence}"),)
    return Outgoing(message, story, UUID(int=7), ids, possibly_sent=repeat, plain=plain)


def settings_of(server: MailServer, *recipients: str, **more: Any) -> dict[str, Any]:
    return {
        "host": "127.0.0.1", "port": server.port, "tls": "none", "sender": "alerts@example.com",
        "recipients": recipients or (ANA,), **more,
    }  # fmt: skip


def email(world: World, server: MailServer, *recipients: str, password: str | None = None, **more: Any) -> Channel:
    tools = world.tools(server.authority)
    secret = {"user": "sentryml", "password": password} if password else {}
    return KINDS["email"].opened(tools, OPS, settings_of(server, *recipients, **more), secret)


def outcome(result: SendResult) -> tuple[Outcome, str]:
    return result.outcome, result.reason


@pytest.fixture
async def server() -> AsyncIterator[MailServer]:
    async with mail_server() as serving:
        yield serving


async def test_mail_arrives_for_all_and_hangs_together_with_the_others_of_its_incident(
    world: World, server: MailServer
) -> None:
    channel = email(world, server, ANA, BEN)
    for each in (to_send(opened_critical()), to_send(opened_critical(), resolved())):
        result = await channel.send(each)
        assert outcome(result) == (Outcome.DELIVERED, "ok")
    assert [recipients for recipients, _ in server.taken] == [[ANA, BEN]] * 2
    opened, ended = server.mails
    assert opened["Subject"] == "🔴 CRITICAL drift · flights-delay"
    assert opened["Message-ID"] == f"<{to_send().delivery_ids[0]}@example.com>"
    assert opened["Message-ID"] != ended["Message-ID"]
    assert opened["References"] == ended["References"] == opened["In-Reply-To"]
    assert opened["Auto-Submitted"] == "auto-generated"
    assert (opened["Importance"], ended["Importance"]) == ("high", None)
    assert server.names[0] == "[127.0.0.1]"
    text, html = opened.get_body(("plain",)), opened.get_body(("html",))
    assert text is not None
    assert html is not None
    for part in (text, html):
        assert "scores 0.92–1.00: 4.1 % → 19 %" in part.get_content()
        assert "https://sentryml.example/incidents/42" in part.get_content()


async def test_mail_that_is_sent_again_has_the_same_id_and_the_plain_form_no_html(
    world: World, server: MailServer
) -> None:
    channel = email(world, server)
    await channel.send(to_send())
    world.clock.advance(60)
    await channel.send(to_send(repeat=True, plain=True))
    first, again = server.mails
    assert first["Message-ID"] == again["Message-ID"]
    assert again["Subject"].endswith("(repeat)")
    assert again.get_content_type() == "text/plain"


async def test_starttls_and_signing_in(world: World, tmp_path: Path) -> None:
    ca_file, context = make_certificate(tmp_path, "mail.example")
    async with mail_server(starttls=context, password=PASSWORD) as server:
        authority = f"mail.example:{server.port}"
        settings = settings_of(server, host="mail.example", tls="starttls")

        async def resolve(host: str, port: int) -> list[str]:
            return ["127.0.0.1"]

        async def send(password: str, tls_file: Path | None = ca_file, **more: Any) -> SendResult:
            tools = replace(world.tools(authority), resolve=resolve, tls=make_tls(tls_file))
            secret = {"user": "sentryml", "password": password} if password else {}
            return await KINDS["email"].opened(tools, OPS, settings | more, secret).send(to_send())

        assert outcome(await send(PASSWORD, tls_file=None)) == (Outcome.NOT_ACCEPTED, "certificate_not_trusted")
        wrong = await send("wrong")
        assert outcome(wrong) == (Outcome.CHANNEL_REFUSED, "sign_in_refused")
        assert "enter it for the channel ops" in wrong.text
        assert "wrong" not in wrong.text
        assert outcome(await send("")) == (Outcome.CHANNEL_REFUSED, "sign_in_refused")
        assert server.taken == []
        assert outcome(await send(PASSWORD)) == (Outcome.DELIVERED, "ok")
        assert server.encrypted == [True]


async def test_tls_from_the_first_byte(world: World, tmp_path: Path) -> None:
    ca_file, context = make_certificate(tmp_path, "mail.example")
    async with mail_server(tls=context) as server:

        async def resolve(host: str, port: int) -> list[str]:
            return ["127.0.0.1"]

        for tls_file, expected in ((None, Outcome.NOT_ACCEPTED), (ca_file, Outcome.DELIVERED)):
            tools = replace(world.tools(f"mail.example:{server.port}"), resolve=resolve, tls=make_tls(tls_file))
            settings = settings_of(server, host="mail.example", tls="tls")
            result = await KINDS["email"].opened(tools, OPS, settings, {}).send(to_send())
            assert result.outcome is expected, result
    assert len(server.taken) == 1


async def test_server_that_offers_less_than_is_asked_for_gets_no_mail(world: World, server: MailServer) -> None:
    assert outcome(await email(world, server, tls="starttls").send(to_send())) == (
        Outcome.CHANNEL_REFUSED,
        "no_starttls",
    )
    assert outcome(await email(world, server, tls="tls").send(to_send())) == (Outcome.NOT_ACCEPTED, "no_answer")
    assert server.taken == []


@pytest.mark.parametrize(
    ("behaviour", "expected", "reason", "text"),
    [
        ({"to_sender": "421 closing"}, Outcome.NOT_ACCEPTED, "smtp_421", "(421)"),
        ({"to_sender": "451 local error"}, Outcome.NOT_ACCEPTED, "smtp_4xx", "(451)"),
        ({"to_sender": "550 never"}, Outcome.CHANNEL_REFUSED, "sender_refused", "accept this sender (550)"),
        ({"to_sender": "530 sign in"}, Outcome.CHANNEL_REFUSED, "sign_in_refused", "(530)"),
        ({"refusals": {ANA: "421 closing"}}, Outcome.NOT_ACCEPTED, "smtp_421", "(421)"),
        ({"refusals": {ANA: "450 busy"}}, Outcome.NOT_ACCEPTED, "recipients_put_off", f"{ANA} (450)"),
        ({"refusals": {ANA: "550 unknown"}}, Outcome.CHANNEL_REFUSED, "recipients_refused", f"{ANA} (550)"),
        ({"to_content": "452 full"}, Outcome.NOT_ACCEPTED, "smtp_4xx", "(452)"),
        ({"to_content": "421 closing"}, Outcome.NOT_ACCEPTED, "smtp_421", "(421)"),
        ({"to_content": "554 spam"}, Outcome.MESSAGE_REFUSED, "content_refused", "(554)"),
        ({"to_content": "drop"}, Outcome.UNCERTAIN, "connection_lost", "may have arrived"),
        ({"to_content": "take and drop"}, Outcome.UNCERTAIN, "connection_lost", "may have arrived"),
    ],
)
async def test_refusals(world: World, behaviour: dict[str, Any], expected: Outcome, reason: str, text: str) -> None:
    async with mail_server(**behaviour) as server:
        result = await email(world, server).send(to_send())
    assert outcome(result) == (expected, reason)
    assert text in result.text
    for foreign in ("never", "unknown", "busy", "spam"):
        assert f"{foreign} " not in result.text.replace("taken for spam", "")


async def test_server_that_hangs_with_the_mail_in_hand_leaves_it_open(world: World) -> None:
    async with mail_server(to_content="hang") as server:
        tools = replace(world.tools(server.authority), send_seconds=4.0)
        result = await KINDS["email"].opened(tools, OPS, settings_of(server), {}).send(to_send())
    assert outcome(result) == (Outcome.UNCERTAIN, "connection_lost")


async def test_server_that_says_nothing_has_nothing(world: World) -> None:
    said_hello = asyncio.Event()

    async def say_nothing(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        said_hello.set()
        await reader.read()
        writer.close()

    listener = await asyncio.start_server(say_nothing, "127.0.0.1", 0)
    server = MailServer(port=listener.sockets[0].getsockname()[1])
    tools = replace(world.tools(server.authority), send_seconds=2.0)
    result = await KINDS["email"].opened(tools, OPS, settings_of(server), {}).send(to_send())
    listener.close()
    assert said_hello.is_set()
    assert outcome(result) == (Outcome.NOT_ACCEPTED, "no_answer")


async def test_nobody_there_and_inner_addresses(world: World, server: MailServer) -> None:
    nobody = MailServer(port=1)
    assert outcome(await email(world, nobody).send(to_send())) == (Outcome.NOT_ACCEPTED, "no_connection")

    async def inner(host: str, port: int) -> list[str]:
        return ["127.0.0.1"]

    settings = settings_of(server, host="mail.example", port=587, tls="starttls")
    tools = replace(world.tools(), resolve=inner)
    result = await KINDS["email"].opened(tools, OPS, settings, {}).send(to_send())
    assert outcome(result) == (Outcome.CHANNEL_REFUSED, "address_not_allowed")
    assert server.connections == 0


async def test_one_unknown_recipient_keeps_no_other_from_the_mail_and_is_reported(world: World) -> None:
    async with mail_server(refusals={BEN: "550 unknown"}) as server:
        result = await email(world, server, ANA, BEN).send(to_send())
    assert outcome(result) == (Outcome.DELIVERED, "some_refused")
    assert f"{BEN} (550)" in result.text
    assert ANA not in result.text
    assert [recipients for recipients, _ in server.taken] == [[ANA]]


async def test_who_was_put_off_is_retried_alone(world: World) -> None:
    async with mail_server(refusals={BEN: "450 busy", CAT: "550 unknown"}) as server:
        channel = email(world, server, ANA, BEN, CAT)
        first = await channel.send(to_send())
        assert outcome(first) == (Outcome.UNCERTAIN, "some_put_off")
        assert f"{BEN} (450)" in first.text
        second = await channel.send(to_send(repeat=True))
        assert second.outcome is Outcome.UNCERTAIN
        server.refusals.clear()
        server.refusals[CAT] = "550 unknown"
        third = await channel.send(to_send(repeat=True))
        assert outcome(third) == (Outcome.DELIVERED, "some_refused")
        assert [recipients for recipients, _ in server.taken] == [[ANA], [BEN]]
        # Another message is for all again.
        await channel.send(to_send(opened_critical(), resolved()))
        assert server.taken[-1][0] == [ANA, BEN]


async def test_put_off_and_then_unknown_breaks_no_channel_that_works_for_others(world: World) -> None:
    async with mail_server(refusals={BEN: "450 busy"}) as server:
        channel = email(world, server, ANA, BEN)
        await channel.send(to_send())
        server.refusals[BEN] = "550 unknown"
        result = await channel.send(to_send(repeat=True))
    assert outcome(result) == (Outcome.DELIVERED, "some_refused")
    assert len(server.taken) == 1


async def test_channel_of_the_ledger_sends_mail(world: World, server: MailServer) -> None:
    """The whole way: from a transition to the mailbox."""
    secret_box = SecretBox(["k" * 32])
    channel_id = await make_channel(world, "ops", "email", secret_box.seal({}), settings_of(server))
    registry = ChannelRegistry(world.tools(server.authority), secret_box, {})
    ops = (await registry.read())[channel_id]
    await world.take_in(opened_critical())
    assert await world.dispatcher(registry=registry).dispatch_one(ops)
    (delivery,) = await world.pool.fetch("SELECT delivery_id, state FROM delivery WHERE channel_id = $1", channel_id)
    assert delivery["state"] == "delivered"
    assert [mail["Message-ID"] for mail in server.mails] == [f"<{delivery['delivery_id']}@example.com>"]
