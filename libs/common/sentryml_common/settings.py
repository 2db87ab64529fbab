"""Settings common to all services: environment variables with the prefix `SENTRYML_`, read once at start.

Every field is described; `.env.example` is made from the descriptions.
"""

from __future__ import annotations

from typing import Literal, TypeVar

from pydantic import Field, SecretStr, ValidationError, field_validator
from pydantic_settings import BaseSettings, SettingsConfigDict

from sentryml_common.errors import EXIT_CONFIGURATION, ConfigurationError, leave

PREFIX = "SENTRYML_"
SECRET_LENGTH = 32
SERVICE_URL = r"https?://(\[[0-9a-fA-F:.]+\]|[^\s/,:@?#\[\]]+)(:[0-9]{1,5})?/?"
"""The address of a service: a host, and a port that is a number. HTTP clients raise errors of their own at others."""


class _Settings(BaseSettings):
    model_config = SettingsConfigDict(env_prefix=PREFIX, frozen=True, extra="ignore")


class LogSettings(_Settings):
    """How a service logs."""

    log_level: Literal["debug", "info", "warning", "error"] = Field("info", description="Lowest level that is logged.")
    log_format: Literal["auto", "json", "console"] = Field(
        "auto", description="auto means console on a terminal, else JSON lines."
    )


class KafkaSettings(_Settings):
    """How to reach Kafka."""

    kafka_bootstrap: str = Field("127.0.0.1:9092", description="Kafka addresses, host:port, separated by commas.")
    kafka_security_protocol: Literal["PLAINTEXT", "SSL", "SASL_PLAINTEXT", "SASL_SSL"] = Field(
        "PLAINTEXT", description="Kafka security protocol."
    )
    kafka_sasl_mechanism: Literal["PLAIN", "SCRAM-SHA-256", "SCRAM-SHA-512"] = Field(
        "PLAIN", description="SASL mechanism, where the protocol uses SASL."
    )
    kafka_username: str | None = Field(None, description="SASL user name.")
    kafka_password: SecretStr | None = Field(None, description="SASL password.")
    kafka_ca_file: str | None = Field(
        None, description="PEM file of the authority that signed the brokers' certificates."
    )
    topic_prefix: str = Field(
        "",
        pattern=r"^[A-Za-z0-9._-]*$",
        max_length=128,
        description="What the names of topics, consumer groups and transactions begin with, where several "
        "installations share a Kafka: letters, digits and ._-, at most 128. The same for all services.",
    )
    topics_create: bool = Field(
        True, description="Whether the service may create missing topics; if not, it names them and refuses to start."
    )
    topics_replication: int = Field(1, ge=1, le=9, description="Replication factor of topics that are created.")

    def prefixed(self, name: str) -> str:
        """The name in Kafka of a topic, consumer group or transaction. Names without the prefix are used everywhere
        else, so that metrics and what is recorded are the same in every installation."""
        return f"{self.topic_prefix}{name}"


class ServiceSettings(LogSettings, KafkaSettings):
    """What every service needs."""

    http_host: str = Field("127.0.0.1", description="Address that the service's HTTP server binds.")
    http_port: int = Field(8080, ge=1, le=65535, description="Port of the service's HTTP server.")
    trusted_proxies: str = Field(
        "127.0.0.1",
        description="Addresses or networks of proxies whose X-Forwarded-For and X-Forwarded-Proto are trusted, "
        "separated by commas.",
    )
    http_headers_seconds: float = Field(
        10.0, gt=0, le=3600, description="Time limit for the headers of a request; then the answer is 408."
    )
    http_body_seconds: float = Field(
        30.0, gt=0, le=3600, description="Time limit for the body of a request; then the answer is 408."
    )
    shutdown_seconds: float = Field(
        20.0, gt=0, description="Time limit for an orderly stop; open requests have half of it."
    )


class PostgresSettings(_Settings):
    """How to reach PostgreSQL."""

    postgres_url: SecretStr = Field(
        SecretStr("postgresql://sentryml@127.0.0.1:5432/sentryml"), description="PostgreSQL address with credentials."
    )
    postgres_pool_size: int = Field(10, ge=2, le=100, description="Maximum number of connections to PostgreSQL.")


class InternalSettings(_Settings):
    """What services need that send requests to each other."""

    internal_secret: SecretStr | None = Field(
        None,
        description="Secret with which services sign their requests to each other: at least 32 characters "
        "(`openssl rand -hex 32`), the same for all. Without it they send none.",
    )

    @field_validator("internal_secret")
    @classmethod
    def _hard_to_guess(cls, secret: SecretStr | None) -> SecretStr | None:
        if secret is not None and len(secret.get_secret_value()) < SECRET_LENGTH:
            raise ValueError(f"should have at least {SECRET_LENGTH} characters, or not be set at all")
        return secret


S = TypeVar("S", bound=BaseSettings)


def load_settings(settings: type[S]) -> S:
    """Read settings from the environment.

    Raises:
        ConfigurationError: a variable does not fit; the message names each and says why.
    """
    try:
        return settings()
    except ValidationError as err:
        lines = [
            f"{_variable(error['loc'])}{error['msg'].removeprefix('Value error, ')}"
            for error in err.errors(include_url=False, include_input=False)
        ]
        raise ConfigurationError("invalid settings:\n  " + "\n  ".join(lines)) from err


def load_settings_or_exit(settings: type[S]) -> S:
    """The same; if they do not fit, say which on standard error and exit with code 78."""
    try:
        return load_settings(settings)
    except ConfigurationError as err:
        leave(EXIT_CONFIGURATION, str(err))


def _variable(place: tuple[int | str, ...]) -> str:
    """The variable that does not fit; nothing where several do not fit together, which their message then names."""
    return f"{PREFIX}{'_'.join(map(str, place)).upper()}: " if place else ""
