"""What is reported of a model, from its table."""

from __future__ import annotations

import asyncio
import random
from datetime import UTC, datetime
from types import SimpleNamespace
from typing import cast

import pytest

from sentryml_common.contracts.activity import Activity
from sentryml_common.contracts.message import decode, encode
from sentryml_common.errors import RecordTooLarge
from sentryml_common.kafka.producer import Publisher, Record
from sentryml_drift.domain.chunked_sum import ChunkedSum
from sentryml_drift.domain.facts import ModelFacts
from sentryml_drift.domain.partials import Kind
from sentryml_drift.evaluation.reporter import Reporter
from sentryml_drift.processor.loop import Processor
from sentryml_drift.processor.models import FACTS, OwnedModel, pane_of
from sentryml_drift.settings import DriftSettings
from sentryml_statistics.histograms.pane_counts import PaneCounts
from sentryml_statistics.time.panes import PaneGrid, Resolution
from tests.support.eventually import eventually

GRID = PaneGrid(60.0)
NOW = datetime(2026, 11, 23, 12, 20, 30, tzinfo=UTC)
SETTINGS = DriftSettings(kafka_bootstrap="nowhere:1")


def reported(model: OwnedModel) -> Activity | None:
    reporter = Reporter(cast(Processor, None), GRID, cast(Publisher, None), SETTINGS)
    return reporter.activity("model", model, NOW)


def a_model(facts: ModelFacts) -> OwnedModel:
    model = OwnedModel(0)
    model.put(FACTS, ChunkedSum((facts.pack(),)).pack())
    return model


def pane(model: OwnedModel, resolution: Resolution, age: int, scores: list[float]) -> None:
    kind = Kind.FINE if resolution is Resolution.FINE else Kind.COARSE
    number = GRID.pane_of(NOW.timestamp(), resolution) - age
    model.put(pane_of(kind, number), ChunkedSum((PaneCounts.of(["late"] * len(scores), list(scores)).pack(),)).pack())


@pytest.mark.parametrize("facts", [ModelFacts(late=3), ModelFacts(future=500)])
def test_a_model_of_which_no_event_counts_is_seen_with_what_was_left_out(facts: ModelFacts) -> None:
    activity = reported(a_model(facts))
    assert activity is not None
    assert (activity.late, activity.future) == (facts.late, facts.future)
    assert (activity.first_seen, activity.last_seen) == (NOW, NOW)
    assert decode(Activity, encode(activity)) == activity


def test_before_its_first_event_there_is_nothing_to_say() -> None:
    assert reported(OwnedModel(0)) is None


def test_panes_and_figures_follow_the_table_from_report_to_report() -> None:
    rng = random.Random(1)
    model = a_model(ModelFacts(NOW.timestamp() - 9000, NOW.timestamp()))
    scores = [[rng.random() for _ in range(count)] for count in (50, 70, 90)]
    for age, found in zip((5, 1, 0), scores, strict=True):
        pane(model, Resolution.COARSE, age, found)
    pane(model, Resolution.FINE, 0, scores[2])
    first = reported(model)
    assert first is not None
    assert [each.count for each in first.coarse_panes] == [50, 70, 90]
    assert [each.count for each in first.fine_panes] == [90]
    assert {figures.signal.value: figures.numbers + figures.categories for figures in first.signals} == {
        "score": 210,
        "prediction": 210,
    }
    pane(model, Resolution.COARSE, 0, scores[2] + [0.5] * 30)
    second = reported(model)
    assert second is not None
    assert [each.count for each in second.coarse_panes] == [50, 70, 120]
    assert all(figures.numbers + figures.categories == 240 for figures in second.signals)


class Owning:
    """As much of a processor as reporting needs: it owns all of its models."""

    def __init__(self, by_id: dict[str, OwnedModel]) -> None:
        self.models = SimpleNamespace(by_id=by_id)

    def owns(self, partition: int) -> bool:
        return True


class Publishing:
    """Keeps the order of what is published; with one model it says that its record is too large."""

    def __init__(self, too_large: str = "") -> None:
        self.model_ids: list[str] = []
        self._too_large = too_large

    async def publish(self, records: list[Record]) -> None:
        self.model_ids += [decode(Activity, cast(bytes, record.value)).model_id for record in records]
        if self._too_large in self.model_ids:
            raise RecordTooLarge(1, self._too_large)


async def test_a_model_that_was_never_reported_does_not_wait_behind_thousands_that_were() -> None:
    models = {f"old-{n}": a_model(ModelFacts(late=n + 1)) for n in range(3)}
    for age, model in enumerate(models.values()):
        model.reported_at = NOW.timestamp() - 100 - age
    models |= {name: a_model(ModelFacts(late=1)) for name in ("backfilled", "first-event")}
    published = Publishing()
    reporter = Reporter(cast(Processor, Owning(models)), GRID, cast(Publisher, published), SETTINGS, clock=lambda: NOW)
    running = asyncio.create_task(reporter.run())

    async def all_reported() -> bool:
        return len(published.model_ids) == len(models)

    await eventually(all_reported, what="all to be reported")
    running.cancel()
    assert published.model_ids == ["first-event", "backfilled", "old-2", "old-1", "old-0"]


async def test_a_report_that_is_too_large_for_kafka_is_not_made_again_and_ends_nothing() -> None:
    models = {"large": a_model(ModelFacts(late=1))}
    published = Publishing(too_large="large")
    reporter = Reporter(cast(Processor, Owning(models)), GRID, cast(Publisher, published), SETTINGS)
    running = asyncio.create_task(reporter.run())

    async def reported_once() -> bool:
        return published.model_ids == ["large"] and not models["large"].changed

    await eventually(reported_once, what="the report")
    assert not running.done()
    running.cancel()
