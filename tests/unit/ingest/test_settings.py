"""Settings of ingest keep within what Kafka and the calendar can hold."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from sentryml_common.errors import ConfigurationError
from sentryml_common.settings import load_settings
from sentryml_ingest.domain.admission import TimeLimits, admit
from sentryml_ingest.settings import IngestSettings
from tests.unit.ingest.builders import read


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("FUTURE_LIMIT_SECONDS", "inf"),
        ("FUTURE_LIMIT_SECONDS", "1e12"),
        ("FUTURE_LIMIT_SECONDS", "-1"),
        ("MAX_BODY_BYTES", "1000000"),
        ("MAX_EVENTS", "0"),
        ("MAX_EVENTS", "5001"),
        ("LONGEST_WINDOW_SECONDS", "0"),
        ("PUBLISH_SECONDS", "0"),
        ("KEY_EVENTS_PER_SECOND", "-1"),
        ("KEY_NEW_MODELS_PER_HOUR", "inf"),
    ],
)
def test_values_that_could_not_work_are_refused_at_the_start(
    monkeypatch: pytest.MonkeyPatch, name: str, value: str
) -> None:
    monkeypatch.setenv(f"SENTRYML_{name}", value)
    with pytest.raises(ConfigurationError, match=f"SENTRYML_{name}: "):
        load_settings(IngestSettings)


def test_the_largest_future_limit_works(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SENTRYML_FUTURE_LIMIT_SECONDS", str(366 * 86_400))
    limits = TimeLimits(load_settings(IngestSettings).future_limit_seconds, 1.0, {})
    ahead = read({"timestamp": datetime(2027, 11, 23, tzinfo=UTC)})
    assert admit(ahead, now=datetime(2026, 11, 23, tzinfo=UTC), limits=limits) is ahead
