"""PagerDuty by its Events API v2: an event for each step that changes what people over there should do.

PagerDuty answers 202 when it has the event, 400 when it has a wrong form, 429 when a service gets too many, and asks to
send again after 5xx (developer.pagerduty.com/docs/events-api-v2-overview). Sending again does no harm: the event has
the incident's `dedup_key`.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import Literal

from pydantic import Field, SecretStr

from sentryml_notifier.channels.answers import channel_refused, check_address, judge_usual, message_refused
from sentryml_notifier.channels.base import HIDDEN, ChannelMisconfigured, Config, Identity, Kind, Outgoing, Tools
from sentryml_notifier.channels.pagerduty.event import events_of, resolve_event
from sentryml_notifier.channels.posting import Answer, Receiver
from sentryml_notifier.domain.delivery import Outcome, SendResult
from sentryml_notifier.domain.rate_limit import Rate

ENDPOINTS = {"us": "https://events.pagerduty.com/v2/enqueue", "eu": "https://events.eu.pagerduty.com/v2/enqueue"}
ROUTING_KEY = re.compile(r"[A-Za-z0-9]{32}")
WHO = "PagerDuty"


class PagerDutySettings(Config):
    """Where the account is."""

    region: Literal["us", "eu"] = Field("us", title="Region", description="eu if you sign in at eu.pagerduty.com")
    url: str | None = Field(
        None,
        max_length=2000,
        title="Another address",
        description="of a relay that takes the same events; empty for PagerDuty itself",
    )

    @property
    def rate(self) -> Rate:
        """PagerDuty limits what a service accepts, and gives no figure: two a second is slow enough in practice."""
        return Rate(per_second=2.0, burst=20)


class PagerDutySecret(Config):
    """What is secret: the integration key."""

    routing_key: SecretStr = Field(
        title="Integration key",
        description="32 characters; of an “Events API V2” integration of a service",
        examples=["R0123456789ABCDEF0123456789ABCDE"],
    )


@dataclass(frozen=True, slots=True)
class PagerDuty:
    """A channel that is one integration of one service."""

    receiver: Receiver
    routing_key: str = field(repr=False)

    async def send(self, outgoing: Outgoing) -> SendResult:
        """Post the events; each must have been accepted before the next."""
        for event in events_of(outgoing, self.routing_key):
            result = await self.receiver.post(event)
            if result.outcome is not Outcome.DELIVERED:
                return result
        if outgoing.test:
            # What a test has opened must not stay open; whether this arrives too is not what was asked.
            await self.receiver.post(resolve_event(outgoing, self.routing_key))
        return result


def open_pagerduty(tools: Tools, identity: Identity, settings: PagerDutySettings, secret: PagerDutySecret) -> PagerDuty:
    """A channel of this kind.

    Raises:
        ChannelMisconfigured: the key is none, or the address is not one that may be sent to.
    """
    key = secret.routing_key.get_secret_value().strip()
    if not ROUTING_KEY.fullmatch(key):
        raise ChannelMisconfigured(
            "an integration key is 32 letters and digits: PagerDuty shows it under “Integrations” of the service"
        )
    address = check_address(settings.url or ENDPOINTS[settings.region], tools.guard)
    return PagerDuty(tools.receiver(WHO, address, judge, identity), key)


def hint_of(secret: PagerDutySecret) -> str:
    """The beginning of the key."""
    key = secret.routing_key.get_secret_value().strip()
    return f"{key[:4]}{HIDDEN}" if ROUTING_KEY.fullmatch(key) else HIDDEN


KIND = Kind(
    "pagerduty",
    "PagerDuty",
    "Pages the people on call: an alert for each incident, acknowledged and resolved with it.",
    PagerDutySettings,
    PagerDutySecret,
    open_pagerduty,
    hint_of,
    for_people=False,
)


def judge(answer: Answer, fix: str) -> SendResult:
    """What PagerDuty's answer means. Nothing of its body is passed on."""
    if answer.status == 400 and "routing_key" in answer.text:
        text = f"PagerDuty does not accept the integration key (400). For another one, {fix}."
        return channel_refused(answer, "invalid_routing_key", text)
    if answer.status == 400:
        return message_refused(answer, WHO)
    if answer.status == 202 or answer.status >= 300:
        return judge_usual(answer, WHO, fix)
    # 202 is the only success that PagerDuty knows: anything else was answered by another.
    text = "The answer was not PagerDuty's 202: is there a proxy in between? The message may have arrived."
    return SendResult(Outcome.UNCERTAIN, "strange_answer", text, answer.status)
