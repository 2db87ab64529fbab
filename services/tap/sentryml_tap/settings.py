"""Settings of the tap."""

from __future__ import annotations

from typing import Self

from pydantic import Field, SecretStr, field_validator, model_validator

from sentryml.settings import NotConfigured, target
from sentryml_common.settings import ServiceSettings
from sentryml_tap.domain.paths import FieldMapping, parse_topics


class TapSettings(ServiceSettings):
    """What the tap needs beside the common settings, whose Kafka is the one that is tapped."""

    tap_ingest_url: str = Field("http://127.0.0.1:8700", description="Address of ingest, which gets the events.")
    tap_api_key: SecretStr | None = Field(None, description="API key with the scope events:write, for ingest.")
    tap_topics: str = Field(
        "",
        description="Topics of JSON that are tapped, and where the fields of an event are in their records: TOPIC "
        "model_id=fraud prediction=/result/label score=/result/score, and so on with the next topic (docs/tap.md).",
    )
    tap_group: str = Field("sentryml.tap", min_length=1, max_length=200, description="Consumer group of the tap.")
    tap_kserve: bool = Field(
        False, description="Whether CloudEvents of KServe's inference logger are taken, at POST /kserve."
    )
    tap_max_body_bytes: int = Field(4_000_000, ge=1_000, le=100_000_000, description="Largest CloudEvent that is read.")

    @property
    def topics(self) -> dict[str, FieldMapping]:
        """The mapping of each topic."""
        return parse_topics(self.tap_topics)

    @property
    def api_key(self) -> str:
        """The key, which there is."""
        return self.tap_api_key.get_secret_value() if self.tap_api_key else ""

    @field_validator("tap_topics")
    @classmethod
    def _usable(cls, text: str) -> str:
        parse_topics(text)
        return text

    @model_validator(mode="after")
    def _something_to_do(self) -> Self:
        if not self.api_key:
            raise ValueError("set SENTRYML_TAP_API_KEY to an API key with the scope events:write")
        if not self.tap_topics.strip() and not self.tap_kserve:
            raise ValueError("there is nothing to tap: set SENTRYML_TAP_TOPICS or SENTRYML_TAP_KSERVE")
        try:
            target(self.tap_ingest_url, self.api_key)
        except NotConfigured:
            raise ValueError(
                "SENTRYML_TAP_INGEST_URL is no address (http://127.0.0.1:8700), or SENTRYML_TAP_API_KEY no key (sml_…)"
            ) from None
        return self
