"""Nothing that strangers wrote is hidden in a message, or changes how the rest of it is read, in whatever form."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any
from uuid import UUID

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sentryml_common.contracts.transition import Actor, ActorType
from sentryml_common.text import INVISIBLE
from sentryml_notifier.channels.base import Outgoing
from sentryml_notifier.channels.email.form import email_of
from sentryml_notifier.channels.plain_text import as_text
from sentryml_notifier.channels.slack_bot.blocks import notice_payload, plain_payload, rich_payload
from sentryml_notifier.channels.webhook.body import body_of
from sentryml_notifier.domain.channel_tests import trial_message
from sentryml_notifier.domain.message import Message, compose
from sentryml_notifier.domain.message_input import Story
from tests.unit.notifier.builders import NIGHT, a_category, a_transition, opened_critical, score_why

HIDDEN = ["\u202e", "\u2066", "\x00", "\x1b", "\x9b", "\u200b", "\ufeff", "\u00ad", "\U000e0041"]


def story_with(nasty: str) -> Story:
    """An incident whose category, note and person are all called so."""
    opened = opened_critical(why=(score_why(bins=(a_category(nasty, 0.1, 0.6),)),))
    by = Actor(type=ActorType.USER, id="7", name=nasty)
    noted = a_transition(sequence=2, kind="noted", from_=opened.to, actor=by, cause="requested", note=nasty)  # type: ignore[arg-type]
    return Story([opened, noted], [opened, noted])


def texts_of(value: Any) -> Iterator[str]:
    if isinstance(value, str):
        yield value
    elif isinstance(value, dict):
        for each in value.values():
            yield from texts_of(each)
    elif isinstance(value, list | tuple):
        for each in value:
            yield from texts_of(each)


def forms_of(message: Message, story: Story) -> dict[str, str]:
    """What people read of a message, by the form in which they get it."""
    outgoing = Outgoing(message, story, UUID(int=7), (UUID(int=8),))
    mail = email_of(outgoing, "alerts@example.com", ["ana@example.org"], NIGHT)
    parts = [mail.get_body((kind,)) for kind in ("plain", "html")]
    return {
        "slack": "\n".join(texts_of(rich_payload(message))),
        "slack, plain": "\n".join(texts_of(plain_payload(message))),
        "text": as_text(message),
        "e-mail": "\n".join([str(mail["Subject"]), *(part.get_content() for part in parts if part is not None)]),
        "webhook": "\n".join(texts_of(orjson.loads(body_of(outgoing))["data"]["message"])),
    }


@pytest.mark.parametrize("hidden", HIDDEN)
def test_what_cannot_be_seen_is_written_out(hidden: str) -> None:
    written_out = f"[U+{ord(hidden):04X}]"
    story = story_with(f"la{hidden}te")
    for form, text in forms_of(compose(story), story).items():
        assert f"la{written_out}te" in text, form
        assert not INVISIBLE.search(text), form


@given(st.text(max_size=80))
def test_nothing_is_hidden_whatever_the_names(name: str) -> None:
    story = story_with(name)
    for message in (compose(story), trial_message(name, story.last.actor, NIGHT)):
        for form, text in forms_of(message, story).items():
            assert not INVISIBLE.search(text), form
    assert not INVISIBLE.search(notice_payload(name, name, "")["text"])
