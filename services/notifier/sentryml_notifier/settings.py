"""Settings of the notifier."""

from __future__ import annotations

from pydantic import Field, SecretStr

from sentryml_common.settings import PostgresSettings, ServiceSettings


class NotifierSettings(ServiceSettings, PostgresSettings):
    """What the notifier needs: Slack's webhook, and how eagerly it sends."""

    slack_webhook_url: SecretStr | None = Field(
        None, description="Slack incoming webhook that alerts go to; a secret. Without it nobody is told."
    )
    slack_allowed_hosts: str = Field(
        "",
        description="Further addresses that webhooks may go to, host:port, separated by commas; http is allowed there.",
    )
    slack_messages_per_second: float = Field(
        1.0,
        gt=0,
        le=1000,
        description="Messages a second to slack_webhook_url in the long run, over all replicas; Slack takes about one.",
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

    @property
    def all_secrets_keys(self) -> list[str]:
        """`secrets_keys` as a list."""
        return [key.strip() for key in self.secrets_keys.get_secret_value().split(",") if key.strip()]

    @property
    def allowed_hosts(self) -> frozenset[str]:
        """`slack_allowed_hosts` as a set."""
        return frozenset(host.strip() for host in self.slack_allowed_hosts.split(",") if host.strip())
