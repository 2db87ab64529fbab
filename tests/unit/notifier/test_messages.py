"""The message of every kind, as golden files to be read: does it answer what somebody woken at night asks?

Rewrite them with SENTRYML_TEST_WRITE_GOLDEN=1, and read the difference.
"""

from __future__ import annotations

import os
from datetime import timedelta
from pathlib import Path

import orjson
import pytest

from sentryml_common.contracts.transition import Marked, Severity, Standing, State, Transition, TransitionKind
from sentryml_lifecycle.text import step_text
from sentryml_local.slack_stand_in.page import as_text
from sentryml_local.slack_stand_in.protocol import OK, answer_to
from sentryml_notifier.channels.slack_bot.blocks import plain_payload, rich_payload
from sentryml_notifier.domain import story_text
from sentryml_notifier.domain.channel_tests import trial_message
from sentryml_notifier.domain.message import Fallback, Message, compose, with_delivery_notes
from sentryml_notifier.domain.message_input import Reminder, Story
from tests.unit.notifier.builders import (
    ADA,
    CLOSED_CRITICAL,
    NIGHT,
    OPEN_CRITICAL,
    OPEN_WARN,
    SEEN_WARN,
    a_transition,
    acknowledged,
    escalated,
    opened_critical,
    opened_warn,
    reopened,
    resolved,
    segment_why,
    sliced_why,
    worsened,
)

GOLDEN = Path(__file__).parent / "golden"
K = TransitionKind
PAUSED = a_transition(K.EVALUATION_PAUSED, sequence=2, minutes=40, from_=OPEN_WARN, to=OPEN_WARN, cause="no_data")


def closed(cause: str, **changes: object) -> Story:
    to = Standing(state=State.CLOSED, severity=Severity.CRITICAL)
    step = a_transition(K.CLOSED, sequence=2, minutes=95, from_=OPEN_CRITICAL, to=to, cause=cause, **changes)  # type: ignore[arg-type]
    return Story([opened_critical(), step], [step])


def quiet(kind: TransitionKind, **changes: object) -> Story:
    step = a_transition(kind, sequence=2, minutes=40, **{"from_": OPEN_WARN, "to": OPEN_WARN, **changes})  # type: ignore[arg-type]
    return Story([opened_warn(), step], [step])


def reported(*history: Transition, count: int = 1) -> Story:
    return Story(history, history[-count:])


