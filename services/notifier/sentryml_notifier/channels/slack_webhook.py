"""Slack's incoming webhook: one POST, and what its answer means.

Delivered is only 200 with the body `ok`. Redirects are never followed: a GET answered 200 somewhere else would
look like a delivered alert. The address is a secret: it appears in no log, no error and no result.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from datetime import datetime
from email.utils import parsedate_to_datetime

import httpx
import orjson

from sentryml_common.clock import Clock
from sentryml_common.errors import ConfigurationError
from sentryml_notifier.channels.slack_blocks import plain_payload, rich_payload
from sentryml_notifier.domain.delivery import Outcome, SendResult
from sentryml_notifier.domain.message import Message

SECRET_SETTING = "SENTRYML_SLACK_WEBHOOK_URL"
HOSTS_SETTING = "SENTRYML_SLACK_ALLOWED_HOSTS"

SLACK_HOSTS = frozenset({"hooks.slack.com", "hooks.slack-gov.com"})
TOTAL_SECONDS, CONNECT_SECONDS = 10.0, 5.0
ANSWER_BYTES_MAX = 64 * 1024

NEW_WEBHOOK = f"Make a new incoming webhook in Slack, put its address into {SECRET_SETTING} and restart the notifier."
TRIED_AGAIN = "It is tried again every 15 minutes, and what waits goes out as soon as it works."

# Slack's words for what no retry mends, and what a person can do about each.
CHANNEL_REFUSALS: Mapping[str, str] = {
    "no_service": f"Slack does not know this webhook: it was removed, or its app was. {NEW_WEBHOOK}",
    "no_service_id": f"Slack does not know this webhook: its address is not complete. {NEW_WEBHOOK}",
    "no_team": f"Slack does not know the workspace of this webhook. {NEW_WEBHOOK}",
    "team_disabled": f"The Slack workspace of this webhook is disabled. {NEW_WEBHOOK}",
    "invalid_token": f"Slack does not accept the token in the webhook's address. {NEW_WEBHOOK}",
    "channel_not_found": f"The webhook's Slack channel does not exist any more. {NEW_WEBHOOK}",
    "channel_is_archived": "The webhook's Slack channel is archived. Unarchive it; or, for another "
    f"channel: {NEW_WEBHOOK}",
    "user_not_found": f"The person this webhook writes to is not in Slack any more. {NEW_WEBHOOK}",
    "action_prohibited": "The Slack workspace forbids what this webhook does. Ask its administrator to allow "
    "the app to post.",
    "posting_to_general_channel_denied": "The Slack workspace lets few people post to its general channel. "
    f"Choose another channel: {NEW_WEBHOOK}",
}
MESSAGE_REFUSALS = frozenset(
    {"invalid_payload", "invalid_blocks", "msg_blocks_too_long", "msg_too_long", "no_text", "too_many_attachments"}
)


class SlackWebhook:
    """A channel that is one incoming webhook."""

    def __init__(
        self, client: httpx.AsyncClient, address: httpx.URL, clock: Clock, total_seconds: float = TOTAL_SECONDS
    ) -> None:
        self._client, self._address, self._clock, self._total_seconds = client, address, clock, total_seconds

    async def send(self, message: Message, *, plain: bool) -> SendResult:
        """Post once, within `total_seconds` in all."""
        body = orjson.dumps(plain_payload(message) if plain else rich_payload(message))
        try:
            async with asyncio.timeout(self._total_seconds):
                return await self._post(body)
        except (httpx.ConnectError, httpx.ConnectTimeout, httpx.PoolTimeout):
            return SendResult(Outcome.NOT_TAKEN, "no_connection", "Slack could not be reached.")
        except (TimeoutError, httpx.TimeoutException):
            words = f"Slack did not answer within {self._total_seconds:g} s; the message may have arrived."
            return SendResult(Outcome.UNCERTAIN, "timeout", words)
        except httpx.TransportError:
            words = "The connection to Slack broke before the answer was complete; the message may have arrived."
            return SendResult(Outcome.UNCERTAIN, "connection_lost", words)

    async def _post(self, body: bytes) -> SendResult:
        headers = {"Content-Type": "application/json", "Accept-Encoding": "identity"}
        async with self._client.stream("POST", self._address, content=body, headers=headers) as response:
            answer = bytearray()
            async for part in response.aiter_raw():
                answer += part
                if len(answer) > ANSWER_BYTES_MAX:
                    break
        text = answer[:ANSWER_BYTES_MAX].decode("utf-8", "replace").strip()
        return judge(response.status_code, text, seconds_of(response.headers.get("Retry-After"), self._clock()))


def seconds_of(retry_after: str | None, now: datetime) -> float | None:
    """`Retry-After` in either of its forms, seconds or a date; None if it is neither."""
    if retry_after is None:
        return None
    try:
        if retry_after.strip().isdigit():
            return float(retry_after)
        return (parsedate_to_datetime(retry_after) - now).total_seconds()
    except (ValueError, TypeError):
        return None


def judge(status: int, answer: str, retry_after_seconds: float | None) -> SendResult:
    """What Slack's answer means. Words of the answer are passed on only where they are known ones."""
    outcome, reason, words = _verdict(status, answer)
    return SendResult(outcome, reason, words, status, retry_after_seconds)


