"""Slack's incoming webhook: one POST, and what its answer means.

Delivered is only 200 with the body `ok`. Redirects are never followed: a GET answered 200 somewhere else would
look like a delivered alert. The address is a secret: it appears in no log, no error and no result.
"""

from __future__ import annotations

from collections.abc import Mapping

import httpx
from pydantic import Field, SecretStr

from sentryml_notifier.channels.answers import check_address
from sentryml_notifier.channels.base import HIDDEN, ChannelMisconfigured, Config, Identity, Kind, Paced, Tools
from sentryml_notifier.channels.one_webhook import OneWebhook
from sentryml_notifier.channels.outbound import Guard, authority_of_url, host_of
from sentryml_notifier.channels.posting import Answer
from sentryml_notifier.channels.slack_bot.blocks import plain_payload, rich_payload
from sentryml_notifier.domain.addresses import to_allow
from sentryml_notifier.domain.delivery import TRIED_AGAIN, Outcome, SendResult

SLACK_HOSTS = frozenset({"hooks.slack.com", "hooks.slack-gov.com"})
NEW_WEBHOOK = "Make a new incoming webhook in Slack: {fix}."

# Slack's words for what no retry fixes, and what a person can do about each.
CHANNEL_REFUSALS: Mapping[str, str] = {
    "no_service": "Slack does not know this webhook: it was removed, or its app was. {new}",
    "no_service_id": "Slack does not know this webhook: its address is not complete. {new}",
    "no_team": "Slack does not know the workspace of this webhook. {new}",
    "team_disabled": "The Slack workspace of this webhook is disabled. {new}",
    "invalid_token": "Slack does not accept the token in the webhook's address. {new}",
    "channel_not_found": "The webhook's Slack channel does not exist any more. {new}",
    "channel_is_archived": "The webhook's Slack channel is archived. Unarchive it; or, for another channel: {new}",
    "user_not_found": "The person this webhook writes to is not in Slack any more. {new}",
    "action_prohibited": "The Slack workspace forbids what this webhook does. Ask its administrator to allow "
    "the app to post.",
    "posting_to_general_channel_denied": "The Slack workspace lets few people post to its general channel. "
    "Choose another channel: {new}",
}
MESSAGE_REFUSALS = frozenset(
    {"invalid_payload", "invalid_blocks", "msg_blocks_too_long", "msg_too_long", "no_text", "too_many_attachments"}
)


class WebhookSecret(Config):
    """What is secret of a webhook: all of its address."""

    url: SecretStr = Field(title="Address", examples=["https://hooks.slack.com/services/T…/B…/…"])


def open_webhook(tools: Tools, identity: Identity, settings: Paced, secret: WebhookSecret) -> OneWebhook:
    """A channel of this kind.

    Raises:
        ChannelMisconfigured: the address is not one that secrets may be sent to.
    """
    what = identity.secret_setting or "the address"
    address = check_webhook(secret.url.get_secret_value(), tools.guard, what)
    return OneWebhook(tools.receiver("Slack", address, judge, identity), rich_payload, plain_payload)


def hint_of(secret: WebhookSecret) -> str:
    """`…/B0…/****`: the beginning of the webhook's own id."""
    parts = httpx.URL(secret.url.get_secret_value()).path.split("/")
    return f"…/{parts[3][:2]}…/{HIDDEN}" if len(parts) > 4 else HIDDEN


KIND = Kind(
    "slack_webhook",
    "Slack, by incoming webhook",
    "The quickest way: one address, made on Slack's page of your app under “Incoming Webhooks”.",
    Paced,
    WebhookSecret,
    open_webhook,
    hint_of,
)


def judge(answer: Answer, fix: str) -> SendResult:
    """What Slack's answer means. Words of the answer are passed on only where they are known ones."""
    outcome, reason, words = _verdict(answer.status, answer.text, fix)
    return SendResult(outcome, reason, words, answer.status, answer.retry_after_seconds)


def _verdict(status: int, answer: str, fix: str) -> tuple[Outcome, str, str]:
    if status == 200:
        return _verdict_200(answer)
    if status == 429:
        return Outcome.RATE_LIMITED, "rate_limited", "Slack asked to send more slowly (429)."
    if answer in MESSAGE_REFUSALS or status == 413:
        reason = answer if answer in MESSAGE_REFUSALS else "msg_too_long"
        return (
            Outcome.MESSAGE_REFUSED,
            reason,
            f"Slack refused the form of this message ({reason}): a defect of SentryML.",
        )
    if status in (502, 503):
        return Outcome.NOT_ACCEPTED, f"http_{status}", f"Slack is not available at the moment ({status})."
    if status >= 500 or status == 408:
        words = f"Slack had an internal error ({status}); the message may have arrived."
        return Outcome.UNCERTAIN, "http_5xx" if status >= 500 else "http_408", words
    return _verdict_for_good(status, answer, fix)


def _verdict_200(answer: str) -> tuple[Outcome, str, str]:
    if answer == "ok":
        return Outcome.DELIVERED, "ok", "Accepted by Slack."
    words = "The answer was 200, but not Slack's `ok`: is there a proxy in between? The message may have arrived."
    return Outcome.UNCERTAIN, "strange_answer", words


def _verdict_for_good(status: int, answer: str, fix: str) -> tuple[Outcome, str, str]:
    """What stays wrong until a person fixes something."""
    new = NEW_WEBHOOK.format(fix=fix)
    if answer in CHANNEL_REFUSALS:
        return Outcome.CHANNEL_REFUSED, answer, f"{CHANNEL_REFUSALS[answer].format(new=new)} {TRIED_AGAIN}"
    if 300 <= status < 400:
        words = (
            f"The webhook's address answers with a redirect ({status}), which SentryML does not follow. Check the "
            f"address and any proxy in between; if it is wrong, {fix}. {TRIED_AGAIN}"
        )
        return Outcome.CHANNEL_REFUSED, "redirect", words
    return (
        Outcome.CHANNEL_REFUSED,
        "http_4xx",
        f"Slack refuses messages to this webhook ({status}). {new} {TRIED_AGAIN}",
    )


def check_webhook(address: str, guard: Guard, what: str) -> httpx.URL:
    """The webhook's address, if it is one that secrets may be sent to; `what` names it in the error.

    It leads to Slack's own hosts, or to what the operator has allowed.

    Raises:
        ChannelMisconfigured: it does not; the message does not show the address.
    """
    url = check_address(address, guard, what)
    authority = authority_of_url(url)
    if authority in guard.allowed_hosts:
        return url
    if host_of(url) not in SLACK_HOSTS:
        raise ChannelMisconfigured(f"{what} must begin with https://hooks.slack.com/services/. {to_allow(authority)}")
    if not url.path.startswith("/services/"):
        raise ChannelMisconfigured(f"{what} must be an incoming webhook: its path begins with /services/")
    return url
