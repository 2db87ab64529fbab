"""The root message of a conversation after each kind of history, and the quiet replies, as golden files to be read.

Rewrite them with SENTRYML_TEST_WRITE_GOLDEN=1, and read the difference.
"""

from __future__ import annotations

import orjson
import pytest

from sentryml_common.contracts.transition import Severity, Standing, State, TransitionKind
from sentryml_local.slack_stand_in.page import as_text
from sentryml_local.slack_stand_in.protocol import OK, answer_to
from sentryml_notifier.channels.slack_bot.blocks import rich_payload
from sentryml_notifier.channels.slack_bot.sender import question_payload, root_payload
from sentryml_notifier.domain.conversation import as_reply, current_state, is_said_aloud
from sentryml_notifier.domain.message import compose
from sentryml_notifier.domain.message_input import Story
from tests.unit.notifier.builders import (
    ADA,
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
    score_why,
)
from tests.unit.notifier.test_messages import STORIES, compare, reported

K = TransitionKind
SEEN_CRITICAL = Standing(state=State.ACKNOWLEDGED, severity=Severity.CRITICAL)
SEEN = acknowledged(from_=OPEN_CRITICAL)
LESS = a_transition(
    K.DEESCALATED, sequence=3, minutes=70, from_=SEEN_CRITICAL, to=SEEN_WARN, cause="psi_below_critical", alert=False,
    why=(score_why(0.16),),
)  # fmt: skip
PAUSED = a_transition(
    K.EVALUATION_PAUSED, sequence=2, minutes=40, from_=OPEN_WARN, to=OPEN_WARN, cause="no_data", alert=False
)  # fmt: skip
RESUMED = a_transition(
    K.EVALUATION_RESUMED, sequence=3, minutes=65, from_=OPEN_WARN, to=OPEN_WARN, cause="data_are_back", alert=False
)  # fmt: skip
NOTED = a_transition(
    K.NOTED, sequence=3, minutes=400, from_=SEEN.to, to=resolved().to, actor=ADA, cause="requested", alert=False,
    note="It was the feed of station KJFK.",
)  # fmt: skip

STANDING: dict[str, Story] = {
    "opened": reported(opened_critical()),
    "acknowledged": reported(opened_critical(), SEEN),
    "acknowledged-then-deescalated": reported(opened_critical(), SEEN, LESS),
    "escalated-after-acknowledged": reported(opened_warn(), acknowledged(), escalated(sequence=3, from_=SEEN_WARN)),
    "worsened-after-acknowledged": STORIES["worsened"],
    "evaluation-paused": reported(opened_warn(), PAUSED),
    "evaluation-resumed": reported(opened_warn(), PAUSED, RESUMED),
    "resolved": reported(opened_critical(), SEEN, resolved(sequence=3, from_=SEEN_CRITICAL)),
    "noted-after-it-resolved": reported(opened_critical(), resolved(), NOTED),
    "reopened": reported(opened_critical(), resolved(), reopened()),
    "closed": STORIES["closed-by-person"],
}


@pytest.mark.parametrize("name", STANDING)
def test_root_reads_as_its_golden_file(name: str) -> None:
    payload = root_payload(current_state(STANDING[name]), STANDING[name], plain=False)
    compare(f"root-{name}.txt", f"notification: {payload['text']}\n\n{as_text(payload)}\n")


QUIET = (
    "acknowledged",
    "unacknowledged",
    "noted",
    "deescalated",
    "evaluation-paused",
    "evaluation-resumed",
    "monitor-changed",
)


@pytest.mark.parametrize("name", QUIET)
def test_quiet_reply_reads_as_its_golden_file(name: str) -> None:
    reply = as_reply(compose(STORIES[name]), STORIES[name])
    compare(f"reply-{name}.txt", f"notification: {reply.summary}\n\n{as_text(rich_payload(reply))}\n")


@pytest.mark.parametrize("name", STANDING)
def test_a_live_incident_has_buttons_and_one_that_is_over_has_none(name: str) -> None:
    story = STANDING[name]
    payload = root_payload(current_state(story), story, plain=False)
    assert answer_to(payload) == (OK, "")
    about_normal = ["[New normal]", "[This was normal]"]
    expected = {State.OPEN: ["[Acknowledge]", *about_normal], State.ACKNOWLEDGED: about_normal}
    found = [line for line in as_text(payload).split("\n") if line.startswith("[")]
    assert found == expected.get(story.history[-1].to.state, [])


@pytest.mark.parametrize("name", STORIES)
def test_what_calls_somebody_is_said_aloud_and_nothing_else(name: str) -> None:
    story = STORIES[name]
    assert is_said_aloud(story) == any(
        step.kind in (K.OPENED, K.ESCALATED, K.WORSENED, K.REOPENED) for step in story.reported
    )


QUESTIONS = {
    "live": (STANDING["acknowledged-then-deescalated"], True),
    "asked-again": (STANDING["opened"], False),
    "closed-as-the-new-normal": (STORIES["closed-as-the-new-normal"], True),
    "resolved": (STANDING["resolved"], True),
}


@pytest.mark.parametrize("name", QUESTIONS)
def test_question_reads_as_its_golden_file_after_it_was_edited(name: str) -> None:
    story, newest = QUESTIONS[name]
    payload = question_payload(story, 7, newest=newest, plain=False)
    assert answer_to(payload) == (OK, "")
    assert answer_to(question_payload(story, 7, newest=newest, plain=True)) == (OK, "")
    compare(f"question-{name}.txt", f"notification: {payload['text']}\n\n{as_text(payload)}\n")


def test_buttons_as_they_go_to_slack() -> None:
    story = STANDING["opened"]
    payload = question_payload(story, 7, newest=True, plain=False)
    compare(
        "question-buttons.json",
        orjson.dumps(payload["attachments"][0]["blocks"][-1], option=orjson.OPT_INDENT_2).decode() + "\n",
    )
