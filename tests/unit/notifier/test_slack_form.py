"""Slack's form: within its limits by construction, and nothing in a value becomes markup that calls somebody."""

from __future__ import annotations

import re
from typing import Any
from uuid import UUID

from hypothesis import given, settings
from hypothesis import strategies as st

from sentryml_common.contracts.evaluation import Signal
from sentryml_common.contracts.transition import (
    Actor,
    ActorType,
    Cause,
    Severity,
    SignalWhy,
    Standing,
    State,
    Transition,
    TransitionKind,
    TransitionText,
)
from sentryml_common.text import visible
from sentryml_local.slack_stand_in.protocol import OK, answer_to
from sentryml_notifier.channels.markup import units
from sentryml_notifier.channels.slack_bot.blocks import escape, notice_payload, plain_payload, rich_payload
from sentryml_notifier.channels.slack_bot.sender import root_payload
from sentryml_notifier.domain.conversation import as_reply, current_state
from sentryml_notifier.domain.group_text import GroupReport, compose_group
from sentryml_notifier.domain.grouping import About, AlertGroup
from sentryml_notifier.domain.message import Message, compose, with_delivery_notes
from sentryml_notifier.domain.message_input import Story
from tests.unit.notifier.builders import NIGHT, OPEN_CRITICAL, a_bin, a_category, a_transition, score_why

MARKUP = re.compile(r"<[^<>]*>")
OURS = re.compile(
    r"<!date\^\d+\^\{date_short_pretty\} at \{time\}\|[-0-9: ]+ UTC>|"
    r"<https?://[^<>|\s]+\|(?:Open incident #\d+|#\d+ [^<>]*|List and acknowledge all \d+ incidents)>"
)

hostile = st.one_of(
    st.text(max_size=200),
    st.sampled_from(
        ["<!channel>", "<@U123>", "&lt;", "*bold*", "```", "<https://evil.example|ok>", "\u202e", "🔥" * 150]
    ),
    st.text(alphabet="<>&|\n*_~`@#", max_size=3000),
)
shares = st.floats(0, 1)
bins = st.one_of(
    st.builds(a_category, hostile, shares, shares),
    st.builds(a_bin, st.none() | st.floats(allow_nan=False, allow_infinity=False), st.none(), shares, shares),
    st.builds(a_bin, st.floats(-1e300, 0), st.floats(0, 1e300), shares, shares),
)
figures = st.none() | st.floats(0, 1e6)
whys = st.builds(
    SignalWhy,
    signal=st.sampled_from(Signal),
    psi=figures,
    warn_at=figures,
    critical_at=figures,
    top_bins=st.lists(bins, max_size=12).map(tuple),
)


written = st.builds(
    TransitionText, title=hostile, headline=hostile, step=hostile, next=st.lists(hostile, max_size=5).map(tuple)
)
URLS = ["https://a.example/incidents/1?x=1&y=2", "http://h/<!here>|x", "ftp://x", "", "https://" + "a" * 4000]


@st.composite
def steps(draw: st.DrawFn) -> Transition:
    return a_transition(
        draw(st.sampled_from(TransitionKind)),
        from_=OPEN_CRITICAL,
        to=Standing(state=draw(st.sampled_from(State)), severity=draw(st.sampled_from(Severity))),
        actor=Actor(type=ActorType.USER, id="1", name=draw(hostile)),
        cause=draw(st.sampled_from(Cause)),
        note=draw(st.none() | hostile),
        why=draw(st.lists(whys, max_size=30).map(tuple)),
        model_id=draw(st.from_regex(r"[A-Za-z0-9][A-Za-z0-9._:-]{0,127}", fullmatch=True)),
        incident_url=draw(st.sampled_from(URLS)),
        text=draw(written),
    )


@st.composite
def messages(draw: st.DrawFn) -> Message:
    step = draw(steps())
    message = compose(Story([step], [step]))
    return with_delivery_notes(message, possibly_sent=True, happened_at=NIGHT, now=step.at, reason=draw(hostile))


def texts(payload: dict[str, Any]) -> list[str]:
    """Every string in a payload that Slack reads as mrkdwn."""
    blocks = [*payload.get("blocks", []), *(b for a in payload.get("attachments", []) for b in a["blocks"])]
    parts = [part for block in blocks for part in [block.get("text"), *block.get("elements", [])] if part]
    return [payload["text"], *(part["text"] for part in parts if part["type"] == "mrkdwn")]


def check(payload: dict[str, Any]) -> None:
    assert answer_to(payload) == (OK, "")
    assert payload["text"].strip()
    for text in texts(payload):
        left = OURS.sub("", text)
        assert not MARKUP.search(left), f"markup that is not ours: {left}"
        assert "<" not in left
        assert ">" not in left
        assert not re.search(r"&(?!(amp|lt|gt);)", left), f"a cut entity: {left}"


@settings(max_examples=300)
@given(messages())
def test_any_message_fits_slack_and_calls_nobody(message: Message) -> None:
    for payload in (rich_payload(message), plain_payload(message)):
        check(payload)


@settings(max_examples=100)
@given(st.lists(steps(), min_size=1, max_size=4), hostile)
def test_any_conversation_fits_slack_and_calls_nobody(history: list[Transition], reason: str) -> None:
    """Its root as first posted, as edited later, and each reply, rich and plain."""
    story = Story(history, history[-1:])
    news = with_delivery_notes(
        compose(story), possibly_sent=True, happened_at=NIGHT, now=history[-1].at, reason=reason
    )  # fmt: skip
    for plain in (False, True):
        for message in (news, current_state(story)):
            check(root_payload(message, story, plain=plain))
    reply = as_reply(news, story)
    group = AlertGroup(UUID(int=7), 7, NIGHT, NIGHT)
    together = compose_group(GroupReport(group, About.ALERT, [Story([step], [step]) for step in history], 4))
    for message in (reply, together):
        check(rich_payload(message))
        check(plain_payload(message))


@given(hostile, st.sampled_from(URLS))
def test_any_answer_to_one_person_fits_slack_and_calls_nobody(text: str, url: str) -> None:
    payload = notice_payload(f"You: {text}", "Open incident #42", url)
    check(payload)


@given(st.text(max_size=300))
def test_escaping_loses_nothing(text: str) -> None:
    assert escape(text).replace("&lt;", "<").replace("&gt;", ">").replace("&amp;", "&") == visible(text)


def test_length_is_counted_as_slack_counts_it() -> None:
    assert units("a") == 1
    assert units("🔥") == 2


def test_values_are_verbatim_so_that_slack_links_nothing_in_them() -> None:
    step = a_transition(why=(score_why(bins=(a_category("#general @here", 0.1, 0.9),)),))
    payload = rich_payload(compose(Story([step], [step])))
    parts = [b["text"] for a in payload["attachments"] for b in a["blocks"]] + [payload["blocks"][1]["text"]]
    assert all(part["verbatim"] for part in parts)
