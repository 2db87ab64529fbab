"""The stand-in answers as Slack does, and shows what it got without letting it become HTML."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from sentryml_local.slack_stand_in.page import mrkdwn, render_page
from sentryml_local.slack_stand_in.protocol import address_problem, answer_to, read_payload
from sentryml_local.slack_stand_in.store import RateLimit, Request, Script, Store
from sentryml_local.slack_stand_in.workspace import Workspace
from tests.unit.notifier.builders import NIGHT


def text(content: str, kind: str = "mrkdwn") -> dict[str, str]:
    return {"type": kind, "text": content}


def section(content: str) -> dict[str, Any]:
    return {"type": "section", "text": text(content)}


@pytest.mark.parametrize(
    ("payload", "status", "body"),
    [
        (None, 400, "invalid_payload"),
        ({"text": 7}, 400, "invalid_payload"),
        ({"text": "x", "blocks": "none"}, 400, "invalid_payload"),
        ({}, 400, "no_text"),
        ({"text": "  "}, 400, "no_text"),
        ({"text": "x"}, 200, "ok"),
        ({"text": "x", "blocks": [section("x" * 3000)]}, 200, "ok"),
        ({"text": "x", "blocks": [section("x" * 3001)]}, 400, "invalid_blocks"),
        ({"text": "x", "blocks": [section("")]}, 400, "invalid_blocks"),
        ({"text": "x", "blocks": [{"type": "section"}]}, 400, "invalid_blocks"),
        ({"text": "x", "blocks": [{"type": "section", "fields": [text("a")] * 10}]}, 200, "ok"),
        ({"text": "x", "blocks": [{"type": "section", "fields": [text("a")] * 11}]}, 400, "invalid_blocks"),
        ({"text": "x", "blocks": [{"type": "header", "text": text("x" * 150, "plain_text")}]}, 200, "ok"),
        ({"text": "x", "blocks": [{"type": "header", "text": text("x" * 151, "plain_text")}]}, 400, "invalid_blocks"),
        ({"text": "x", "blocks": [{"type": "header", "text": text("x")}]}, 400, "invalid_blocks"),
        ({"text": "x", "blocks": [{"type": "context", "elements": [text("x")] * 10}]}, 200, "ok"),
        ({"text": "x", "blocks": [{"type": "context", "elements": [text("x")] * 11}]}, 400, "invalid_blocks"),
        ({"text": "x", "blocks": [{"type": "divider"}] * 50}, 200, "ok"),
        ({"text": "x", "blocks": [{"type": "divider"}] * 51}, 400, "invalid_blocks"),
        ({"text": "x", "blocks": [{"type": "dividers"}]}, 400, "invalid_blocks"),
        ({"text": "x", "blocks": ["divider"]}, 400, "invalid_blocks"),
        ({"text": "x", "blocks": [{"type": "divider", "block_id": "x" * 256}]}, 400, "invalid_blocks"),
        ({"text": "x", "blocks": [section("x" * 2900)] * 5}, 400, "msg_blocks_too_long"),
        ({"text": "x", "attachments": [{"blocks": [section("x" * 3001)]}]}, 400, "invalid_blocks"),
        ({"text": "x", "attachments": ["x"]}, 400, "invalid_blocks"),
        ({"text": "x", "attachments": [{}] * 101}, 400, "too_many_attachments"),
    ],
)
def test_answer_to_payload(payload: dict[str, Any] | None, status: int, body: str) -> None:
    answer, problem = answer_to(payload)
    assert (answer.status, answer.body) == (status, body)
    assert bool(problem) == (status != 200)


@pytest.mark.parametrize("body", [b"", b"{", b"[]", b'"x"', b"\xff"])
def test_body_that_is_no_object_is_no_payload(body: bytes) -> None:
    assert read_payload(body) is None


def test_wrong_addresses() -> None:
    assert address_problem("T1", "B1", "right", "right") is None
    wrong = [address_problem("T1", "B1", "wrong", "right"), address_problem("x", "B1", "right", "right")]
    assert [(answer.status, answer.body) for answer in wrong if answer] == [(403, "invalid_token"), (404, "no_service")]


@pytest.mark.parametrize(
    ("given", "shown"),
    [
        ("*bold* and _soft_ and ~gone~", "<strong>bold</strong> and <em>soft</em> and <s>gone</s>"),
        ("fraud_v1_prod 2*3*4", "fraud_v1_prod 2*3*4"),
        ("<https://a.example/?x=1&amp;y=2|look>", '<a href="https://a.example/?x=1&amp;y=2" rel="noreferrer">look</a>'),
        ("*<https://a.example|look>*", '<strong><a href="https://a.example" rel="noreferrer">look</a></strong>'),
        ("&lt;script&gt; &amp;amp;", "&lt;script&gt; &amp;amp;"),
        ("<!channel>", '<span class="mention">@channel</span>'),
        ("<javascript:alert(1)|x>", "&lt;javascript:alert(1)|x&gt;"),
        ("<!date^1763863200^{date_num} {time}|then>", "<time>2025-11-23 02:00 UTC</time>"),
        ("<!date^nonsense^{time}|then>", "<time>then</time>"),
        ("`a *b*`", "<code>a *b*</code>"),
        ("a\nb", "a<br>b"),
    ],
)
def test_mrkdwn_as_html(given: str, shown: str) -> None:
    assert str(mrkdwn(given)) == shown


def a_request(payload: dict[str, Any], number: int = 1, accepted: bool = True) -> Request:
    return Request(
        number=number, at=NIGHT, hook="T/B", accepted=accepted, status=200, answer="ok", problem="", payload=payload
    )


def test_page_escapes_whatever_comes() -> None:
    bad = "<script>alert(1)</script>"
    blocks = [section(bad), {"type": "header", "text": text(bad, "plain_text")}]
    payload = {"text": bad, "attachments": [{"color": bad, "text": bad, "blocks": blocks}]}
    page = render_page([a_request(payload)], Workspace())
    assert "alert(1)" in page
    assert "<script>alert" not in page


def test_empty_page_says_so() -> None:
    assert "No message yet" in render_page([], Workspace())


def test_script_is_played_as_often_as_it_says() -> None:
    store = Store(None)
    store.play([Script(status=500, times=2), Script(status=404)])
    statuses = [script.status for script in (store.next_scripted() for _ in range(4)) if script]
    assert statuses == [500, 500, 404]


def test_rate_limit_lets_a_burst_pass_and_then_one_by_one() -> None:
    store = Store(None)
    store.limit(RateLimit(per_second=1, burst=2), 100.0)
    taken = [store.over_rate(at) is None for at in (100.0, 100.0, 100.1, 101.1, 101.2)]
    assert taken == [True, True, False, True, False]


def test_messages_survive_a_restart_in_the_file(tmp_path: Path) -> None:
    file = tmp_path / "slack" / "messages.jsonl"
    Store(file).keep(a_request({"text": "one"}))
    again = Store(file)
    assert [message.payload for message in again.messages] == [{"text": "one"}]
    again.forget()
    assert again.messages == []
    assert len(Store(file).messages) == 1
