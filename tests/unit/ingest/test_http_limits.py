"""What `POST /v1/events` refuses by its model's windows and by the limits of its key."""

from __future__ import annotations

from typing import Any

import pytest

from sentryml_common.contracts.monitor import Monitor
from sentryml_ingest.settings import IngestSettings
from tests.unit.common.keys import NOW
from tests.unit.ingest.builders import Ingest, RecordingPublisher, app_with, client_of, counted, event, known_monitors

DAY = 86_400


@pytest.mark.parametrize(
    ("model_id", "seconds", "limit"),
    [
        ("short", 3_600, "the monitor's windows reach back 3600 s"),
        ("unknown", 8 * DAY, "the monitor's windows reach back 691200 s"),
        ("long", 35 * DAY - 5, "(SENTRYML_LONGEST_WINDOW_SECONDS)"),
    ],
)
async def test_events_too_old_to_count_are_422_by_the_reach_of_their_model(
    model_id: str, seconds: float, limit: str
) -> None:
    """What may only just count on arrival in Kafka, five seconds later, is refused as well."""
    short = Monitor(model_id="short", version=1, baseline_seconds=3_000, current_seconds=600)
    long = Monitor(model_id="long", version=1, baseline_seconds=60 * DAY)
    publisher = RecordingPublisher()
    async with client_of(app_with(publisher, IngestSettings(), known_monitors(short, long))) as client:
        ingest = Ingest(client, publisher)
        at_limit, too_old = NOW.timestamp() - seconds, NOW.timestamp() - seconds - 1
        problem = await ingest.refused(
            [event(model_id=model_id), event(model_id=model_id, timestamp=too_old)], 422, "invalid-events"
        )
        [error] = problem["errors"]
        assert (error["index"], error["field"]) == (1, "timestamp")
        assert limit in error["reason"]
        assert (await ingest.send(event(model_id=model_id, timestamp=at_limit))).status_code == 202


async def test_before_the_monitors_are_known_it_is_503() -> None:
    publisher = RecordingPublisher()
    async with client_of(app_with(publisher, IngestSettings(), known_monitors(caught_up=False))) as client:
        problem = await Ingest(client, publisher).refused(event(), 503, "unavailable")
    assert "monitors are still being read" in problem["detail"]


@pytest.mark.parametrize(
    ("setting", "sent", "seconds"),
    [
        ("key_events_per_second", [event()] * 8, 6),
        ("key_bytes_per_second", event(prediction="12345678"), 52),
        ("key_new_models_per_hour", event(model_id="m2"), 3600),
    ],
)
async def test_a_key_that_sends_too_much_is_429_by_the_limit_with_a_time_to_try_again(
    setting: str, sent: Any, seconds: int
) -> None:
    publisher = RecordingPublisher()
    settings = IngestSettings.model_validate({setting: 1})
    async with client_of(app_with(publisher, settings)) as client:
        ingest, before = Ingest(client, publisher), counted("sentryml_ingest_requests_limited_total", limit=setting)
        assert (await ingest.send([event()] * 8)).status_code == 202
        publisher.records.clear()
        problem = await ingest.refused(sent, 429, "key-limit")
        assert problem["limit"] == setting
        assert f"SENTRYML_{setting.upper()}" in problem["detail"]
        answer = await ingest.send(sent)
        assert int(answer.headers["retry-after"]) >= seconds
        assert counted("sentryml_ingest_requests_limited_total", limit=setting) == before + 2


async def test_models_with_a_monitor_are_not_new() -> None:
    publisher = RecordingPublisher()
    monitors = known_monitors(Monitor(model_id="m1", version=1), Monitor(model_id="m2", version=1))
    async with client_of(app_with(publisher, IngestSettings(key_new_models_per_hour=1), monitors)) as client:
        ingest = Ingest(client, publisher)
        assert (await ingest.send([event(model_id=f"m{number}") for number in (1, 2, 3)])).status_code == 202
        assert (await ingest.send([event(model_id=f"m{number}") for number in (1, 2, 3)])).status_code == 202
        assert (await ingest.send(event(model_id="m4"))).status_code == 429
