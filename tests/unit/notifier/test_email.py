"""E-mail: hostile names become neither headers nor markup; what is no channel is refused."""

from __future__ import annotations

from dataclasses import replace
from email.message import EmailMessage
from email.parser import BytesParser
from email.policy import default
from html.parser import HTMLParser
from typing import Any
from uuid import UUID

import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from pydantic import ValidationError

from sentryml_common.text import cut
from sentryml_notifier.channels.base import ChannelMisconfigured, Identity, Outgoing, Tools
from sentryml_notifier.channels.email.form import SUBJECT_LENGTH, email_of
from sentryml_notifier.channels.email.sender import EmailSecret, EmailSettings, open_email
from sentryml_notifier.domain.message import Fact, compose
from tests.unit.notifier.builders import NIGHT
from tests.unit.notifier.test_messages import STORIES

OPS = Identity(UUID(int=2), "ops")
STORY = STORIES["opened-critical"]
HEADERS = [
    "Subject", "From", "To", "Date", "Message-ID", "In-Reply-To", "References", "Auto-Submitted",
    "X-Auto-Response-Suppress", "Importance", "MIME-Version", "Content-Type",
]  # fmt: skip
TAGS = {"html", "head", "meta", "title", "style", "body", "div", "main", "h1", "h2", "p", "em", "a", "ul", "li"}

hostile = st.text(
    st.one_of(st.sampled_from("\r\n\0\t:;<>\"'&=?{}.@-\u2028\u2029\x85\x0b\x0c\x1c\ud800🔴é"), st.characters())
)


class Page(HTMLParser):
    """What an HTML part really holds."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.tags: set[str] = set()
        self.attributes: set[tuple[str, str | None]] = set()
        self.texts: list[str] = []
        self.feed(html)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.add(tag)
        self.attributes |= set(attrs)

    def handle_data(self, data: str) -> None:
        self.texts.append(data)


def sent(text: str, *, plain: bool = False) -> EmailMessage:
    """A mail in which everything that can come from outside is `text`, as the other side reads it."""
    message = replace(
        compose(STORY),
        title=text,
        summary=text,
        lead=text,
        facts=(Fact(text, ((text, NIGHT),)), Fact(text, ((text,), (text,)))),
        notes=(text,),
        link_label=text,
    )
    mail = email_of(
        Outgoing(message, STORY, UUID(int=7), (UUID(int=8),), plain=plain), "a@b.example", ["c@d.example"], NIGHT
    )
    read = BytesParser(policy=default).parsebytes(mail.as_bytes())
    assert isinstance(read, EmailMessage)
    return read


@given(hostile)
@example("x\r\nBcc: evil@evil.example\r\n\r\n<script>alert(1)</script>")
@example("\r\n.\r\nMAIL FROM:<evil@evil.example>")
@example("</title><script>alert(1)</script>")
@example('"><img src=https://evil.example/x.png>')
@example("=?utf-8?q?x=0D=0ABcc:_evil@evil.example?=")
@example("🔴" * 300)
def test_whatever_comes_from_outside_is_neither_header_nor_markup(text: str) -> None:
    read = sent(text)
    assert list(read.keys()) == HEADERS
    assert read["To"] == "c@d.example"
    assert read["Subject"].startswith("🔴")
    assert len(str(read["Subject"]).splitlines()) == 1
    assert [part.get_content_type() for part in read.walk()] == ["multipart/alternative", "text/plain", "text/html"]
    html = read.get_body(("html",))
    assert html is not None
    page = Page(html.get_content())
    assert page.tags == TAGS
    allowed = {"href", "class", "name", "content", "charset", "lang"}
    assert {name for name, _ in page.attributes} <= allowed
    assert [value for name, value in page.attributes if name == "href"] == [compose(STORY).link_url]


@given(
    st.text(st.characters(codec="ascii", categories=("L", "N", "P", "Z")), min_size=1).map(lambda text: cut(text, 100))
)
def test_text_arrives_as_it_is(text: str) -> None:
    read = sent(text, plain=True)
    assert str(read["Subject"]) == cut(f"🔴 {text}", SUBJECT_LENGTH)
    assert read.get_content().startswith(text)


def test_no_line_is_too_long_and_all_of_it_is_ascii() -> None:
    raw = email_of(
        Outgoing(compose(STORY), STORY, UUID(int=7), (UUID(int=8),)), "a@b.example", ["c@d.example"] * 50, NIGHT
    ).as_bytes()
    assert max(map(len, raw.split(b"\r\n"))) <= 998
    assert raw.isascii()


def test_page_loads_nothing_and_knows_the_dark() -> None:
    html = sent("x").get_body(("html",))
    assert html is not None
    text = html.get_content()
    for remote in ("src=", "url(", "@import", "<link", "<img"):
        assert remote not in text
    assert "prefers-color-scheme: dark" in text


@pytest.fixture
async def tools() -> Tools:
    return Tools(None, None, lambda: NIGHT, frozenset({"mail.intra.example:1025"}))  # type: ignore[arg-type]


def settings(**changes: Any) -> EmailSettings:
    given = {"host": "mail.example", "sender": "alerts@example.com", "recipients": ["ana@example.org"]}
    return EmailSettings.model_validate(given | changes)


@pytest.mark.parametrize(
    ("changes", "text"),
    [
        (
            {"tls": "none"},
            "without TLS mail is sent only to allowed servers. To send there on purpose, allow it: ",
        ),
        ({"port": 8080}, "SENTRYML_ALLOWED_HOSTS=mail.example:8080"),
        ({"host": "127.0.0.1"}, "not public"),
        ({"host": "0x7f.1"}, "unusual form"),
        ({"host": "mail.example\r\nQUIT"}, "holds no name of a host"),
    ],
)
def test_server_that_may_not_be_sent_to_is_refused(tools: Tools, changes: dict[str, Any], text: str) -> None:
    with pytest.raises(ChannelMisconfigured) as refused:
        open_email(tools, OPS, settings(**changes), EmailSecret())
    assert text in str(refused.value)


@pytest.mark.parametrize(
    "changes", [{}, {"port": 465, "tls": "tls"}, {"host": "mail.intra.example", "port": 1025, "tls": "none"}]
)
def test_server_that_may_be_sent_to(tools: Tools, changes: dict[str, Any]) -> None:
    assert open_email(tools, OPS, settings(**changes), EmailSecret()).settings.recipients == ("ana@example.org",)


def test_half_a_sign_in_is_refused_without_being_shown(tools: Tools) -> None:
    for half in ({"user": "u"}, {"password": "verysecret"}):
        with pytest.raises(ChannelMisconfigured, match="both a user and a password") as refused:
            open_email(tools, OPS, settings(), EmailSecret.model_validate(half))
        assert "verysecret" not in str(refused.value)


@pytest.mark.parametrize(
    "changes",
    [
        {"recipients": []},
        {"recipients": ["ana"]},
        {"recipients": ["ana@example.org\r\nRCPT TO:<evil@evil.example>"]},
        {"recipients": ["Ana <ana@example.org>"]},
        {"recipients": ["ana@example.org, ben@example.org"]},
        {"recipients": ["a@b.example"] * 51},
        {"sender": "<a@b.example>"},
        {"sender": "a b@example.com"},
        {"tls": "perhaps"},
        {"port": 0},
        {"subject": "mine"},
    ],
)
def test_settings_that_are_none(changes: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        settings(**changes)
