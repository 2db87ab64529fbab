"""How long a processor takes to hold 10,000 models again: from its changelog, and from its local copy."""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path
from tempfile import TemporaryDirectory
from uuid import uuid5

import psutil

from bench.drift.evaluation import a_model
from bench.report import Figure, say
from sentryml_common.contracts.topics import HISTOGRAMS
from sentryml_common.health import Health
from sentryml_common.kafka.topics import ensure_topics
from sentryml_drift.domain.partials import Target, partition_of
from sentryml_drift.processor.models import LoadedModels, OwnedModels, Pane, kind_and_number
from sentryml_drift.settings import DriftSettings
from sentryml_drift.state.partition_writer import Changelog
from sentryml_drift.state.table import key_of, open_table
from sentryml_statistics.comparison.evaluation import EVALUATIONS
from tests.support.own_kafka import OwnKafka, own_kafka

MODELS, EVENTS_AN_HOUR = 10_000, 60
KEYS_AT_ONCE = 20_000
CHANGELOG_ID = uuid5(EVALUATIONS, "bench")
PARTITIONS = range(HISTOGRAMS.partitions)


async def fill(kafka: OwnKafka, panes: dict[Pane, bytes]) -> int:
    """Write the table of all models to the changelog; return how many values."""
    written = 0
    for partition in PARTITIONS:
        changelog = await Changelog.take_over(partition, kafka.settings, Health())
        changes: dict[bytes, bytes | None] = {}
        for model_id in _models_of(partition):
            changes |= {key_of(Target(model_id, *kind_and_number(pane))): value for pane, value in panes.items()}
            if len(changes) >= KEYS_AT_ONCE:
                await changelog.append(changes)
                written, changes = written + len(changes), {}
        await changelog.append(changes)
        written += len(changes)
        await changelog.close()
        say(f"start-up: {written:,} values written")
    return written


def _models_of(partition: int) -> Iterator[str]:
    names = (f"model-{number}" for number in range(MODELS))
    return (name for name in names if partition_of(name, len(PARTITIONS)) == partition)


async def hold(settings: DriftSettings) -> OwnedModels:
    """Take over all partitions, as a processor does that is alone."""
    models = OwnedModels()
    for partition in PARTITIONS:
        table = await open_table(partition, settings, 1, CHANGELOG_ID, Health())
        loaded = LoadedModels(partition)
        await table.recover(Health(), loaded)
        models.adopt(loaded)
        await table.close()
    return models


async def measure() -> list[Figure]:
    """Seconds from the changelog and from the local copy, and the memory that the models take."""
    figures = []
    with TemporaryDirectory() as folder, own_kafka() as kafka:
        await ensure_topics(kafka.settings, Health())
        figures.append(Figure("values in the table", await fill(kafka, a_model(EVENTS_AN_HOUR, 24).sums)))
        settings = DriftSettings(kafka_bootstrap=kafka.bootstrap, state_dir=Path(folder) / "state")
        before = psutil.Process().memory_info().rss
        for source in ("changelog", "local copy"):
            begun = time.monotonic()
            models = await hold(settings)
            seconds = time.monotonic() - begun
            assert len(models.by_id) == MODELS
            say(f"start-up from {source}: {seconds:.1f} s")
            figures.append(Figure(f"{MODELS:,} models from {source}: s", seconds))
            if source == "changelog":
                kilobytes = (psutil.Process().memory_info().rss - before) / 1024 / MODELS
                figures.append(Figure("memory of a model's panes: kB", kilobytes))
            del models
    return figures
