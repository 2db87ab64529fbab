"""Root messages are kept at how their incidents stand: edits that wait, fail, and never hold up an alert."""

from __future__ import annotations

import asyncio
from dataclasses import replace

import pytest
from pydantic import SecretStr

from sentryml_common.postgres.pool import transaction
from sentryml_local.slack_stand_in.web_api import ApiScript
from sentryml_local.slack_stand_in.workspace import Place
from sentryml_notifier.channel_registry import OpenChannel, SettingsChannel
from sentryml_notifier.domain.conversation import current_state
from sentryml_notifier.domain.message import Message
from sentryml_notifier.domain.message_input import Story
from sentryml_notifier.store.channels import register_channel
from tests.integration.notifier.bot_notifier import (
    CHANNEL,
    TICK,
    calls,
    failing,
    pass_edit_time,
    root_of,
    talk,
    title,
)
from tests.integration.notifier.conftest import World
from tests.support.eventually import eventually
from tests.unit.notifier.builders import (
    SEEN_WARN,
    acknowledged,
    escalated,
    opened_warn,
    resolved,
)

__all__ = ["talk"]


async def test_edits_wait_for_more_changes_and_alerts_do_not(talk: World) -> None:
    await talk.take_in(opened_warn())
    await talk.dispatch()
    await talk.take_in(acknowledged())
    talk.clock.advance(TICK / 2)
    await talk.take_in(escalated(sequence=3, from_=SEEN_WARN))
    assert await talk.dispatch() == 2
    await talk.edit()
    assert calls(talk, "chat.update") == []
    talk.clock.advance(TICK / 2)
    await talk.edit()
    await pass_edit_time(talk)
    assert len(calls(talk, "chat.update")) == 1
    assert title(root_of(talk)) == "🔴 CRITICAL drift · flights-delay"


async def test_a_change_during_an_edit_makes_another(talk: World) -> None:
    await talk.take_in(opened_warn())
    await talk.dispatch()
    await talk.take_in(acknowledged())
    talk.clock.advance(TICK)
    talk.slack.api.play(ApiScript(method="chat.update", delay_seconds=0.5, accept=True, body='{"ok": true}'))
    editing = asyncio.create_task(talk.thread_updater().edit_one(talk.channel))

    async def edits() -> object:
        return calls(talk, "chat.update")

    await eventually(edits, what="an edit under way")
    await talk.take_in(escalated(sequence=3, from_=SEEN_WARN))
    assert not await talk.thread_updater().edit_one(talk.channel), "one edit of a root at a time"
    await editing
    await talk.dispatch()
    await pass_edit_time(talk)
    assert title(root_of(talk)) == "🔴 CRITICAL drift · flights-delay"


async def test_when_edits_are_too_fast_they_wait_and_alerts_go_on(talk: World) -> None:
    await talk.take_in(opened_warn(), opened_warn(incident=43))
    await talk.dispatch()
    await talk.take_in(acknowledged())
    talk.clock.advance(TICK)
    script = failing("ratelimited", "chat.update", status=429, headers={"Retry-After": "20"})
    talk.slack.api.play(script)
    await talk.edit()
    await talk.take_in(escalated(sequence=3, from_=SEEN_WARN), escalated(incident=43))
    assert await talk.dispatch() == 3, "the channel is not paused"
    talk.clock.advance(15)
    await talk.edit()
    assert len(calls(talk, "chat.update")) == 1
    talk.clock.advance(20)
    await talk.edit()
    titles = {title(each) for each in talk.slack.workspace.roots(CHANNEL)}
    assert titles == {"🔴 CRITICAL drift · flights-delay"}


@pytest.mark.parametrize("error", ["internal_error", "service_unavailable"])
async def test_an_edit_that_fails_is_made_again(talk: World, error: str) -> None:
    await talk.take_in(opened_warn())
    await talk.dispatch()
    await talk.take_in(acknowledged())
    talk.slack.api.play(failing(error, "chat.update"))
    await pass_edit_time(talk)
    assert "acknowledged by" not in title(root_of(talk))
    await pass_edit_time(talk)
    assert "acknowledged by Ada" in title(root_of(talk))


async def test_edits_that_a_person_must_fix_wait_together_and_alerts_go_on(talk: World) -> None:
    await talk.take_in(opened_warn(), opened_warn(incident=43))
    await talk.dispatch()
    await talk.take_in(acknowledged(), escalated(incident=43))
    assert await talk.dispatch() == 2
    talk.slack.api.play(failing("missing_scope", "chat.update"))
    await pass_edit_time(talk)
    await pass_edit_time(talk)
    assert len(calls(talk, "chat.update")) == 1
    assert (await talk.channel_row())["state"] == "active"
    talk.clock.advance(15 * 60)
    await talk.edit()
    titles = sorted(title(each) for each in talk.slack.workspace.roots(CHANNEL))
    assert titles == [
        "🔴 CRITICAL drift · flights-delay", "🟠 Warning: drift, acknowledged by Ada Lovelace · flights-delay"
    ]  # fmt: skip


