"""A signed webhook for receivers of any make, as the Standard Webhooks convention (1.0.0) has it.

A receiver that answers 2xx has it. `webhook-id` is the delivery's id and stays the same however often it is sent, so
that a receiver can recognise a duplicate; the signature is new for each attempt, with each of the channel's secrets.
"""

from __future__ import annotations

import hmac
from base64 import b64decode, b64encode
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from hashlib import sha256

import httpx
from pydantic import Field, SecretStr

from sentryml_common.clock import Clock
from sentryml_notifier.channels.answers import check_address
from sentryml_notifier.channels.base import (
    HIDDEN,
    ChannelMisconfigured,
    Config,
    Identity,
    Kind,
    Nothing,
    Outgoing,
    Tools,
)
from sentryml_notifier.channels.posting import Answer, Receiver
from sentryml_notifier.channels.webhook.body import body_of
from sentryml_notifier.domain.delivery import TRIED_AGAIN, Outcome, SendResult

PREFIX = "whsec_"
KEY_BYTES_MIN, KEY_BYTES_MAX = 24, 64
SECRETS_MAX = 5
GONE = 410

NOT_AVAILABLE = "The receiver is not available at the moment ({status})."
REFUSED_THIS = "The receiver refused this one message ({status})."
KNOWN: Mapping[int, tuple[Outcome, str, str]] = {
    408: (Outcome.UNCERTAIN, "http_408", "The receiver gave up waiting (408); the message may have arrived."),
    413: (Outcome.MESSAGE_REFUSED, "http_413", REFUSED_THIS.format(status=413)),
    422: (Outcome.MESSAGE_REFUSED, "http_422", REFUSED_THIS.format(status=422)),
    425: (Outcome.NOT_ACCEPTED, "http_425", NOT_AVAILABLE.format(status=425)),
    429: (Outcome.RATE_LIMITED, "rate_limited", "The receiver asked to send more slowly (429)."),
    502: (Outcome.NOT_ACCEPTED, "http_502", NOT_AVAILABLE.format(status=502)),
    503: (Outcome.NOT_ACCEPTED, "http_503", NOT_AVAILABLE.format(status=503)),
}


class WebhookSecret(Config):
    """What is secret of a webhook: all of its address, and what it is signed with, the newest first.

    While a receiver changes to a new secret there are two; it accepts what is signed with either.
    """

    url: SecretStr = Field(title="Address", examples=["https://ops.example.org/sentryml"])
    signing_secrets: tuple[SecretStr, ...] = Field(
        min_length=1,
        max_length=SECRETS_MAX,
        title="Signing secrets",
        description="one to five, newest first, with spaces between; make one with: openssl rand -base64 32",
    )


@dataclass(frozen=True, slots=True)
class Webhook:
    """A channel that is one address of one receiver."""

    receiver: Receiver
    keys: Sequence[bytes] = field(repr=False)

    async def send(self, outgoing: Outgoing) -> SendResult:
        body = body_of(outgoing)
        headers = signed(str(outgoing.delivery_ids[-1]), body, self.keys, self.receiver.poster.clock)
        return await self.receiver.post(body, headers)


def open_webhook(tools: Tools, identity: Identity, settings: Nothing, secret: WebhookSecret) -> Webhook:
    """A channel of this kind.

    Raises:
        ChannelMisconfigured: the address is not one that may be sent to, or a secret is none.
    """
    address = check_address(secret.url.get_secret_value(), tools.guard)
    keys = [read_key(each.get_secret_value()) for each in secret.signing_secrets]
    return Webhook(tools.receiver("The receiver", address, judge, identity), keys)


def hint_of(secret: WebhookSecret) -> str:
    """Whose webhook it is: its host."""
    return f"https://{httpx.URL(secret.url.get_secret_value()).host}/{HIDDEN}"


KIND = Kind(
    "webhook",
    "Webhook",
    "A program of yours gets each alert as signed JSON: docs/webhook.md.",
    Nothing,
    WebhookSecret,
    open_webhook,
    hint_of,
    for_people=False,
)


def read_key(secret: str) -> bytes:
    """The bytes that a secret encodes.

    Raises:
        ChannelMisconfigured: it is none.
    """
    try:
        key = b64decode(secret.removeprefix(PREFIX), validate=True)
    except ValueError:
        key = b""
    if not secret.startswith(PREFIX) or not KEY_BYTES_MIN <= len(key) <= KEY_BYTES_MAX:
        raise ChannelMisconfigured(
            f"a signing secret is {PREFIX} and {KEY_BYTES_MIN} to {KEY_BYTES_MAX} random bytes in base64: make one "
            f'with `echo "{PREFIX}$(openssl rand -base64 32)"`'
        )
    return key


def signed(webhook_id: str, body: bytes, keys: Sequence[bytes], clock: Clock) -> dict[str, str]:
    """The headers that say whose message it is, which, and when it was sent."""
    timestamp = str(int(clock().timestamp()))
    content = f"{webhook_id}.{timestamp}.".encode() + body
    signatures = (b64encode(hmac.digest(key, content, sha256)).decode() for key in keys)
    return {
        "webhook-id": webhook_id,
        "webhook-timestamp": timestamp,
        "webhook-signature": " ".join(f"v1,{signature}" for signature in signatures),
    }


def judge(answer: Answer, fix: str) -> SendResult:
    """What the receiver's answer means. Nothing of its body is passed on."""
    outcome, reason, text = _verdict(answer.status, answer.retry_after_seconds, fix)
    return SendResult(outcome, reason, text, answer.status, answer.retry_after_seconds, for_good=answer.status == GONE)


def _verdict(status: int, retry_after_seconds: float | None, fix: str) -> tuple[Outcome, str, str]:
    if 200 <= status < 300:
        return Outcome.DELIVERED, "ok", "Accepted by the receiver."
    if status == 503 and retry_after_seconds is not None:
        return Outcome.RATE_LIMITED, "http_503", "The receiver asked to come back later (503)."
    if status in KNOWN:
        return KNOWN[status]
    if status >= 500:
        text = f"The receiver had an internal error ({status}); the message may have arrived."
        return Outcome.UNCERTAIN, "http_5xx", text
    reason, text = _what_to_fix(status, fix)
    return Outcome.CHANNEL_REFUSED, reason, text if status == GONE else f"{text} {TRIED_AGAIN}"


def _what_to_fix(status: int, fix: str) -> tuple[str, str]:
    """What stays wrong until a person fixes it."""
    if status == GONE:
        requested = f"If there is another address, {fix}; what waits is sent then."
        return "gone", f"The receiver wants no messages any more (410), and gets none. {requested}"
    if 300 <= status < 400:
        follow = "which SentryML does not follow"
        return "redirect", f"The address answers with a redirect ({status}), {follow}. If it has moved, {fix}."
    if status in (400, 401, 403):
        check = "Does it check the signature with this channel's secret, and is its clock right?"
        return (
            "refused",
            f"The receiver refuses what it gets ({status}). {check} For another secret or address, {fix}.",
        )
    if status == 404:
        return "not_found", f"There is nothing at this address (404). If it is another one now, {fix}."
    return "http_4xx", f"The receiver refuses messages ({status}). Fix it there; for another address, {fix}."
