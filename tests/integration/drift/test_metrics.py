"""Each part of drift exports what it counts itself; a 0 of the other part would be taken for a measurement."""

from __future__ import annotations

import pytest
from prometheus_client.metrics import MetricWrapperBase
from prometheus_client.parser import text_string_to_metric_families

import sentryml_drift.metrics
from sentryml_drift.metrics import OF_COMBINER, OF_PROCESSOR
from tests.integration.drift.conftest import StartPart
from tests.support.http_client import http_client

PARTS = {"combiner": OF_COMBINER, "processor": OF_PROCESSOR}


@pytest.mark.parametrize("part", PARTS)
async def test_a_part_exports_its_own_metrics_alone(start: StartPart, part: str) -> None:
    running = start(part)
    await running.until_ready()
    async with http_client() as client:
        text = (await client.get(f"{running.url}/metrics")).text
    shown = {family.name.removesuffix("_created") for family in text_string_to_metric_families(text)}
    assert {name for name in shown if name.startswith("sentryml_drift_")} == {each._name for each in PARTS[part]}
    assert "sentryml_kafka_last_answer_timestamp_seconds" in shown


def test_every_metric_of_drift_belongs_to_one_part() -> None:
    declared = [each for each in vars(sentryml_drift.metrics).values() if isinstance(each, MetricWrapperBase)]
    assert sorted(each._name for each in OF_COMBINER + OF_PROCESSOR) == sorted(each._name for each in declared)
