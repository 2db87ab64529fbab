"""What tests of the common library need of a real Kafka."""

from __future__ import annotations

import pytest

from sentryml_common.settings import KafkaSettings


@pytest.fixture
def settings(kafka_bootstrap: str) -> KafkaSettings:
    return KafkaSettings(kafka_bootstrap=kafka_bootstrap)
