"""One incident is one conversation in Slack: over real HTTP with the stand-in's Web API, on a real PostgreSQL."""

from __future__ import annotations

import asyncio
from typing import Any

import orjson
import pytest

from sentryml_local.slack_stand_in.page import as_text
from sentryml_local.slack_stand_in.store import Ending, RateLimit
from sentryml_local.slack_stand_in.web_api import ApiScript
from sentryml_local.slack_stand_in.workspace import Place, Posted
from sentryml_notifier.domain.conversation import EDIT_AFTER
from tests.integration.notifier.conftest import World
from tests.support.eventually import eventually
from tests.unit.notifier.stories import (
    SEEN_WARN,
    acknowledged,
    escalated,
    opened_critical,
    opened_warn,
    reopened,
    resolved,
)

CHANNEL = "C0ALERTS"
TICK = EDIT_AFTER.total_seconds()


@pytest.fixture
async def talk(world: World) -> World:
    """A notifier whose only channel is a bot."""
    await world.open_bot()
    return world


def title(posted: Posted) -> str:
    return as_text(posted.payload).split("\n")[0]


def root_of(world: World) -> Posted:
    (root,) = world.slack.workspace.roots(CHANNEL)
    return root


def thread_of(world: World) -> list[str]:
    """The titles of the replies; a mark where one was shown in the channel too."""
    replies = world.slack.workspace.replies(root_of(world))
    return [f"{'📢 ' if each.broadcast else ''}{title(each)}" for each in replies]


def calls(world: World, method: str) -> list[dict[str, Any]]:
    return [each.arguments for each in world.slack.api.calls if each.method == method]


def failing(error: str, method: str | None = None, **more: Any) -> ApiScript:
    return ApiScript(method=method, body=orjson.dumps({"ok": False, "error": error}).decode(), **more)


async def pass_edit_time(world: World) -> None:
    world.clock.advance(TICK)
    await world.edit()


def button_of(posted: Posted) -> dict[str, Any] | None:
    blocks = [each for attachment in posted.payload["attachments"] for each in attachment["blocks"]]
    return next((each["elements"][0] for each in blocks if each["type"] == "actions"), None)


async def test_a_whole_incident_is_one_conversation(talk: World) -> None:
    await talk.take_in(opened_warn())
    assert await talk.dispatch() == 1
    assert title(root_of(talk)) == "🟠 Warning: drift · flights-delay"
    button = button_of(root_of(talk))
    assert button is not None
    assert button["value"] == f"{opened_warn().incident_id}:1"

    await talk.take_in(acknowledged())
    assert await talk.dispatch() == 1
    assert thread_of(talk) == ["⚪ Acknowledged · flights-delay"]
    await pass_edit_time(talk)
    assert title(root_of(talk)) == "🟠 Warning: drift, seen by Ada Lovelace · flights-delay"
    assert button_of(root_of(talk)) is None

    await talk.take_in(escalated(sequence=3, from_=SEEN_WARN))
    assert await talk.dispatch() == 1
    assert thread_of(talk)[-1] == "📢 🔴 CRITICAL drift, worse than before · flights-delay"
    await pass_edit_time(talk)
    assert title(root_of(talk)) == "🔴 CRITICAL drift · flights-delay"
    button = button_of(root_of(talk))
    assert button is not None
    assert button["value"].endswith(":3")

    await talk.take_in(resolved(sequence=4))
    assert await talk.dispatch() == 1
    await pass_edit_time(talk)
    assert thread_of(talk)[-1] == "🟢 Resolved · flights-delay"
    assert title(root_of(talk)) == "🟢 Resolved · flights-delay"

    await talk.take_in(reopened(sequence=5))
    assert await talk.dispatch() == 1
    assert thread_of(talk)[-1] == "📢 🟠 Warning: drift is back · flights-delay"
    assert {row["state"] for row in await talk.deliveries()} == {"delivered"}
    assert {row["reason"] for row in await talk.attempts()} == {"ok"}


async def test_a_quiet_change_of_an_incident_that_was_never_told_is_not_told(talk: World) -> None:
    await talk.take_in(acknowledged())
    assert await talk.deliveries() == []


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
    editing = asyncio.create_task(talk.keeper().edit_one(talk.channel))

    async def edits() -> object:
        return calls(talk, "chat.update")

    await eventually(edits, what="an edit under way")
    await talk.take_in(escalated(sequence=3, from_=SEEN_WARN))
    assert not await talk.keeper().edit_one(talk.channel), "one edit of a root at a time"
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
    assert "seen by" not in title(root_of(talk))
    await pass_edit_time(talk)
    assert "seen by Ada" in title(root_of(talk))


async def test_edits_that_a_person_must_mend_wait_together_and_alerts_go_on(talk: World) -> None:
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
        "🔴 CRITICAL drift · flights-delay", "🟠 Warning: drift, seen by Ada Lovelace · flights-delay"
    ]  # fmt: skip


