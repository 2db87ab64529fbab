"""Microsoft Teams by a workflow's webhook: “Post to a channel when a webhook request is received”.

The workflow's trigger answers 202 when it has taken the request (200 where it answers itself); what becomes of it
shows in the workflow's run history alone. 400 with `TriggerInputSchemaMismatch` or `InvalidTemplate` is a form that it
does not take, 401 and 403 an address whose signature is not accepted, 404 `WorkflowNotFound` one that was deleted,
`WorkflowTriggerIsNotEnabled` one that is switched off.
"""

from __future__ import annotations

import httpx
from pydantic import Field, SecretStr

from sentryml_notifier.channels.answers import channel_refused, check_address, judge_usual, message_refused
from sentryml_notifier.channels.base import HIDDEN, Config, Identity, Kind, Paced, Tools
from sentryml_notifier.channels.one_webhook import OneWebhook
from sentryml_notifier.channels.posting import Answer
from sentryml_notifier.channels.teams.card import plain_payload, rich_payload
from sentryml_notifier.domain.delivery import SendResult

WHO = "Microsoft Teams"
SWITCHED_OFF = "WorkflowTriggerIsNotEnabled"


class TeamsSettings(Paced):
    """How fast: Teams throttles what comes faster than four requests a second, workflows less."""

    messages_per_second: float = Field(
        1.0, gt=0, le=1000, title="Messages per second", description="Teams accepts up to four"
    )


class TeamsSecret(Config):
    """What is secret of a workflow: all of its address, the signature in it above all."""

    url: SecretStr = Field(
        title="Workflow URL",
        description="of the workflow “Post to a channel when a webhook request is received”",
        examples=["https://….environment.api.powerplatform.com/…"],
    )


def open_teams(tools: Tools, identity: Identity, settings: TeamsSettings, secret: TeamsSecret) -> OneWebhook:
    """A channel of this kind.

    Raises:
        ChannelMisconfigured: the address is not one that may be sent to.
    """
    address = check_address(secret.url.get_secret_value().strip(), tools.guard)
    return OneWebhook(tools.receiver(WHO, address, judge, identity), rich_payload, plain_payload)


def hint_of(secret: TeamsSecret) -> str:
    """Whose workflow it is: its host."""
    return f"https://{httpx.URL(secret.url.get_secret_value().strip()).host}/{HIDDEN}"


KIND = Kind(
    "teams",
    "Microsoft Teams",
    "A channel or chat, by a workflow that posts what it gets: docs/channels.md.",
    TeamsSettings,
    TeamsSecret,
    open_teams,
    hint_of,
)


def judge(answer: Answer, fix: str) -> SendResult:
    """What the workflow's answer means. Nothing of its body is passed on."""
    if SWITCHED_OFF in answer.text:
        text = f"The workflow is switched off ({answer.status}). Switch it on in Teams, under Workflows."
        return channel_refused(answer, "switched_off", text)
    if answer.status == 400:
        return message_refused(answer, WHO)
    return judge_usual(answer, WHO, fix)
