"""Slack's Web API: one call, and what its answer means.

A thin call of our own and not slack_sdk's client: that one follows redirects, and repeats and sleeps inside a call
where a schedule belongs into the ledger. The token travels in a header, and appears in no log, error or result.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any
from urllib.parse import urlencode

import httpx
import orjson
from pydantic import SecretStr

from sentryml_notifier.channels.base import ChannelMisconfigured
from sentryml_notifier.channels.outbound import read_url
from sentryml_notifier.channels.posting import Answer, Poster
from sentryml_notifier.domain.delivery import TRIED_AGAIN, Outcome, SendResult

API_SETTING = "SENTRYML_SLACK_API_URL"
API_HOSTS = frozenset({"slack.com", "slack-gov.com"})
JSON_METHODS = frozenset({"chat.postMessage", "chat.update", "chat.postEphemeral"})
"""Those that take JSON; what reads wants a form."""

ROOT_LOST = frozenset({"message_not_found", "thread_not_found", "cannot_reply_to_message"})
EDIT_LOST = ROOT_LOST | {"cant_update_message", "edit_window_closed"}

RATE = frozenset({"ratelimited", "rate_limited", "message_limit_exceeded"})
UNCERTAIN = frozenset({"internal_error", "fatal_error", "request_timeout"})
NOT_ACCEPTED = frozenset({"service_unavailable", "team_added_to_org", "external_channel_migrating"})
MESSAGE_REFUSALS = frozenset(
    {
        "attachment_payload_limit_exceeded", "invalid_arguments", "invalid_array_arg", "invalid_attachments",
        "invalid_blocks", "invalid_blocks_format", "invalid_json", "invalid_metadata_format",
        "invalid_metadata_schema", "json_not_object", "metadata_must_be_sent_from_app", "metadata_too_large",
        "msg_blocks_too_long", "msg_too_long", "no_text", "too_many_attachments",
    }
)  # fmt: skip

NEW_TOKEN = "Copy the bot token (xoxb-…) of the Slack app again: {fix}."
INVITE = "Invite the app there (`/invite` with its name, in Slack)"
ASK = "Ask an administrator of the Slack workspace to allow the app to post."
SCOPES = "Add the scopes that docs/slack.md lists to the Slack app and reinstall it; if its token changes then, {fix}."
RIGHT_CHANNEL = "Check the id of the Slack channel in this channel's settings (it begins with C or G)"

# Slack's errors for what no retry fixes, and what a person can do about each.
CHANNEL_REFUSALS: Mapping[str, str] = {
    "access_denied": f"Slack denies the app access. {ASK}",
    "accesslimited": "Slack allows the app only from certain networks, and this is none of them. Change the list of "
    "allowed addresses of the Slack app.",
    "account_inactive": f"The Slack app was removed from the workspace. Install it again. {NEW_TOKEN}",
    "channel_not_found": f"Slack does not know the channel {{channel}}, or the app may not see it. {RIGHT_CHANNEL}; "
    f"if it is a private one: {INVITE}.",
    "ekm_access_denied": "The administrators of the Slack workspace have suspended posting.",
    "enterprise_is_restricted": f"The Slack enterprise does not let the app do this. {ASK}",
    "invalid_auth": f"Slack does not accept the bot token. {NEW_TOKEN}",
    "invalid_channel": f"Slack does not accept {{channel}} as a channel. {RIGHT_CHANNEL}.",
    "is_archived": "The Slack channel {channel} is archived. Unarchive it, or enter another channel.",
    "is_inactive": "The Slack channel {channel} is frozen. Enter another channel.",
    "messages_tab_disabled": "The app may not write to this person: its messages tab is switched off in the Slack app.",
    "missing_scope": f"The Slack app lacks a permission (scope). {SCOPES}",
    "no_permission": f"The bot token is not allowed to do this. {SCOPES}",
    "not_allowed_token_type": f"The token is not a bot token. {NEW_TOKEN}",
    "not_authed": f"Slack received no token. {NEW_TOKEN}",
    "not_in_channel": f"The app is not in the Slack channel {{channel}}. {INVITE}.",
    "org_login_required": "The Slack workspace is moving to an enterprise; it works again when that is done.",
    "restricted_action": f"A setting of the Slack workspace forbids the app to post. {ASK}",
    "restricted_action_non_threadable_channel": "The Slack channel {channel} allows no threads. Enter another channel.",
    "restricted_action_read_only_channel": f"The Slack channel {{channel}} is read-only. {ASK}",
    "restricted_action_thread_locked": "The thread is locked. Unlock it in Slack.",
    "restricted_action_thread_only_channel": "The Slack channel {channel} allows threads only. Enter another channel.",
    "team_access_not_granted": f"The Slack app is not approved for this workspace. {ASK}",
    "token_expired": "The bot token has expired: the Slack app rotates its tokens. Make an app without token rotation. "
    f"{NEW_TOKEN}",
    "token_revoked": f"The bot token was revoked. Install the Slack app again. {NEW_TOKEN}",
    "two_factor_setup_required": "Slack wants two-factor authentication to be set up for the account behind the app.",
}


@dataclass(frozen=True, slots=True)
class SlackApi:
    """The Web API as one bot. `fix` says how to give it another token; `base` ends with a slash."""

    poster: Poster
    token: SecretStr
    fix: str
    base: str

    async def call(self, method: str, **arguments: Any) -> Mapping[str, Any] | SendResult:
        """What Slack answered to a call that it took, or what it means that it did not."""
        headers = {"Authorization": f"Bearer {self.token.get_secret_value()}"}
        if method in JSON_METHODS:
            body, form = orjson.dumps(arguments), "application/json; charset=utf-8"
        else:
            body, form = urlencode(arguments).encode(), "application/x-www-form-urlencoded"
        answer = await self.poster.post(httpx.URL(self.base + method), body, {**headers, "Content-Type": form})
        if isinstance(answer, SendResult):
            return answer
        return judge(answer, self.fix, str(arguments.get("channel", "")))

    def within(self, seconds: float) -> SlackApi:
        """The same, with this long for one call."""
        return replace(self, poster=replace(self.poster, total_seconds=max(seconds, 0.001)))


def judge(answer: Answer, fix: str, channel: str) -> Mapping[str, Any] | SendResult:
    """The body of an answer that says `ok`; else what the answer means. Only known codes of it are passed on."""
    body = answer.fields
    if answer.status == 200 and body.get("ok") is True:
        return body
    outcome, reason, text = _verdict(answer.status, str(body.get("error", "")), fix, channel)
    return SendResult(outcome, reason, text, answer.status, answer.retry_after_seconds)


def _verdict(status: int, error: str, fix: str, channel: str) -> tuple[Outcome, str, str]:
    if status == 429 or error in RATE:
        return Outcome.RATE_LIMITED, "rate_limited", "Slack asked to send more slowly (429)."
    if error in CHANNEL_REFUSALS:
        text = CHANNEL_REFUSALS[error].format(fix=fix, channel=channel)
        return Outcome.CHANNEL_REFUSED, error, f"{text} {TRIED_AGAIN}"
    if error in MESSAGE_REFUSALS or status == 413:
        reason = error if error in MESSAGE_REFUSALS else "msg_too_long"
        text = f"Slack refused the form of this message ({reason}): a defect of SentryML."
        return Outcome.MESSAGE_REFUSED, reason, text
    return _passing(status, error) or _strange(status, error, fix)


def _passing(status: int, error: str) -> tuple[Outcome, str, str] | None:
    """What fixes itself."""
    if error in EDIT_LOST:
        # What a message hangs on is gone: the same is sent again, so it is no fault of the channel.
        return Outcome.NOT_ACCEPTED, error, "The root message of this thread does not exist any more."
    if error in NOT_ACCEPTED:
        return Outcome.NOT_ACCEPTED, error, f"Slack is not available at the moment ({error})."
    if status in (502, 503):
        return Outcome.NOT_ACCEPTED, f"http_{status}", f"Slack is not available at the moment ({status})."
    if error in UNCERTAIN:
        return Outcome.UNCERTAIN, error, f"Slack had an internal error ({error}); the message may have arrived."
    if status >= 500 or status == 408:
        text = f"Slack had an internal error ({status}); the message may have arrived."
        return Outcome.UNCERTAIN, "http_5xx" if status >= 500 else "http_408", text
    return None


def _strange(status: int, error: str, fix: str) -> tuple[Outcome, str, str]:
    if status == 200 and not error:
        text = "The answer was 200, but not Slack's: is there a proxy in between? The message may have arrived."
        return Outcome.UNCERTAIN, "strange_answer", text
    if 300 <= status < 400:
        text = f"Slack's address answers with a redirect ({status}), which SentryML does not follow: check any proxy."
        return Outcome.CHANNEL_REFUSED, "redirect", f"{text} {TRIED_AGAIN}"
    # An error that is not known here is for a person to look at: its name, if it is one, says most.
    name = error if error.isascii() and error.replace("_", "").isalnum() and len(error) <= 60 else str(status)
    new = NEW_TOKEN.format(fix=fix)
    text = f"Slack refuses messages of this app ({name}). If its token may be wrong: {new} {TRIED_AGAIN}"
    return Outcome.CHANNEL_REFUSED, "refused" if status == 200 else "http_4xx", text


def check_base(address: str, allowed_hosts: frozenset[str]) -> str:
    """The address of the Web API, ending with a slash, if tokens may be sent there.

    Raises:
        ChannelMisconfigured: they may not.
    """
    base = address if address.endswith("/") else f"{address}/"
    try:
        url = read_url(base)
    except ValueError:
        raise ChannelMisconfigured(f"{API_SETTING} is not a URL") from None
    authority = f"{url.host}:{url.port or {'http': 80, 'https': 443}.get(url.scheme, 0)}"
    ours = url.scheme == "https" and authority in {f"{host}:443" for host in API_HOSTS}
    if not ours and not (authority in allowed_hosts and url.scheme in ("http", "https")):
        raise ChannelMisconfigured(
            f"{API_SETTING} must be https://slack.com/api/. To send elsewhere on purpose, allow it: "
            f"SENTRYML_ALLOWED_HOSTS={authority}"
        )
    return base
