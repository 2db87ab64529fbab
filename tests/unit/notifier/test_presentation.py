"""What a route says about its messages: the zone of times, and whom Slack mentions."""

from __future__ import annotations

import pytest

from sentryml_local.slack_stand_in.protocol import OK, answer_to
from sentryml_notifier.channels.plain_text import as_text
from sentryml_notifier.channels.slack_bot.blocks import plain_payload, rich_payload
from sentryml_notifier.domain.message import Presentation, compose, presented
from tests.unit.notifier.test_messages import STORIES

BERLIN = Presentation("Europe/Berlin")
GROUPS = Presentation(slack_group_warn="S0WARN", slack_group_critical="S0CRITICAL")


def test_times_are_in_the_zone_of_the_route() -> None:
    """Opened at 02:15 UTC, resolved at 07:27."""
    message = compose(STORIES["resolved"])
    usual, theirs = as_text(message), as_text(presented(message, BERLIN))
    assert "from 2026-11-23 02:15 UTC to 2026-11-23 07:27 UTC" in usual
    assert "from 2026-11-23 03:15 CET to 2026-11-23 08:27 CET" in theirs
    assert "before 23 Nov 2026, 14:27:00 CET" in theirs, "in sentences too"
    assert "UTC" not in theirs
    assert presented(message, Presentation()) == message


def test_slack_shows_times_in_the_readers_zone_whatever_the_route_says() -> None:
    message = compose(STORIES["opened-warn"])
    assert rich_payload(presented(message, BERLIN)) == rich_payload(message)


@pytest.mark.parametrize(
    ("name", "mention"),
    [
        ("opened-warn", "S0WARN"),
        ("opened-critical", "S0CRITICAL"),
        ("escalated", "S0CRITICAL"),
        ("reminder", "S0CRITICAL"),
        ("resolved", None),
        ("closed-by-person", None),
        ("acknowledged", None),
    ],
)
def test_alerts_mention_a_group_by_severity_and_ends_nobody(name: str, mention: str | None) -> None:
    message = presented(compose(STORIES[name]), GROUPS)
    rich, plain = rich_payload(message), plain_payload(message)
    assert answer_to(rich) == (OK, "")
    for text in (rich["text"], rich["blocks"][1]["text"]["text"], plain["text"]):
        assert ("<!subteam^" in text) == (mention is not None)
        assert mention is None or text.startswith(f"<!subteam^{mention}> ")
