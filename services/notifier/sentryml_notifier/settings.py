"""Settings of the notifier."""

from __future__ import annotations

from datetime import timedelta
from typing import Self

from pydantic import Field, SecretStr, field_validator, model_validator

from sentryml_common.settings import SERVICE_URL, InternalSettings, PostgresSettings, ServiceSettings
from sentryml_notifier.channels.base import SLACK_API
from sentryml_notifier.domain.addresses import read_allowed_hosts
from sentryml_notifier.domain.grouping import Grouping


class NotifierSettings(ServiceSettings, PostgresSettings, InternalSettings):
    """What the notifier needs: Slack's webhook, and how it sends."""

    incidents_url: str = Field(
        "http://127.0.0.1:8701",
        pattern=rf"^{SERVICE_URL}$",
        description="Address of incidents, which is asked, signed with SENTRYML_INTERNAL_SECRET, when somebody "
        "clicks a button in Slack, and regularly for what stands still (system alerts).",
    )
    slack_webhook_url: SecretStr | None = Field(
        None, description="Slack incoming webhook that alerts go to; a secret. Without it nobody is notified."
    )
    allowed_hosts: str = Field(
        "",
        description="Addresses that messages may go to besides public ones on their default ports: host:port, "
        "separated by commas. Private addresses and http are allowed there, and only there.",
    )
    ca_file: str = Field(
        "",
        description="File of certificates (PEM) that are trusted besides the system's when messages are sent.",
    )
    apprise_schemas: str = Field(
        "",
        description="Services that channels of the kind apprise may use, by URL scheme (ntfys, "
        "tgram), separated by commas. Their connections are not checked: docs/channels.md.",
    )
    slack_messages_per_second: float = Field(
        1.0,
        gt=0,
        le=1000,
        description="Messages a second to Slack, each by webhook and bot, over all replicas; Slack takes about one.",
    )
    slack_bot_token: SecretStr | None = Field(
        None,
        description="Bot token of a Slack app (xoxb-…), which shows each incident as one thread in "
        "slack_channel; a secret. With it no webhook is needed: docs/slack.md.",
    )
    slack_channel: str | None = Field(
        None,
        pattern=r"^[CGD][A-Z0-9]{2,20}$",
        description="Slack's id of the channel that the bot writes to, for example C0123456789; invite it there.",
    )
    slack_signing_secret: SecretStr | None = Field(
        None,
        description="Signing secret of the Slack app, with which Slack signs clicks on buttons that it sends to "
        "/v1/slack/interactions.",
    )
    slack_app_token: SecretStr | None = Field(
        None,
        description="App-level token of the Slack app (xapp-…, scope connections:write), by which clicks on buttons "
        "come without an open port (Socket Mode).",
    )
    slack_api_url: str = Field(
        SLACK_API, description="Address of Slack's Web API; change it for GovSlack and for tests."
    )
    secrets_keys: SecretStr = Field(
        SecretStr(""),
        description="Keys that channels' secrets are encrypted with, 32 characters or more each, separated by commas: "
        "the first encrypts, the others only decrypt. Needed for channels that are made in SentryML.",
    )
    long_drift_question_days: int = Field(
        7,
        ge=0,
        le=365,
        description="Each time after this number of days of drift, people are asked whether it is the new normal, was "
        "normal, or is still a fault. 0: never.",
    )
    group_wait_seconds: float = Field(
        20.0,
        ge=0,
        le=300,
        description="How long after its incident an alert that opens it waits for others, on channels that people "
        "read: from 3 on, they are one message. What comes late waits for half of it. 0: every alert is a message of "
        "its own.",
    )
    group_window_seconds: float = Field(
        600.0,
        ge=1,
        le=86400,
        description="Incidents that open within this time on one channel are one alert group, from 3 on.",
    )
    heartbeat_url: SecretStr | None = Field(
        None,
        description="Address that is called (GET) each minute while alerts can be delivered, such as a check of "
        "healthchecks.io: where the calls are missed, somebody learns that the notifier is down. A secret.",
    )
    dispatch_workers: int = Field(4, ge=1, le=32, description="Messages that one notifier sends at the same time.")
    dispatch_poll_seconds: float = Field(
        1.0, gt=0, le=60, description="Longest time until a delivery that has become due is noticed."
    )
    delivery_lease_seconds: float = Field(
        60.0,
        ge=16,
        le=3600,
        description="After this time a delivery of a crashed sender is taken over, and marked as a possible duplicate.",
    )

    @model_validator(mode="after")
    def _bot_knows_where(self) -> Self:
        if self.slack_bot_token is not None and self.slack_channel is None:
            raise ValueError("with a bot token, set SENTRYML_SLACK_CHANNEL to the id of the channel it writes to")
        return self

    @property
    def grouping(self) -> Grouping | None:
        """How alerts are grouped; None if they are not."""
        if not self.group_wait_seconds:
            return None
        wait, window = timedelta(seconds=self.group_wait_seconds), timedelta(seconds=self.group_window_seconds)
        return Grouping(wait, window)

    @property
    def delivery_lease(self) -> timedelta:
        return timedelta(seconds=self.delivery_lease_seconds)

    @property
    def all_secrets_keys(self) -> list[str]:
        return [key.strip() for key in self.secrets_keys.get_secret_value().split(",") if key.strip()]

    @property
    def all_allowed_hosts(self) -> frozenset[str]:
        return read_allowed_hosts(self.allowed_hosts)

    @property
    def all_apprise_schemas(self) -> frozenset[str]:
        found = (schema.strip().lower().removesuffix("://") for schema in self.apprise_schemas.split(","))
        return frozenset(schema for schema in found if schema)

    @field_validator("allowed_hosts")
    @classmethod
    def _check_allowed_hosts(cls, text: str) -> str:
        read_allowed_hosts(text)
        return text