def lasting(alert: Transition, *later: Transition, days: int = 7) -> Story:
    return Story([alert], [alert], later, Reminder(days // 7, days // 7, days))


def flapping() -> list[Transition]:
    """An incident that resolves and comes back, fifteen times."""
    steps = [opened_warn()]
    for number in range(1, 15):
        steps.append(resolved(sequence=2 * number, minutes=60 * number - 30, from_=OPEN_WARN))
        steps.append(reopened(sequence=2 * number + 1, minutes=60 * number))
    return [*steps, resolved(sequence=30, minutes=900, from_=OPEN_WARN)]


STORIES: dict[str, Story] = {
    "opened-warn": reported(opened_warn()),
    "opened-critical": reported(opened_critical()),
    "opened-with-a-version": reported(
        opened_critical(why=(sliced_why(),), markers=(Marked(at=NIGHT - timedelta(minutes=12), text="deployed 2.3"),))
    ),
    "opened-by-a-segment": reported(opened_critical(why=(segment_why(),))),
    "opened-again-after-closing": reported(opened_critical(cause="still_drifting_after_latch")),
    "opened-worse-than-when-closed": reported(opened_critical(cause="worse_than_when_closed")),
    "escalated": reported(opened_warn(), escalated()),
    "escalated-after-acknowledged": reported(opened_warn(), acknowledged(), escalated(sequence=3, from_=SEEN_WARN)),
    "worsened": reported(opened_warn(), acknowledged(), worsened(sequence=3, from_=SEEN_WARN)),
    "reopened": reported(opened_critical(), resolved(), reopened()),
    "resolved": reported(opened_critical(), resolved()),
    "resolved-acknowledged": reported(opened_warn(), acknowledged(), escalated(sequence=3), resolved(sequence=4)),
    "resolved-by-thresholds": reported(opened_critical(), resolved(cause="thresholds_changed", why=())),
    "combined": reported(opened_critical(), resolved(), count=2),
    "combined-after-escalation": reported(opened_warn(), escalated(), resolved(sequence=3), count=3),
    "combined-reopened": reported(
        opened_critical(), resolved(), reopened(), resolved(sequence=4, minutes=400), count=2
    ),
    "escalated-with-undelivered-opened": reported(opened_warn(), escalated(), count=2),
    "closed-by-system": closed("monitor_disabled"),
    "closed-monitor-disabled": closed("monitor_disabled", actor=ADA, note="enabled on → off"),
    "closed-model-deleted": closed("model_deleted", actor=ADA),
    "closed-by-person": closed("requested", actor=ADA, note="The new feed is on purpose."),
    "closed-as-the-new-normal": closed("new_normal", actor=ADA, note="The spring campaign."),
    "closed-since-it-was-normal": closed("was_normal", actor=ADA, note="Black Friday."),
    "reopened-by-undoing": reported(
        opened_critical(),
        closed("new_normal", actor=ADA).last,
        reopened(cause="undone", actor=ADA, from_=CLOSED_CRITICAL, to=OPEN_CRITICAL, why=()),
    ),
    "deescalated": quiet(K.DEESCALATED, from_=OPEN_CRITICAL, cause="psi_below_critical"),
    "acknowledged": quiet(K.ACKNOWLEDGED, to=SEEN_WARN, actor=ADA, cause="requested"),
    "unacknowledged": quiet(K.UNACKNOWLEDGED, actor=ADA, cause="requested"),
    "noted": quiet(K.NOTED, actor=ADA, cause="requested", note="Looking at the feed of station KJFK."),
    "evaluation-paused": reported(opened_warn(), PAUSED),
    "evaluation-resumed": quiet(K.EVALUATION_RESUMED, cause="data_are_back"),
    "monitor-changed": quiet(K.MONITOR_CHANGED, actor=ADA, cause="thresholds_changed", note="warn 0.1 → 0.15"),
    "opened-late-and-acknowledged-meanwhile": Story(
        [opened_warn()], [opened_warn()], [acknowledged(), escalated(sequence=3)]
    ),
    "parked-then-acknowledged": reported(opened_warn(), escalated(), acknowledged(3, 40, OPEN_CRITICAL), count=3),
    "parked-thirty-steps-now-over": reported(*flapping(), count=30),
    "parked-thirty-steps-drifting-again": reported(*flapping()[:-1], count=29),
    "parked-then-closed-by-person": Story(
        [opened_critical(), closed("requested", actor=ADA).last],
        [opened_critical(), closed("requested", actor=ADA).last],
    ),
    "reminder": Story([opened_critical()], [opened_critical()], reminder=Reminder(1, 3)),
    "still-critical": Story(
        [opened_critical()],
        [opened_critical()],
        [acknowledged(from_=OPEN_CRITICAL)],
        Reminder(1, 3, still_critical=True),
    ),
    "long-drift": lasting(opened_critical()),
    "long-drift-acknowledged": lasting(opened_warn(), acknowledged(), days=14),
    "reminder-deescalated": Story(
        [opened_critical()],
        [opened_critical()],
        [
            a_transition(
                K.DEESCALATED,
                sequence=2,
                minutes=70,
                from_=OPEN_CRITICAL,
                to=OPEN_WARN,
                cause="psi_below_critical",
                alert=False,
            )
        ],
        Reminder(2, 3),
    ),
}


def rendered(message: Message) -> str:
    return f"notification: {message.summary}\n\n{as_text(rich_payload(message))}\n"


def compare(name: str, text: str) -> None:
    file = GOLDEN / name
    if os.environ.get("SENTRYML_TEST_WRITE_GOLDEN"):
        file.write_text(text)
    assert file.read_text() == text


@pytest.mark.parametrize("name", STORIES)
def test_message_reads_as_its_golden_file(name: str) -> None:
    compare(f"{name}.txt", rendered(compose(STORIES[name])))


@pytest.mark.parametrize("name", STORIES)
def test_slack_takes_every_message_in_both_forms(name: str) -> None:
    message = compose(STORIES[name])
    assert answer_to(rich_payload(message)) == (OK, "")
    assert answer_to(plain_payload(message)) == (OK, "")


def test_repeat_and_delay_are_said() -> None:
    story = STORIES["opened-critical"]
    message = with_delivery_notes(
        compose(story),
        possibly_sent=True,
        happened_at=story.last.at,
        now=story.last.at + timedelta(minutes=14, seconds=20),
        reason="Slack had an internal error (500); the message may have arrived.",
    )
    compare("repeat-and-late.txt", rendered(message))
    assert message.title.endswith("(repeat)")


def test_message_of_a_fallback_says_for_whom_and_why() -> None:
    story = STORIES["opened-critical"]
    why = "The webhook's Slack channel is archived. Unarchive it."
    message = with_delivery_notes(
        compose(story), possibly_sent=False, happened_at=story.last.at, now=story.last.at, reason=None,
        fallback=Fallback(instead_of="slack", because=why),
    )  # fmt: skip
    compare("sent-by-fallback.txt", rendered(message))
    assert answer_to(rich_payload(message)) == (OK, "")


def test_message_on_a_fixed_channel_says_who_was_sent_meanwhile() -> None:
    story = STORIES["parked-then-acknowledged"]
    message = with_delivery_notes(
        compose(story), possibly_sent=False, happened_at=story.last.at, now=story.last.at + timedelta(hours=3),
        reason="The webhook's Slack channel is archived. Unarchive it.", fallback=Fallback(delivered_by="backup"),
    )  # fmt: skip
    compare("sent-after-fixing.txt", rendered(message))


def test_a_prompt_first_attempt_says_nothing_about_its_way() -> None:
    story = STORIES["opened-critical"]
    message = compose(story)
    now = story.last.at + timedelta(seconds=119)
    assert with_delivery_notes(message, possibly_sent=False, happened_at=story.last.at, now=now, reason=None) == message


def test_payload_as_it_goes_to_slack() -> None:
    payload = rich_payload(compose(STORIES["opened-critical"]))
    compare("opened-critical.json", orjson.dumps(payload, option=orjson.OPT_INDENT_2).decode() + "\n")


def test_plain_form_says_it_all() -> None:
    compare("opened-critical-plain.txt", as_text(plain_payload(compose(STORIES["opened-critical"]))) + "\n")


def test_test_message_reads_as_its_golden_file() -> None:
    message = trial_message("on call", ADA, STORIES["opened-critical"].last.at)
    compare("test.txt", rendered(message))
    assert answer_to(rich_payload(message)) == (OK, "")


def test_every_kind_has_a_golden_file() -> None:
    kinds = {story.last.kind for story in STORIES.values()}
    assert kinds == set(TransitionKind)


@pytest.mark.parametrize("name", STORIES)
def test_only_an_end_in_data_says_that_data_are_normal(name: str) -> None:
    story = STORIES[name]
    says_so = "look like the baseline again" in compose(story).lead
    assert says_so == (story.last.kind in (K.RESOLVED, K.CLOSED) and story.last.cause == "data_returned_to_normal")


def test_live_incident_says_that_acknowledging_does_not_mute_alerts() -> None:
    live = [story for story in STORIES.values() if story.last.to.state in (State.OPEN, State.ACKNOWLEDGED)]
    assert len(live) > 10
    for story in live:
        lines = [line for fact in compose(story).facts for line in fact.lines]
        assert any("not mute alerts" in str(line) for line in lines)


def test_titles_made_by_the_notifier_begin_as_those_of_transitions() -> None:
    assert story_text.DRIFT == step_text.DRIFT
