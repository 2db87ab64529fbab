"""Invalid settings: the message names each variable and says why, and never repeats a secret."""

from __future__ import annotations

import pytest
from pydantic import Field

from sentryml_common.contracts.topics import TOPICS
from sentryml_common.errors import ConfigurationError
from sentryml_common.settings import KafkaSettings, PostgresSettings, ServiceSettings, load_settings

LONGEST_TOPIC_NAME = 249
"""Kafka's own limit."""


class ExampleSettings(ServiceSettings, PostgresSettings):
    """As a service has them."""

    needed: str = Field(description="Something without a default.")


def test_variables_are_read_by_their_prefix(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SENTRYML_HTTP_PORT", "18080")
    monkeypatch.setenv("HTTP_PORT", "1")
    assert load_settings(ServiceSettings).http_port == 18080


def test_each_variable_that_does_not_fit_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SENTRYML_HTTP_PORT", "70000")
    monkeypatch.setenv("SENTRYML_LOG_LEVEL", "loud")
    with pytest.raises(ConfigurationError) as refused:
        load_settings(ExampleSettings)
    lines = str(refused.value).split("\n  ")
    assert lines[0] == "invalid settings:"
    assert set(lines[1:]) == {
        "SENTRYML_HTTP_PORT: Input should be less than or equal to 65535",
        "SENTRYML_LOG_LEVEL: Input should be 'debug', 'info', 'warning' or 'error'",
        "SENTRYML_NEEDED: Field required",
    }


def test_a_refusal_does_not_repeat_what_was_set(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SENTRYML_POSTGRES_URL", "postgresql://sentryml:hunter2@db/sentryml")
    monkeypatch.setenv("SENTRYML_POSTGRES_POOL_SIZE", "hunter2")
    with pytest.raises(ConfigurationError) as refused:
        load_settings(ExampleSettings)
    assert "SENTRYML_POSTGRES_POOL_SIZE" in str(refused.value)
    assert "hunter2" not in str(refused.value)


@pytest.mark.parametrize("prefix", ["a b", "a/b", "a:", "ü", "a\n", "x" * 129])
def test_a_prefix_that_kafka_would_not_take_is_refused(prefix: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SENTRYML_TOPIC_PREFIX", prefix)
    with pytest.raises(ConfigurationError, match="SENTRYML_TOPIC_PREFIX: String should"):
        load_settings(KafkaSettings)


def test_with_the_longest_prefix_every_topic_has_a_name_that_kafka_takes(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SENTRYML_TOPIC_PREFIX", "aZ9._-" + "x" * 122)
    settings = load_settings(KafkaSettings)
    assert max(len(settings.prefixed(topic.name)) for topic in TOPICS) <= LONGEST_TOPIC_NAME


def test_without_a_prefix_names_are_those_of_the_registry() -> None:
    assert KafkaSettings().prefixed("sentryml.predictions.v1") == "sentryml.predictions.v1"


def test_secrets_are_not_shown() -> None:
    settings = ExampleSettings(
        needed="x", postgres_url="postgresql://sentryml:hunter2@db/sentryml", kafka_password="hunter2"
    )
    assert "hunter2" not in repr(settings)
    assert "hunter2" not in str(settings.model_dump(mode="json"))
