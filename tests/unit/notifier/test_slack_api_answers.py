"""What the Web API's answers mean, and where a bot's token may be sent to."""

from __future__ import annotations

from uuid import UUID

import orjson
import pytest
from pydantic import ValidationError

from sentryml_common.errors import ConfigurationError
from sentryml_notifier.channels.base import Identity
from sentryml_notifier.channels.posting import Answer
from sentryml_notifier.channels.slack_bot.api import CHANNEL_REFUSALS, MESSAGE_REFUSALS, check_base, judge
from sentryml_notifier.channels.slack_bot.sender import KIND
from sentryml_notifier.domain.delivery import Outcome, SendResult

FIX = Identity(UUID(int=1), "slack-bot", "SENTRYML_SLACK_BOT_TOKEN").fix


def judged(status: int, answer: object) -> SendResult:
    text = answer if isinstance(answer, str) else orjson.dumps(answer).decode()
    result = judge(Answer(status, text, None), FIX, "C0ALERTS")
    assert isinstance(result, SendResult)
    return result


def refused(error: str) -> dict[str, object]:
    return {"ok": False, "error": error}


@pytest.mark.parametrize(
    ("status", "answer", "outcome", "reason"),
    [
        (200, refused("ratelimited"), Outcome.RATE_LIMITED, "rate_limited"),
        (200, refused("message_limit_exceeded"), Outcome.RATE_LIMITED, "rate_limited"),
        (429, "", Outcome.RATE_LIMITED, "rate_limited"),
        (200, refused("internal_error"), Outcome.UNCERTAIN, "internal_error"),
        (200, refused("fatal_error"), Outcome.UNCERTAIN, "fatal_error"),
        (500, refused("fatal_error"), Outcome.UNCERTAIN, "fatal_error"),
        (200, refused("service_unavailable"), Outcome.NOT_ACCEPTED, "service_unavailable"),
        (200, refused("team_added_to_org"), Outcome.NOT_ACCEPTED, "team_added_to_org"),
        (503, "<html>", Outcome.NOT_ACCEPTED, "http_503"),
        (500, "", Outcome.UNCERTAIN, "http_5xx"),
        (504, "", Outcome.UNCERTAIN, "http_5xx"),
        (408, "", Outcome.UNCERTAIN, "http_408"),
        (200, refused("invalid_blocks"), Outcome.MESSAGE_REFUSED, "invalid_blocks"),
        (200, refused("metadata_too_large"), Outcome.MESSAGE_REFUSED, "metadata_too_large"),
        (413, "", Outcome.MESSAGE_REFUSED, "msg_too_long"),
        (200, refused("not_in_channel"), Outcome.CHANNEL_REFUSED, "not_in_channel"),
        (401, refused("invalid_auth"), Outcome.CHANNEL_REFUSED, "invalid_auth"),
        (200, refused("never_heard_of"), Outcome.CHANNEL_REFUSED, "refused"),
        (200, refused("<!channel>"), Outcome.CHANNEL_REFUSED, "refused"),
        (404, "", Outcome.CHANNEL_REFUSED, "http_4xx"),
        (302, "", Outcome.CHANNEL_REFUSED, "redirect"),
        (302, {"ok": True}, Outcome.CHANNEL_REFUSED, "redirect"),
        (200, "<html>please sign in</html>", Outcome.UNCERTAIN, "strange_answer"),
        (200, "[]", Outcome.UNCERTAIN, "strange_answer"),
        (200, {"ok": "yes"}, Outcome.UNCERTAIN, "strange_answer"),
    ],
)
def test_answer_means(status: int, answer: object, outcome: Outcome, reason: str) -> None:
    result = judged(status, answer)
    assert (result.outcome, result.reason, result.http_status) == (outcome, reason, status)


def test_ok_is_what_slack_says_is_ok() -> None:
    assert judge(Answer(200, '{"ok": true, "ts": "1.2"}', None), FIX, "") == {"ok": True, "ts": "1.2"}


@pytest.mark.parametrize("error", sorted(CHANNEL_REFUSALS))
def test_every_refusal_is_a_sentence_for_a_person_without_gaps(error: str) -> None:
    text = judged(200, refused(error)).text
    assert text[0].isupper()
    assert ". " in text
    assert "{" not in text
    assert "}" not in text
    assert error not in text


def test_what_was_asked_for_is_passed_on() -> None:
    result = judge(Answer(429, "", 17.0), FIX, "")
    assert isinstance(result, SendResult)
    assert result.retry_after_seconds == 17.0


def test_an_unknown_error_is_named_only_if_it_is_a_name() -> None:
    assert "never_heard_of" in judged(200, refused("never_heard_of")).text
    assert "<!channel>" not in judged(200, refused("<!channel>")).text
    assert not MESSAGE_REFUSALS & CHANNEL_REFUSALS.keys()


@pytest.mark.parametrize("address", ["https://slack.com/api/", "https://slack.com/api", "https://slack-gov.com/api/"])
def test_tokens_go_to_slack(address: str) -> None:
    assert check_base(address, frozenset()).endswith("/api/")


@pytest.mark.parametrize(
    "address", ["http://slack.com/api/", "https://slack.com.evil.example/api/", "https://evil.example/", "ftp://slack.com/"]
)  # fmt: skip
def test_tokens_go_nowhere_else(address: str) -> None:
    with pytest.raises(ConfigurationError, match="SENTRYML_SLACK_API_URL"):
        check_base(address, frozenset())


def test_an_allowed_host_may_be_another() -> None:
    assert check_base("http://127.0.0.1:1/api/", frozenset({"127.0.0.1:1"})) == "http://127.0.0.1:1/api/"


@pytest.mark.parametrize(
    ("settings", "secret"),
    [
        ({"channel": "#alerts"}, {"token": "xoxb-1"}),
        ({}, {"token": "xoxb-1"}),
        ({"channel": "C0ALERTS"}, {"token": "xoxp-s3cr3t"}),
        ({"channel": "C0ALERTS"}, {"token": "xoxb-1", "app_token": "xoxb-s3cr3t"}),
        ({"channel": "C0ALERTS", "more": 1}, {"token": "xoxb-1"}),
    ],
)
def test_a_configuration_that_cannot_work_is_refused_without_its_secret(
    settings: dict[str, object], secret: dict[str, object]
) -> None:
    with pytest.raises(ValidationError) as refusal:
        (KIND.settings.model_validate(settings), KIND.secret.model_validate(secret))
    assert "s3cr3t" not in str(refusal.value)