async def test_an_edit_whose_form_is_refused_is_made_as_plain_text(talk: World) -> None:
    await talk.take_in(opened_warn())
    await talk.dispatch()
    await talk.take_in(acknowledged())
    talk.slack.api.play(failing("invalid_blocks", "chat.update"))
    await pass_edit_time(talk)
    await pass_edit_time(talk)
    assert root_of(talk).payload["blocks"] == []
    assert "seen by Ada" in title(root_of(talk))


async def test_a_deleted_root_is_replaced_by_what_came_after(talk: World) -> None:
    """Slack posts a reply to a deleted message into the channel without a word: it is the root from then on."""
    await talk.take_in(opened_warn())
    await talk.dispatch()
    first = root_of(talk)
    talk.slack.workspace.delete(CHANNEL, first.ts)
    await talk.take_in(escalated())
    await talk.dispatch()
    assert title(root_of(talk)) == "🔴 CRITICAL drift, worse than before · flights-delay"
    await talk.take_in(resolved(sequence=3))
    await talk.dispatch()
    assert thread_of(talk) == ["🟢 Resolved · flights-delay"]
    await pass_edit_time(talk)
    assert title(root_of(talk)) == "🟢 Resolved · flights-delay"


@pytest.mark.parametrize("error", ["message_not_found", "cant_update_message", "edit_window_closed"])
async def test_a_root_that_cannot_be_edited_is_left_and_the_next_change_starts_anew(talk: World, error: str) -> None:
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
    assert title(fresh) == "🔴 CRITICAL drift, worse than before · flights-delay"
    await talk.take_in(resolved(sequence=4))
    await talk.dispatch()
    assert [title(each) for each in talk.slack.workspace.replies(fresh)] == ["🟢 Resolved · flights-delay"]


async def test_a_thread_that_is_gone_makes_a_fresh_root_in_the_same_attempt(talk: World) -> None:
    await talk.take_in(opened_warn())
    await talk.dispatch()
    await talk.take_in(escalated())
    talk.slack.api.play(failing("thread_not_found", "chat.postMessage"))
    assert await talk.dispatch() == 1
    assert len(talk.slack.workspace.roots(CHANNEL)) == 2
    assert {row["state"] for row in await talk.deliveries()} == {"delivered"}


ARRIVED = [
    ApiScript(method="chat.postMessage", ending=Ending.RESET, accept=True),
    ApiScript(method="chat.postMessage", ending=Ending.CUT, accept=True),
    failing("internal_error", "chat.postMessage", accept=True),
    failing("", "chat.postMessage", status=500, accept=True),
]


@pytest.mark.parametrize("script", ARRIVED)
async def test_a_root_that_had_arrived_is_found_and_not_sent_again(talk: World, script: ApiScript) -> None:
    talk.slack.api.play(script)
    await talk.take_in(opened_warn())
    await talk.dispatch()
    talk.clock.advance(10)
    await talk.dispatch()
    assert [row["reason"] for row in await talk.attempts()][1:] == ["found"]
    assert len(calls(talk, "chat.postMessage")) == 1
    await talk.take_in(escalated())
    await talk.dispatch()
    assert thread_of(talk) == ["📢 🔴 CRITICAL drift, worse than before · flights-delay"]


async def test_a_reply_that_had_arrived_is_found_and_not_sent_again(talk: World) -> None:
    await talk.take_in(opened_warn())
    await talk.dispatch()
    talk.slack.api.play(ApiScript(method="chat.postMessage", ending=Ending.RESET, accept=True))
    await talk.take_in(escalated())
    await talk.dispatch()
    talk.clock.advance(10)
    await talk.dispatch()
    assert thread_of(talk) == ["📢 🔴 CRITICAL drift, worse than before · flights-delay"]
    assert {row["state"] for row in await talk.deliveries()} == {"delivered"}


async def test_what_had_not_arrived_is_sent_again_as_a_repeat(talk: World) -> None:
    talk.slack.api.play(ApiScript(method="chat.postMessage", ending=Ending.RESET))
    await talk.take_in(opened_warn())
    await talk.dispatch()
    talk.clock.advance(10)
    await talk.dispatch()
    assert title(root_of(talk)).endswith("(repeat)")


async def test_where_history_is_forbidden_it_is_sent_again_as_a_repeat(talk: World) -> None:
    workspace = talk.slack.workspace
    workspace.scopes -= {"channels:history"}
    talk.slack.api.play(ApiScript(method="chat.postMessage", ending=Ending.RESET, accept=True))
    await talk.take_in(opened_warn())
    await talk.dispatch()
    talk.clock.advance(10)
    await talk.dispatch()
    first, second = workspace.roots(CHANNEL)
    assert title(second) == f"{title(first)} (repeat)"
    assert (await talk.channel_row())["state"] == "active"


