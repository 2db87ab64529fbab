"""Settings of the notifier."""

from __future__ import annotations

from typing import Self

from pydantic import Field, SecretStr, model_validator

from sentryml_common.settings import InternalSettings, PostgresSettings, ServiceSettings
from sentryml_notifier.channels.base import SLACK_API


class NotifierSettings(ServiceSettings, PostgresSettings, InternalSettings):
    """What the notifier needs: Slack's webhook, and how eagerly it sends."""

    incidents_url: str = Field(
        "http://127.0.0.1:8701",
        pattern=r"^https?://[^\s/]+/?$",
        description="Address of incidents, which is asked, signed with SENTRYML_INTERNAL_SECRET, when somebody marks "
        "an incident as seen in Slack.",
    )
    slack_webhook_url: SecretStr | None = Field(
        None, description="Slack incoming webhook that alerts go to; a secret. Without it nobody is told."
    )
    slack_bot_token: SecretStr | None = Field(
        None,
        description="Bot token of a Slack app (xoxb-…), which tells each incident as one conversation in "
        "slack_channel; a secret. With it no webhook is needed: docs/slack.md.",
    )
    slack_channel: str | None = Field(
        None,
        pattern=r"^[CGD][A-Z0-9]{2,20}$",
        description="Slack's id of the channel that the bot writes to, for example C0123456789; invite it there.",
    )
    slack_signing_secret: SecretStr | None = Field(
        None,
        description="Signing secret of the Slack app, with which Slack signs presses of buttons that it sends to "
        "/v1/slack/interactions.",
    )
    slack_app_token: SecretStr | None = Field(
        None,
        description="App-level token of the Slack app (xapp-…, scope connections:write), by which presses of buttons "
        "come without an open port (Socket Mode).",
    )
    slack_api_url: str = Field(
        SLACK_API, description="Address of Slack's Web API; another is for GovSlack and for tests."
    )
    slack_allowed_hosts: str = Field(
        "",
        description="Further addresses that messages to Slack may go to, host:port, separated by commas; http is "
        "allowed there.",
    )
    secrets_keys: SecretStr = Field(
        SecretStr(""),
        description="Keys that channels' secrets are encrypted with, 32 characters or more each, separated by commas: "
        "the first encrypts, the others still open what they encrypted. Needed for channels that are made in SentryML.",
    )
    dispatch_workers: int = Field(4, ge=1, le=32, description="Messages that one notifier sends at the same time.")
    dispatch_poll_seconds: float = Field(
        1.0, gt=0, le=60, description="Longest time until a delivery that has become due is noticed."
    )
    delivery_lease_seconds: float = Field(
        60.0,
        ge=16,
        le=3600,
        description="After this time a delivery whose sender has vanished is taken over, and marked as a repeat.",
    )

    @model_validator(mode="after")
    def _bot_knows_where(self) -> Self:
        if self.slack_bot_token is not None and self.slack_channel is None:
            raise ValueError("with a bot token, set SENTRYML_SLACK_CHANNEL to the id of the channel it writes to")
        return self

    @property
    def all_secrets_keys(self) -> list[str]:
        """`secrets_keys` as a list."""
        return [key.strip() for key in self.secrets_keys.get_secret_value().split(",") if key.strip()]

    @property
    def allowed_hosts(self) -> frozenset[str]:
        """`slack_allowed_hosts` as a set."""
        return frozenset(host.strip() for host in self.slack_allowed_hosts.split(",") if host.strip())