def _verdict(status: int, answer: str) -> tuple[Outcome, str, str]:
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
        return Outcome.NOT_TAKEN, f"http_{status}", f"Slack is not available at the moment ({status})."
    if status >= 500 or status == 408:
        words = f"Slack had an error of its own ({status}); the message may have arrived."
        return Outcome.UNCERTAIN, "http_5xx" if status >= 500 else "http_408", words
    return _verdict_for_good(status, answer)


def _verdict_200(answer: str) -> tuple[Outcome, str, str]:
    if answer == "ok":
        return Outcome.DELIVERED, "ok", "Slack has it."
    words = "The answer was 200, but not Slack's `ok`: is there a proxy in between? The message may have arrived."
    return Outcome.UNCERTAIN, "strange_answer", words


def _verdict_for_good(status: int, answer: str) -> tuple[Outcome, str, str]:
    """What stays wrong until a person mends something."""
    if answer in CHANNEL_REFUSALS:
        return Outcome.CHANNEL_REFUSED, answer, f"{CHANNEL_REFUSALS[answer]} {TRIED_AGAIN}"
    if 300 <= status < 400:
        words = (
            f"The webhook's address answers with a redirect ({status}), which SentryML does not follow. Check "
            f"{SECRET_SETTING} and any proxy in between. {TRIED_AGAIN}"
        )
        return Outcome.CHANNEL_REFUSED, "redirect", words
    words = f"Slack refuses messages to this webhook ({status}). {NEW_WEBHOOK} {TRIED_AGAIN}"
    return Outcome.CHANNEL_REFUSED, "http_4xx", words


def check_address(address: str, allowed_hosts: frozenset[str]) -> httpx.URL:
    """The webhook's address, if it is one that secrets may be sent to.

    https to Slack's own hosts; or what the operator has allowed, as `host:port`, by http too.

    Raises:
        ConfigurationError: it is not; the message does not show the address.
    """
    try:
        url = httpx.URL(address)
        authority = f"{url.host}:{url.port or {'http': 80, 'https': 443}.get(url.scheme, 0)}"
    except httpx.InvalidURL:
        raise ConfigurationError(f"{SECRET_SETTING} is not a URL") from None
    if url.userinfo or url.fragment:
        raise ConfigurationError(f"{SECRET_SETTING} must not hold a user name, a password or a #fragment")
    if authority in allowed_hosts and url.scheme in ("http", "https"):
        return url
    if url.scheme != "https" or authority not in {f"{host}:443" for host in SLACK_HOSTS}:
        raise ConfigurationError(
            f"{SECRET_SETTING} must begin with https://hooks.slack.com/services/. To send elsewhere on purpose, allow "
            f"it: {HOSTS_SETTING}={authority}"
        )
    if not url.path.startswith("/services/"):
        raise ConfigurationError(f"{SECRET_SETTING} must be an incoming webhook: its path begins with /services/")
    return url


def make_client() -> httpx.AsyncClient:
    """The HTTP client of webhooks: no redirects, no proxy from the environment, a fresh connection each time.

    A kept connection may be closed by the other side just as a message is written: an uncertain failure, and a
    repeat, that a fresh one spares.
    """
    return httpx.AsyncClient(
        follow_redirects=False,
        trust_env=False,
        timeout=httpx.Timeout(TOTAL_SECONDS, connect=CONNECT_SECONDS),
        limits=httpx.Limits(max_keepalive_connections=0),
    )
