"""From a transition to Slack: delivered once, in order, the urgent first, and never dropped."""

from __future__ import annotations

from datetime import timedelta

import pytest

from sentryml_local.slack_stand_in.store import Ending, Script
from sentryml_notifier.domain.message import Message, compose
from sentryml_notifier.domain.message_input import Story
from tests.integration.notifier.conftest import World
from tests.unit.notifier.builders import (
    NIGHT,
    a_category,
    acknowledged,
    escalated,
    opened_critical,
    opened_warn,
    resolved,
    score_why,
)


async def test_alert_arrives_and_the_ledger_says_so(world: World) -> None:
    await world.take_in(opened_critical())
    assert await world.dispatch() == 1
    assert world.slack.titles == ["🔴 CRITICAL drift · flights-delay"]
    (delivery,) = await world.deliveries()
    assert (delivery["state"], delivery["attempts"], delivery["delivered_at"]) == ("delivered", 1, world.clock.now)
    (attempt,) = await world.attempts()
    assert (attempt["outcome"], attempt["reason"], attempt["http_status"]) == ("delivered", "ok", 200)


async def test_words_about_what_happens_next_come_with_the_transition(world: World) -> None:
    await world.take_in(opened_critical())
    await world.dispatch()
    assert all(sentence in world.slack.texts[0] for sentence in opened_critical().text.next)


async def test_transition_taken_in_twice_is_delivered_once(world: World) -> None:
    await world.take_in(opened_critical(), opened_critical())
    await world.take_in(opened_critical())
    await world.dispatch()
    await world.take_in(opened_critical())
    assert await world.dispatch() == 0
    assert len(world.slack.titles) == 1


async def test_quiet_transition_is_kept_for_its_story_but_not_sent(world: World) -> None:
    await world.take_in(opened_warn(), acknowledged(), escalated(sequence=3, from_=acknowledged().to))
    await world.dispatch()
    assert len(world.slack.titles) == 2
    assert "Ada Lovelace had acknowledged the warning" in world.slack.texts[1]


async def test_incident_is_reported_in_its_order(world: World) -> None:
    await world.take_in(opened_warn(), escalated())
    await world.take_in(resolved(sequence=3))
    world.slack.play(Script())
    assert await world.dispatch() == 1  # all three waited: one message
    assert world.slack.titles == ["🟢 Resolved before it could be delivered (was critical) · flights-delay"]


async def test_each_step_is_reported_when_it_comes(world: World) -> None:
    for step in (opened_warn(), escalated(), resolved(sequence=3)):
        await world.take_in(step)
        await world.dispatch()
    assert world.slack.titles == [
        "🟠 Warning: drift · flights-delay",
        "🔴 CRITICAL drift, escalated · flights-delay",
        "🟢 Resolved · flights-delay",
    ]


async def test_later_step_waits_behind_the_one_that_is_backing_off(world: World) -> None:
    world.slack.play(Script(status=503))
    await world.take_in(opened_warn())
    assert await world.dispatch() == 1
    await world.take_in(escalated())
    assert await world.dispatch() == 0
    world.clock.advance(0.5)
    assert await world.dispatch() == 2
    assert world.slack.titles == [
        "🟠 Warning: drift · flights-delay",
        "🔴 CRITICAL drift, escalated · flights-delay",
    ]


async def test_opened_and_resolved_become_one_message_when_the_first_never_left(world: World) -> None:
    world.slack.play(Script(status=503))
    await world.take_in(opened_critical())
    await world.dispatch()
    await world.take_in(resolved())
    world.clock.advance(1)
    assert await world.dispatch() == 1
    assert world.slack.titles == ["🟢 Resolved before it could be delivered (was critical) · flights-delay"]
    rows = await world.deliveries()
    assert [row["state"] for row in rows] == ["delivered", "delivered"]
    sends = {row["send_id"] for row in await world.attempts() if row["outcome"] == "delivered"}
    assert len(sends) == 1, "one message reported both"


async def test_critical_alerts_leave_before_warnings_and_news(world: World) -> None:
    await world.take_in(opened_warn(incident=1, model_id="first-warning"))
    await world.take_in(resolved(incident=2, model_id="news"))
    await world.take_in(opened_warn(incident=3, model_id="second-warning"))
    await world.take_in(opened_critical(incident=4, model_id="critical"))
    await world.dispatch()
    models = [title.split(" · ")[1] for title in world.slack.titles]
    assert models == ["critical", "first-warning", "second-warning", "news"]


