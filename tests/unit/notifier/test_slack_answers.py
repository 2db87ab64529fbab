"""What Slack's answers mean, and which addresses a secret may be sent to."""

from __future__ import annotations

from uuid import UUID

import pytest

from sentryml_common.errors import ConfigurationError
from sentryml_notifier.channels.base import Identity
from sentryml_notifier.channels.outbound import Guard
from sentryml_notifier.channels.posting import Answer, seconds_of
from sentryml_notifier.channels.slack_webhook.sender import check_webhook, judge
from sentryml_notifier.domain.delivery import Outcome
from tests.unit.notifier.builders import NIGHT

SETTING = "SENTRYML_SLACK_WEBHOOK_URL"
OF_SETTINGS = Identity(UUID(int=1), "slack", SETTING)
OF_LEDGER = Identity(UUID(int=2), "ops")
SECRET = "https://hooks.slack.com/services/T0SECRET/B0SECRET/verysecrettoken"


@pytest.mark.parametrize(
    ("status", "answer", "outcome", "reason"),
    [
        (200, "ok", Outcome.DELIVERED, "ok"),
        (200, "<html>please sign in</html>", Outcome.UNCERTAIN, "strange_answer"),
        (200, "", Outcome.UNCERTAIN, "strange_answer"),
        (204, "", Outcome.CHANNEL_REFUSED, "http_4xx"),
        (301, "", Outcome.CHANNEL_REFUSED, "redirect"),
        (302, "ok", Outcome.CHANNEL_REFUSED, "redirect"),
        (307, "", Outcome.CHANNEL_REFUSED, "redirect"),
        (400, "invalid_payload", Outcome.MESSAGE_REFUSED, "invalid_payload"),
        (400, "invalid_blocks", Outcome.MESSAGE_REFUSED, "invalid_blocks"),
        (400, "no_text", Outcome.MESSAGE_REFUSED, "no_text"),
        (400, "user_not_found", Outcome.CHANNEL_REFUSED, "user_not_found"),
        (400, "unknown reply", Outcome.CHANNEL_REFUSED, "http_4xx"),
        (401, "", Outcome.CHANNEL_REFUSED, "http_4xx"),
        (403, "invalid_token", Outcome.CHANNEL_REFUSED, "invalid_token"),
        (403, "action_prohibited", Outcome.CHANNEL_REFUSED, "action_prohibited"),
        (404, "no_service", Outcome.CHANNEL_REFUSED, "no_service"),
        (404, "channel_not_found", Outcome.CHANNEL_REFUSED, "channel_not_found"),
        (408, "", Outcome.UNCERTAIN, "http_408"),
        (410, "channel_is_archived", Outcome.CHANNEL_REFUSED, "channel_is_archived"),
        (413, "", Outcome.MESSAGE_REFUSED, "msg_too_long"),
        (429, "rate_limited", Outcome.RATE_LIMITED, "rate_limited"),
        (500, "rollup_error", Outcome.UNCERTAIN, "http_5xx"),
        (502, "", Outcome.NOT_ACCEPTED, "http_502"),
        (503, "", Outcome.NOT_ACCEPTED, "http_503"),
        (504, "", Outcome.UNCERTAIN, "http_5xx"),
        (599, "", Outcome.UNCERTAIN, "http_5xx"),
    ],
)
def test_answer_means(status: int, answer: str, outcome: Outcome, reason: str) -> None:
    result = judge(Answer(status, answer, None), OF_SETTINGS.fix)
    assert (result.outcome, result.reason, result.http_status) == (outcome, reason, status)


@pytest.mark.parametrize(
    ("status", "answer"),
    [(302, ""), (403, "invalid_token"), (404, "no_service"), (410, "channel_is_archived"), (418, "x")],
)
def test_broken_channel_says_what_to_do_and_what_happens_then(status: int, answer: str) -> None:
    text, of_ledger = (judge(Answer(status, answer, None), each.fix).text for each in (OF_SETTINGS, OF_LEDGER))
    assert any(word in text for word in ("Make a new", "Unarchive", "Check the address"))
    assert "put it into SENTRYML_SLACK_WEBHOOK_URL and restart the notifier" in text
    assert "enter it for the channel ops" in of_ledger
    assert "retried every 15 minutes; what waits is sent as soon as it works" in text


@pytest.mark.parametrize(
    ("header", "seconds"),
    [
        (None, None),
        ("7", 7.0),
        ("Mon, 23 Nov 2026 02:16:00 GMT", 60.0),
        ("Mon, 23 Nov 2026 02:14:00 -0000", None),
        ("soon", None),
        ("-1", None),
        ("1e9", None),
        ("²", None),
    ],
)
def test_retry_after_in_its_forms(header: str | None, seconds: float | None) -> None:
    assert seconds_of(header, NIGHT) == seconds


def test_foreign_words_are_not_passed_on() -> None:
    assert "<script>" not in judge(Answer(404, "<script>", None), OF_SETTINGS.fix).text
    assert judge(Answer(404, "<script>", None), OF_SETTINGS.fix).reason == "http_4xx"


@pytest.mark.parametrize(
    ("address", "allowed"),
    [
        (SECRET, ""),
        ("https://hooks.slack-gov.com/services/T/B/x", ""),
        ("https://hooks.slack.com:443/services/T/B/x", ""),
        ("http://127.0.0.1:8705/services/T/B/x", "127.0.0.1:8705"),
        ("https://mattermost.example/hooks/x", "mattermost.example:443"),
        ("http://slack-stand-in:8080/services/T/B/x", "slack-stand-in:8080"),
    ],
)
def test_address_is_allowed(address: str, allowed: str) -> None:
    assert check_webhook(address, Guard(frozenset(filter(None, [allowed]))), SETTING).path


@pytest.mark.parametrize(
    "address",
    [
        "http://hooks.slack.com/services/T/B/verysecret",
        "https://hooks.slack.com:8443/services/T/B/verysecret",
        "https://hooks.slack.com.evil.example/services/T/B/verysecret",
        "https://hooks.slack.com@evil.example/services/T/B/verysecret",
        "https://user:verysecret@hooks.slack.com/services/T/B/x",
        "https://evil.example/services/T/B/verysecret",
        "https://hooks.slack.com/other/verysecret",
        "https://hooks.slack.com/services/../other/verysecret",
        "https://hooks.slack.com/services/T/B/x#verysecret",
        "http://169.254.169.254/services/verysecret",
        "http://127.0.0.1:8706/services/verysecret",
        "http://[::ffff:127.0.0.1]:8705/services/verysecret",
        "http://2130706433:8705/services/verysecret",
        "file:///services/verysecret",
        "verysecret",
        "https://exa mple/verysecret",
        "",
    ],
)
def test_address_is_refused_without_being_shown(address: str) -> None:
    with pytest.raises(ConfigurationError) as refused:
        check_webhook(address, Guard(frozenset({"127.0.0.1:8705"})), SETTING)
    assert "SENTRYML_SLACK_WEBHOOK_URL" in str(refused.value)
    assert "verysecret" not in str(refused.value)
