"""One incident is one conversation in Slack: over real HTTP with the stand-in's Web API, on a real PostgreSQL."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from sentryml_common.errors import Unavailable
from sentryml_common.postgres.pool import transaction
from sentryml_local.slack_stand_in.store import Ending, RateLimit
from sentryml_local.slack_stand_in.web_api import ApiScript
from sentryml_local.slack_stand_in.workspace import Place, Posted
from sentryml_notifier.channels.base import Outgoing
from sentryml_notifier.domain.channel_tests import trial_message, trial_story
from sentryml_notifier.domain.delivery import Outcome
from sentryml_notifier.domain.message import compose
from sentryml_notifier.domain.message_input import Reminder, Story
from sentryml_notifier.domain.thread import EditRequested
from sentryml_notifier.store import conversations
from sentryml_notifier.store.conversations import find_conversation
from tests.integration.notifier.bot_notifier import (
    CHANNEL,
    button_of,
    calls,
    failing,
    pass_edit_time,
    root_of,
    talk,
    thread_of,
    title,
)
from tests.integration.notifier.conftest import World
from tests.unit.notifier.builders import (
    ADA,
    SEEN_WARN,
    acknowledged,
    escalated,
    opened_critical,
    opened_warn,
    reopened,
    resolved,
)

__all__ = ["talk"]


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
    assert title(root_of(talk)) == "🟠 Warning: drift, acknowledged by Ada Lovelace · flights-delay"
    button = button_of(root_of(talk))
    assert button is not None
    assert (button["action_id"], button["value"]) == ("accept", f"{opened_warn().incident_id}:2")

    await talk.take_in(escalated(sequence=3, from_=SEEN_WARN))
    assert await talk.dispatch() == 1
    assert thread_of(talk)[-1] == "📢 🔴 CRITICAL drift, escalated · flights-delay"
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


async def test_a_quiet_change_of_an_incident_that_was_never_sent_is_not_reported(talk: World) -> None:
    await talk.take_in(acknowledged())
    assert await talk.deliveries() == []


async def test_a_deleted_root_is_replaced_by_what_came_after(talk: World) -> None:
    """Slack posts a reply to a deleted message into the channel without a word: it is the root from then on."""
    await talk.take_in(opened_warn())
    await talk.dispatch()
    first = root_of(talk)
    talk.slack.workspace.delete(CHANNEL, first.ts)
    await talk.take_in(escalated())
    await talk.dispatch()
    assert title(root_of(talk)) == "🔴 CRITICAL drift, escalated · flights-delay"
    await talk.take_in(resolved(sequence=3))
    await talk.dispatch()
    assert thread_of(talk) == ["🟢 Resolved · flights-delay"]
    await pass_edit_time(talk)
    assert title(root_of(talk)) == "🟢 Resolved · flights-delay"


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
    assert thread_of(talk) == ["📢 🔴 CRITICAL drift, escalated · flights-delay"]


async def test_a_reply_that_had_arrived_is_found_and_not_sent_again(talk: World) -> None:
    await talk.take_in(opened_warn())
    await talk.dispatch()
    talk.slack.api.play(ApiScript(method="chat.postMessage", ending=Ending.RESET, accept=True))
    await talk.take_in(escalated())
    await talk.dispatch()
    talk.clock.advance(10)
    await talk.dispatch()
    assert thread_of(talk) == ["📢 🔴 CRITICAL drift, escalated · flights-delay"]
    assert {row["state"] for row in await talk.deliveries()} == {"delivered"}


async def test_it_is_found_in_a_channel_full_of_long_messages(talk: World) -> None:
    for number in range(150):
        text = {"text": "a message of somebody else " * 100}
        talk.slack.workspace.messages.append(Posted(CHANNEL, f"{talk.clock.now.timestamp() + number:.6f}", text))
    talk.slack.api.play(ApiScript(method="chat.postMessage", ending=Ending.RESET, accept=True))
    await talk.take_in(opened_warn())
    await talk.dispatch()
    talk.clock.advance(10)
    await talk.dispatch()
    assert [row["reason"] for row in await talk.attempts()][1:] == ["found"]


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
    assert [row["reason"] for row in await talk.attempts()] == ["connection_lost", "not_checked", "found"]
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
    ("error", "fixing"),
    [
        ("not_in_channel", "/invite"),
        ("is_archived", "Unarchive"),
        ("channel_not_found", "id of the Slack channel"),
        ("missing_scope", "docs/slack.md"),
        ("invalid_auth", "SENTRYML_SLACK_BOT_TOKEN"),
    ],
)
async def test_what_a_person_must_fix_parks_all_and_is_sent_when_it_is_fixed(
    talk: World, error: str, fixing: str
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
    assert fixing in row["broken_reason"]
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
    assert thread_of(talk) == ["📢 🔴 CRITICAL drift, escalated · flights-delay"]
    assert {row["possibly_sent"] for row in await talk.deliveries()} == {False}


async def test_an_undelivered_alert_and_its_end_are_one_message(talk: World) -> None:
    await talk.take_in(opened_critical(), acknowledged(), resolved(sequence=3))
    assert await talk.dispatch() == 1
    assert title(root_of(talk)) == "🟢 Resolved before it could be delivered (was critical) · flights-delay"
    assert talk.slack.workspace.replies(root_of(talk)) == []


async def test_a_refused_form_is_sent_as_plain_text(talk: World) -> None:
    talk.slack.api.play(failing("invalid_blocks", "chat.postMessage"))
    await talk.take_in(opened_warn())
    assert await talk.dispatch() == 2
    assert set(root_of(talk).payload) == {"text"}


async def test_a_test_message_begins_no_conversation_and_has_no_button(talk: World) -> None:
    trial_id, now = talk.new_id(), talk.clock()
    message, story = trial_message("slack-bot", ADA, now), trial_story(trial_id, ADA, now)
    result = await talk.channel.channel.send(Outgoing(message, story, trial_id, (trial_id,), test=True))
    assert result.outcome is Outcome.DELIVERED
    assert "test" in title(root_of(talk)).lower()
    assert button_of(root_of(talk)) is None
    assert await talk.pool.fetchval("SELECT count(*) FROM conversation") == 0


async def test_a_root_that_was_posted_while_postgres_was_away_is_known_once_it_is_back(
    talk: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    save, refusals = conversations.save_learned, [Unavailable("PostgreSQL does not answer")]

    async def away_once(*what: Any) -> None:
        if refusals:
            raise refusals.pop()
        await save(*what)

    monkeypatch.setattr(conversations, "save_learned", away_once)
    await talk.take_in(opened_critical())
    assert await talk.dispatch() == 1
    assert not refusals
    await talk.take_in(resolved())
    assert await talk.dispatch() == 1
    assert thread_of(talk) == ["🟢 Resolved · flights-delay"], "one root, no repeat"


async def test_a_reminder_is_said_aloud_below_the_root(talk: World) -> None:
    await talk.take_in(opened_critical())
    assert await talk.dispatch() == 1
    story = Story([opened_critical()], [opened_critical()], reminder=Reminder(1, 3))
    ids = (talk.new_id(),)
    async with transaction(talk.pool) as connection:
        known = await find_conversation(connection, talk.channel.channel_id, story.last.incident_id)
    result = await talk.channel.channel.send(Outgoing(compose(story), story, talk.new_id(), ids, conversation=known))
    assert result.learned == EditRequested(story.last.incident_id, 1)
    assert thread_of(talk) == ["📢 🔴 CRITICAL drift, not acknowledged · flights-delay"]
