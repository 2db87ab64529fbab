"""Settings of the incidents service."""

from __future__ import annotations

import re

from pydantic import Field, SecretStr, field_validator

from sentryml_common.settings import SERVICE_URL, InternalSettings, LogSettings, PostgresSettings, ServiceSettings

SCHEMA = "incidents"
"""Where in PostgreSQL the tables are."""


PUBLIC_URL = r"https?://[^\s/?#@\\]+(/[\w.~%:,;=+-]+)*"


class IncidentsSettings(ServiceSettings, PostgresSettings, InternalSettings):
    """What the service needs to know besides what every service does."""

    public_url: str = Field(
        "http://127.0.0.1:8080",
        description="Address under which people reach the pages of incidents, without a slash at the end; links in "
        "alerts begin with it. Behind a proxy that has put them under a path, with that path (docs/proxy.md).",
    )
    ingest_url: str | None = Field(
        None,
        pattern=r"^https?://[^\s/]+(/\S*[^\s/])?$",
        description="Address under which senders of events reach ingest, without a slash at the end; pages show it in "
        "examples.",
    )
    ingest_internal_url: str | None = Field(
        None,
        pattern=r"^https?://[^\s/]+(/\S*[^\s/])?$",
        description="Address under which this service reaches ingest, to send the test events that admins ask for; by "
        "default SENTRYML_INGEST_URL.",
    )
    monitor_new_models: bool = Field(
        True,
        description="Whether a model is monitored from its first event on, with the default monitor.",
    )
    evaluation_keep_days: int = Field(
        90,
        ge=1,
        le=3660,
        description="Days that evaluations are kept, and up to a week more, since they go by the week; the evidence of "
        "incidents is kept for ever.",
    )
    processor_urls: str | None = Field(
        None,
        pattern=rf"^{SERVICE_URL}(,{SERVICE_URL})*$",
        description="Addresses of the drift processors, separated by commas; if a name resolves to several machines, "
        "each is asked. With them and SENTRYML_INTERNAL_SECRET, previews of monitors come from the counts that "
        "processors keep; without, from stored PSI alone.",
    )
    notifier_url: str = Field(
        "http://127.0.0.1:8702",
        pattern=rf"^{SERVICE_URL}$",
        description="Address of the notifier, which is asked, signed with SENTRYML_INTERNAL_SECRET, for what the pages "
        "of alerts show and change.",
    )
    stalled_after_seconds: float = Field(
        600.0,
        ge=60,
        le=86400,
        description="A system alert is sent when no predictions have been counted for this time, though evaluations go "
        "on. A combiner that restarts or catches up needs less.",
    )
    first_admin_email: str | None = Field(
        None,
        description="E-mail of the first admin, whose account is made at start while there is no account at all; the "
        "other way is sentryml-admin create-admin.",
    )
    first_admin_password: SecretStr | None = Field(
        None,
        description="Password of the first admin: at least 12 characters, and not easy to guess. There is no default.",
    )

    @field_validator("public_url")
    @classmethod
    def _reachable(cls, url: str) -> str:
        if not re.fullmatch(PUBLIC_URL, url):
            raise ValueError(
                "should be the address in people's browsers, like https://drift.example.org or "
                "https://example.org/sentryml: without a slash at the end, a query, a fragment or a user"
            )
        return url

    @property
    def processors(self) -> tuple[str, ...]:
        """The addresses of the processors, without a slash at the end."""
        return tuple(url.rstrip("/") for url in self.processor_urls.split(",")) if self.processor_urls else ()


class AdminSettings(LogSettings, PostgresSettings):
    """What `sentryml-admin` needs: a database, nothing else."""