async def test_an_edit_whose_form_is_refused_is_made_as_plain_text(talk: World) -> None:
    await talk.take_in(opened_warn())
    await talk.dispatch()
    await talk.take_in(acknowledged())
    talk.slack.api.play(failing("invalid_blocks", "chat.update"))
    await pass_edit_time(talk)
    await pass_edit_time(talk)
    assert root_of(talk).payload["blocks"] == []
    assert "acknowledged by Ada" in title(root_of(talk))


@pytest.mark.parametrize("error", ["message_not_found", "cant_update_message", "edit_window_closed"])
async def test_a_root_that_cannot_be_edited_is_left_and_the_next_change_starts_again(talk: World, error: str) -> None:
    await talk.take_in(opened_warn())
    await talk.dispatch()
    await talk.take_in(acknowledged())
    await talk.dispatch()
    talk.slack.api.play(failing(error, "chat.update"))
    await pass_edit_time(talk)
    assert len(talk.slack.workspace.roots(CHANNEL)) == 1
    await talk.take_in(escalated(sequence=3, from_=SEEN_WARN))
    await talk.dispatch()
    _, fresh = talk.slack.workspace.roots(CHANNEL)
    assert title(fresh) == "🔴 CRITICAL drift, escalated · flights-delay"
    await talk.take_in(resolved(sequence=4))
    await talk.dispatch()
    assert [title(each) for each in talk.slack.workspace.replies(fresh)] == ["🟢 Resolved · flights-delay"]


@pytest.mark.usefixtures("database_url")  # which gets a trigger
async def test_a_channel_with_edits_without_end_holds_up_no_other_channel(talk: World) -> None:
    quiet = await open_second_bot(talk)
    await talk.take_in(opened_warn())
    for channel in (talk.channel, quiet):
        assert await talk.dispatcher().dispatch_one(channel)
    await always_due(talk, talk.channel)
    registry = talk.registry(None, talk.given, SECOND)
    await registry.read()
    editing = asyncio.create_task(replace(talk.thread_updater(), registry=registry).run())

    async def shows(text: str) -> bool:
        talk.clock.advance(TICK)  # an edit that was under way makes the next one due after this
        (root,) = talk.slack.workspace.roots(QUIET_CHANNEL)
        return text in title(root)

    try:
        await talk.take_in(acknowledged())
        await eventually(lambda: shows("acknowledged by Ada"), what="the first edit on the other channel")
        await talk.take_in(escalated(sequence=3, from_=SEEN_WARN))
        await eventually(lambda: shows("CRITICAL"), what="the next edit on the other channel")
    finally:
        editing.cancel()
        await asyncio.gather(editing, return_exceptions=True)


QUIET_CHANNEL = "C0QUIET"
SECOND = SettingsChannel(
    "quiet", "slack_bot", "SENTRYML_SECOND_BOT", "token", SecretStr("xoxb-stand-in"), {"channel": QUIET_CHANNEL}
)


async def open_second_bot(world: World) -> OpenChannel:
    """A second channel of the same workspace, which receives the same."""
    world.slack.workspace.channels[QUIET_CHANNEL] = Place("quiet")
    async with transaction(world.pool) as connection:
        channel_id = await register_channel(
            connection, SECOND.name, SECOND.kind, SECOND.setting, SECOND.fingerprint, SECOND.settings
        )
    return (await world.registry(None, world.given, SECOND).read())[channel_id]


async def always_due(world: World, channel: OpenChannel) -> None:
    """Let edits of a channel stay due whatever is noted of them, as if its incidents changed all the time."""
    await world.pool.execute("UPDATE conversation SET edit_due_at = $1", world.clock.now)
    await world.pool.execute(
        f"""
        CREATE FUNCTION stay_due() RETURNS trigger LANGUAGE plpgsql AS $$
        BEGIN
            NEW.edit_due_at := OLD.edit_due_at;
            RETURN NEW;
        END $$;
        CREATE TRIGGER stay_due BEFORE UPDATE ON conversation FOR EACH ROW
          WHEN (OLD.channel_id = '{channel.channel_id}') EXECUTE FUNCTION stay_due();
        """
    )


async def test_an_edit_that_cannot_be_put_into_words_holds_up_no_other(
    talk: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(story: Story) -> Message:
        if story.last.incident_number == 42:
            raise RuntimeError("a defect")
        return current_state(story)

    monkeypatch.setattr("sentryml_notifier.channels.slack_bot.sender.current_state", broken)
    other = {"incident": 43, "model_id": "fraud"}
    await talk.take_in(opened_warn(), opened_warn(**other))
    await talk.dispatch()
    await talk.take_in(acknowledged(), acknowledged(**other))
    for _ in range(2):
        await pass_edit_time(talk)
    titles = {title(each) for each in talk.slack.workspace.roots(CHANNEL)}
    assert titles == {"🟠 Warning: drift · flights-delay", "🟠 Warning: drift, acknowledged by Ada Lovelace · fraud"}
