"""Discord by a channel's webhook: one embed a message.

Discord answers 204, or 200 with the message where `wait=true` asks for it: then it is stored, so that is asked for.
429 has the seconds to wait as `retry_after` in its body and in `Retry-After`; one that comes from the proxy before
Discord has the header alone (discord.com/developers/docs/topics/rate-limits). Codes of errors: 10015 unknown webhook,
50027 invalid webhook token, 50035 invalid form.
"""

from __future__ import annotations

from dataclasses import replace

import httpx
from pydantic import Field, SecretStr

from sentryml_notifier.channels.answers import channel_refused, check_address, judge_usual, message_refused
from sentryml_notifier.channels.base import HIDDEN, ChannelMisconfigured, Config, Identity, Kind, Paced, Tools
from sentryml_notifier.channels.discord.embed import plain_payload, rich_payload
from sentryml_notifier.channels.one_webhook import OneWebhook
from sentryml_notifier.channels.outbound import Guard, authority_of_url, host_of
from sentryml_notifier.channels.posting import Answer
from sentryml_notifier.domain.delivery import Outcome, SendResult

HOSTS = frozenset({"discord.com", "discordapp.com", "ptb.discord.com", "canary.discord.com"})
WHO = "Discord"
UNKNOWN_WEBHOOK, INVALID_TOKEN = 10015, 50027


class DiscordSettings(Paced):
    """How fast: Discord accepts 5 messages in 2 seconds and 30 a minute on a webhook."""

    messages_per_second: float = Field(
        0.5, gt=0, le=1000, title="Messages per second", description="Discord accepts 30 a minute"
    )
    burst: int = Field(4, ge=1, le=1000, title="Burst", description="messages that may be sent at once after a pause")


class DiscordSecret(Config):
    """What is secret of a webhook: all of its address."""

    url: SecretStr = Field(
        title="Webhook URL",
        description="of the channel: Edit channel, Integrations, Webhooks",
        examples=["https://discord.com/api/webhooks/…/…"],
    )


def open_discord(tools: Tools, identity: Identity, settings: DiscordSettings, secret: DiscordSecret) -> OneWebhook:
    """A channel of this kind.

    Raises:
        ChannelMisconfigured: the address is no webhook of Discord's, nor one that the operator has allowed.
    """
    address = check_webhook(secret.url.get_secret_value().strip(), tools.guard)
    waiting = address.copy_merge_params({"wait": "true"})
    return OneWebhook(tools.receiver(WHO, waiting, judge, identity), rich_payload, plain_payload)


def hint_of(secret: DiscordSecret) -> str:
    """The beginning of the webhook's id."""
    parts = httpx.URL(secret.url.get_secret_value().strip()).path.split("/")
    return f"…/{parts[3][:4]}…/{HIDDEN}" if len(parts) > 4 else HIDDEN


KIND = Kind(
    "discord",
    "Discord",
    "A channel's webhook, made under “Edit channel”, “Integrations”.",
    DiscordSettings,
    DiscordSecret,
    open_discord,
    hint_of,
)


def check_webhook(address: str, guard: Guard) -> httpx.URL:
    """The webhook's address.

    Raises:
        ChannelMisconfigured: it is none; the message does not show it.
    """
    url = check_address(address, guard)
    if authority_of_url(url) in guard.allowed_hosts:
        return url
    if host_of(url) not in HOSTS or not url.path.startswith("/api/") or "/webhooks/" not in url.path:
        raise ChannelMisconfigured("the address must begin with https://discord.com/api/webhooks/")
    return url


def judge(answer: Answer, fix: str) -> SendResult:
    """What Discord's answer means. Nothing of its body is passed on."""
    said = answer.fields
    code = said.get("code")
    if answer.status == 429:
        seconds = said.get("retry_after", answer.retry_after_seconds)
        usual = judge_usual(answer, WHO, fix)
        return replace(usual, retry_after_seconds=float(seconds)) if isinstance(seconds, (int, float)) else usual
    if code == UNKNOWN_WEBHOOK:
        text = f"Discord does not know this webhook: it was deleted, or its channel was. Make a new one: {fix}."
        return channel_refused(answer, "unknown_webhook", text)
    if code == INVALID_TOKEN:
        text = f"Discord does not accept the token in the webhook's address. Copy it again: {fix}."
        return channel_refused(answer, "invalid_token", text)
    if answer.status == 400:
        return message_refused(answer, WHO)
    if answer.status == 200 and "id" not in said:
        text = "The answer was 200, but not Discord's: is there a proxy in between? The message may have arrived."
        return SendResult(Outcome.UNCERTAIN, "strange_answer", text, answer.status)
    return judge_usual(answer, WHO, fix)