async def test_a_slow_history_is_asked_again_before_anything_is_sent(talk: World) -> None:
    talk.slack.api.play(
        ApiScript(method="chat.postMessage", ending=Ending.RESET, accept=True),
        failing("", "conversations.history", status=503),
    )
    await talk.take_in(opened_warn())
    for _ in range(3):
        await talk.dispatch()
        talk.clock.advance(10)
    assert [row["reason"] for row in await talk.attempts()] == ["connection_lost", "not_looked", "found"]
    assert len(calls(talk, "chat.postMessage")) == 1


async def test_when_history_is_too_slow_for_slack_the_alert_goes_out_as_a_repeat(talk: World) -> None:
    talk.slack.api.play(
        ApiScript(method="chat.postMessage", ending=Ending.RESET, accept=True),
        failing("ratelimited", "conversations.history", status=429, headers={"Retry-After": "60"}),
    )
    await talk.take_in(opened_critical())
    await talk.dispatch()
    talk.clock.advance(10)
    await talk.dispatch()
    assert title(talk.slack.workspace.roots(CHANNEL)[1]).endswith("(repeat)")


async def test_two_dispatchers_make_one_conversation_each(talk: World) -> None:
    steps = [opened_warn(incident=number, model_id=f"model-{number}") for number in range(1, 9)]
    await talk.take_in(*steps, *(escalated(incident=number, model_id=f"model-{number}") for number in range(1, 9)))
    dispatchers = [talk.dispatcher(), talk.dispatcher()]

    async def drain(number: int) -> None:
        while await dispatchers[number].dispatch_one(talk.channel):
            pass

    await asyncio.gather(drain(0), drain(1))
    roots = talk.slack.workspace.roots(CHANNEL)
    assert sorted(title(each) for each in roots) == sorted(f"🟠 Warning: drift · model-{n}" for n in range(1, 9))
    for root in roots:
        replies = talk.slack.workspace.replies(root)
        assert [title(each).split(" · ")[1] for each in replies] == [title(root).split(" · ")[1]]


@pytest.mark.parametrize(
    ("error", "mending"),
    [
        ("not_in_channel", "/invite"),
        ("is_archived", "Unarchive"),
        ("channel_not_found", "id of the Slack channel"),
        ("missing_scope", "docs/slack.md"),
        ("invalid_auth", "SENTRYML_SLACK_BOT_TOKEN"),
    ],
)
async def test_what_a_person_must_mend_parks_all_and_is_sent_when_it_is_mended(
    talk: World, error: str, mending: str
) -> None:
    workspace = talk.slack.workspace
    if error == "missing_scope":
        workspace.scopes -= {"chat:write"}
    elif error == "invalid_auth":
        workspace.token = "xoxb-another"
    elif error == "channel_not_found":
        del workspace.channels[CHANNEL]
    else:
        workspace.channels[CHANNEL] = Place("x", archived=error == "is_archived", member=error != "not_in_channel")
    await talk.take_in(opened_warn())
    await talk.dispatch()
    row = await talk.channel_row()
    assert row["state"] == "broken"
    assert mending in row["broken_words"]
    assert (await talk.attempts())[0]["reason"] == error
    workspace.scopes, workspace.token = frozenset({"chat:write"}), "xoxb-stand-in"
    workspace.channels[CHANNEL] = Place("model-alerts")
    talk.clock.advance(15 * 60)
    await talk.dispatcher().revive_once(talk.channel)
    assert await talk.dispatch() == 1
    assert title(root_of(talk)) == "🟠 Warning: drift · flights-delay"


async def test_a_rate_limit_on_posts_pauses_the_channel_and_keeps_the_order(talk: World) -> None:
    talk.slack.api.limit("chat.postMessage", RateLimit(per_second=0.001, burst=1, retry_after_seconds=30))
    await talk.take_in(opened_warn(), escalated())
    assert await talk.dispatch() == 2
    talk.slack.api.lift()
    assert await talk.dispatch() == 0
    talk.clock.advance(33)
    assert await talk.dispatch() == 1
    assert thread_of(talk) == ["📢 🔴 CRITICAL drift, worse than before · flights-delay"]
    assert {row["possibly_sent"] for row in await talk.deliveries()} == {False}


async def test_an_undelivered_alarm_and_its_end_are_one_message(talk: World) -> None:
    await talk.take_in(opened_critical(), acknowledged(), resolved(sequence=3))
    assert await talk.dispatch() == 1
    assert title(root_of(talk)) == "🟢 Drift came and went (was critical) · flights-delay"
    assert talk.slack.workspace.replies(root_of(talk)) == []


async def test_a_refused_form_is_sent_as_plain_text(talk: World) -> None:
    talk.slack.api.play(failing("invalid_blocks", "chat.postMessage"))
    await talk.take_in(opened_warn())
    assert await talk.dispatch() == 2
    assert set(root_of(talk).payload) == {"text"}
