"""What the signed webhook and e-mail make of a message, as golden files to be read: see test_messages.py."""

from __future__ import annotations

from datetime import timedelta
from uuid import UUID, uuid5

import orjson
import pytest

from sentryml_notifier.channels.base import Outgoing
from sentryml_notifier.channels.email.form import email_of
from sentryml_notifier.channels.webhook.body import body_of
from sentryml_notifier.domain.message import compose, with_delivery_notes
from tests.unit.notifier.builders import IDS, NIGHT
from tests.unit.notifier.test_messages import STORIES, compare

NAMES = (
    "opened-critical",
    "opened-warn",
    "escalated",
    "worsened",
    "resolved",
    "combined",
    "repeat-and-late",
    "reminder",
    "long-drift",
)


def outgoing(name: str, reason: str) -> Outgoing:
    """A message of test_messages.py on its way."""
    is_late = name == "repeat-and-late"
    story = STORIES["opened-critical" if is_late else name]
    message = with_delivery_notes(
        compose(story),
        possibly_sent=is_late,
        happened_at=story.last.at,
        now=story.last.at + timedelta(minutes=14 if is_late else 0, seconds=20),
        reason=reason,
    )
    ids = tuple(uuid5(IDS, f"delivery/{step.sequence}") for step in story.reported)
    return Outgoing(message, story, UUID(int=7), ids, possibly_sent=is_late)


@pytest.mark.parametrize("name", NAMES)
def test_webhook_reads_well(name: str) -> None:
    body = orjson.loads(
        body_of(outgoing(name, "The receiver had an internal error (500); the message may have arrived."))
    )
    compare(f"webhook-{name}.json", orjson.dumps(body, option=orjson.OPT_INDENT_2).decode() + "\n")


@pytest.mark.parametrize("name", NAMES)
def test_email_reads_well(name: str) -> None:
    reason = "The mail server did not say whether it accepted the mail; the message may have arrived."
    reported = outgoing(name, reason)
    mail = email_of(reported, "alerts@example.com", ["ana@example.org", "ben@example.org"], NIGHT)
    text, html = mail.get_body(("plain",)), mail.get_body(("html",))
    assert text is not None
    assert html is not None
    shown = "".join(
        f"{field}: {value}\n" for field, value in mail.items() if field not in ("MIME-Version", "Content-Type")
    )
    compare(f"email-{name}.txt", f"{shown}\n{text.get_content()}")
    compare(f"email-{name}.html", html.get_content())
