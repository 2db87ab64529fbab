"""What may be shown of a secret: enough to tell one from another, and nothing that opens anything."""

from __future__ import annotations

import pytest

from sentryml_notifier.channels.base import HIDDEN
from sentryml_notifier.channels.kinds import KINDS

SIGNED_WITH = "whsec_" + "c2VjcmV0" * 4


@pytest.mark.parametrize(
    ("kind", "secret", "hint"),
    [
        ("slack_webhook", {"url": "https://hooks.slack.com/services/T0TEAM/B0HOOK/verysecret"}, "…/B0…/****"),
        ("slack_webhook", {"url": "https://hooks.slack.com/services"}, HIDDEN),
        ("slack_bot", {"token": "xoxb-verysecret"}, HIDDEN),
        (
            "webhook",
            {"url": "https://user:verysecret@ops.example:8443/x?verysecret", "signing_secrets": [SIGNED_WITH]},
            "https://ops.example/****",
        ),
        ("apprise", {"url": "tgram://verysecret/123"}, "tgram://****"),
        ("apprise", {"url": "verysecret"}, HIDDEN),
    ],
)
def test_a_hint_shows_no_secret(kind: str, secret: dict[str, object], hint: str) -> None:
    assert KINDS[kind].hinted(secret) == hint