async def test_warning_with_its_escalation_behind_it_is_as_urgent_as_that(world: World) -> None:
    await world.take_in(opened_warn(incident=1, model_id="other"))
    await world.take_in(opened_warn(incident=2, model_id="worsens"), escalated(incident=2, model_id="worsens"))
    await world.dispatch()
    assert [title.split(" · ")[1] for title in world.slack.titles] == ["worsens", "worsens", "other"]


async def test_retry_after_is_a_schedule_that_a_restart_does_not_forget(world: World) -> None:
    world.slack.play(Script(status=429, body="rate_limited", headers={"Retry-After": "7"}))
    await world.take_in(opened_critical(incident=1), opened_critical(incident=2))
    assert await world.dispatch() == 1, "the pause holds for the whole channel"
    paused_until = (await world.channel_row())["paused_until"]
    assert paused_until == world.clock.now + timedelta(seconds=7.35)
    world.clock.advance(7.3)
    assert await world.dispatch() == 0  # by a new dispatcher: nothing but the row knows
    world.clock.advance(0.1)
    assert await world.dispatch() == 2
    assert all(row["state"] == "delivered" and row["failures"] == 0 for row in await world.deliveries())
    assert not any("repeat" in title for title in world.slack.titles)


async def test_slack_that_limits_for_real_gets_everything_in_the_end(world: World) -> None:
    for _ in range(3):
        world.slack.play(*[Script(), Script(status=429, headers={"Retry-After": "1"})])
    await world.take_in(*(opened_critical(incident=number) for number in range(1, 7)))
    for _ in range(10):
        await world.dispatch()
        world.clock.advance(1.2)
    assert len(world.slack.titles) == 6
    assert all(row["state"] == "delivered" for row in await world.deliveries())


@pytest.mark.parametrize(
    ("script", "outcome", "reason", "repeats"),
    [
        (Script(status=500, body="rollup_error"), "uncertain", "http_5xx", True),
        (Script(status=502), "not_accepted", "http_502", False),
        (Script(status=503), "not_accepted", "http_503", False),
        (Script(status=504), "uncertain", "http_5xx", True),
        (Script(body="not ok", accept=False), "uncertain", "strange_answer", True),
        (Script(body="x" * 200_000, accept=False), "uncertain", "strange_answer", True),
        (Script(delay_seconds=4, accept=False), "uncertain", "timeout", True),
        (Script(ending=Ending.RESET, accept=False), "uncertain", "connection_lost", True),
        (Script(ending=Ending.CUT, accept=False), "uncertain", "connection_lost", True),
    ],
)
async def test_transient_trouble_is_retried(
    world: World, script: Script, outcome: str, reason: str, repeats: bool
) -> None:
    """With full jitter of a half, the first back-off is half a second."""
    if script.delay_seconds:
        await world.open_channel(send_seconds=script.delay_seconds / 4)
    world.slack.play(script)
    await world.take_in(opened_critical())
    assert await world.dispatch() == 1
    (delivery,) = await world.deliveries()
    assert (delivery["state"], delivery["due_at"]) == ("pending", world.clock.now + timedelta(seconds=0.5))
    assert [(row["outcome"], row["reason"]) for row in await world.attempts()] == [(outcome, reason)]
    await world.open_channel()
    world.clock.advance(0.5)
    assert await world.dispatch() == 1
    (title,) = world.slack.titles
    assert title.endswith("(repeat)") == repeats


async def test_unreachable_slack_is_retried_without_a_repeat(world: World) -> None:
    await world.open_channel("http://127.0.0.1:1/services/T0/B0/x")
    await world.take_in(opened_critical())
    await world.dispatch()
    assert [(row["outcome"], row["reason"]) for row in await world.attempts()] == [("not_accepted", "no_connection")]
    await world.open_channel()
    await world.dispatch()
    assert world.slack.titles == ["🔴 CRITICAL drift · flights-delay"]


async def test_message_that_arrived_before_the_reset_comes_again_marked_as_a_repeat(world: World) -> None:
    world.slack.play(Script(ending=Ending.RESET, accept=True))
    await world.take_in(opened_critical())
    await world.dispatch()
    world.clock.advance(1)
    await world.dispatch()
    plain, marked = world.slack.titles
    assert not plain.endswith("(repeat)")
    assert marked.endswith("(repeat)")
    assert "an earlier attempt may have reached you" in world.slack.texts[1]


async def test_delay_is_said_with_its_reason(world: World) -> None:
    world.slack.play(Script(status=503))
    await world.take_in(opened_critical())
    await world.dispatch()
    world.clock.now = NIGHT + timedelta(minutes=14)
    await world.dispatch()
    assert "Sent 14 min after it happened: Slack is not available at the moment (503)." in world.slack.texts[0]


async def test_refused_blocks_go_out_as_plain_text(world: World) -> None:
    world.slack.play(Script(status=400, body="invalid_blocks"))
    await world.take_in(opened_critical())
    assert await world.dispatch() == 2
    (message,) = world.slack.store.messages
    assert message.payload is not None
    assert set(message.payload) == {"text"}
    assert "scores 0.92–1.00: 4.1 % → 19 %" in message.payload["text"]


async def test_message_refused_in_every_form_is_parked_and_holds_up_no_other(world: World) -> None:
    world.slack.play(Script(status=400, body="invalid_blocks", times=2))
    await world.take_in(opened_critical(incident=1))
    await world.dispatch()
    world.clock.advance(1)
    await world.take_in(opened_critical(incident=2))
    await world.dispatch()
    undeliverable, fine = await world.deliveries()
    assert (undeliverable["state"], undeliverable["parked_because"], fine["state"]) == (
        "parked",
        "message_refused",
        "delivered",
    )
    assert "refused the form" in undeliverable["last_text"]
    await world.take_in(resolved(incident=1))
    await world.dispatch()
    assert "Resolved before it could be delivered" in world.slack.titles[-1], (
        "what was undeliverable is reported with what follows"
    )


async def test_incident_that_cannot_be_put_into_words_holds_up_no_other(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fails_for_one(story: Story) -> Message:
        if story.last.model_id == "unspeakable":
            raise ZeroDivisionError
        return compose(story)

    monkeypatch.setattr("sentryml_notifier.delivery.dispatcher.compose", fails_for_one)
    await world.take_in(opened_critical(incident=1, model_id="unspeakable"), opened_critical(incident=2))
    await world.dispatch()
    states = {row["model_id"]: (row["state"], row["parked_because"]) for row in await world.pool.fetch(
        "SELECT delivery.*, model_id FROM delivery JOIN transition USING (transition_id)"
    )}  # fmt: skip
    assert states == {"unspeakable": ("parked", "message_refused"), "flights-delay": ("delivered", None)}


async def test_values_from_strangers_pass_through_unharmed(world: World) -> None:
    nasty = "a\u0000b<!channel>\u202e&"
    await world.take_in(opened_critical(why=(score_why(bins=(a_category(nasty, 0.1, 0.6),)),)))
    await world.dispatch()
    (message,) = world.slack.store.messages
    assert "score “a[U+0000]b&lt;!channel&gt;[U+202E]&amp;”: 10 % → 60 %" in str(message.payload)


async def test_late_alert_says_what_people_did_meanwhile(world: World) -> None:
    world.slack.play(Script(status=503))
    await world.take_in(opened_warn())
    await world.dispatch()
    await world.take_in(acknowledged())
    world.clock.advance(600)
    await world.dispatch()
    assert "Acknowledged by Ada Lovelace" in world.slack.texts[0]


async def test_given_up_delivery_is_retried_every_quarter_of_an_hour(world: World) -> None:
    """A quiet installation after a long outage: no other alert comes that would show that Slack works again."""
    world.slack.play(Script(status=503, times=3))
    await world.take_in(opened_critical())
    await world.dispatch()
    world.clock.advance(24 * 3600)
    await world.dispatch()
    dispatcher = world.dispatcher()
    for _ in range(2):
        (delivery,) = await world.deliveries()
        assert delivery["parked_because"] == "gave_up"
        await dispatcher.revive_once(world.channel)
        assert await world.dispatch() == 0
        world.clock.advance(15 * 60)
        await dispatcher.revive_once(world.channel)
        assert await world.dispatch() == 1
    assert len(world.slack.titles) == 1


async def test_after_a_day_a_delivery_is_parked_and_goes_out_when_slack_works_again(world: World) -> None:
    world.slack.play(Script(status=503, times=3))
    await world.take_in(opened_critical(incident=1))
    await world.dispatch()
    world.clock.advance(3600)
    await world.dispatch()
    world.clock.advance(24 * 3600)
    await world.dispatch()
    (parked,) = await world.deliveries()
    assert (parked["state"], parked["parked_because"]) == ("parked", "gave_up")
    await world.take_in(opened_critical(incident=2))
    assert await world.dispatch() == 2
    assert all(row["state"] == "delivered" for row in await world.deliveries())
