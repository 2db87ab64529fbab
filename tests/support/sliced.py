"""A model counted from events with versions and segments, as the processor holds it."""

from __future__ import annotations

import numpy as np

from sentryml_common.contracts.prediction import EventRow
from sentryml_drift.domain.chunked_sum import ChunkedSum
from sentryml_drift.domain.chunks import ChunkRules, OpenChunk
from sentryml_drift.domain.rows import PaneRules
from sentryml_drift.processor.models import OwnedModel
from sentryml_statistics.time.panes import PaneGrid

GRID = PaneGrid(60.0)
HOUR = 3600.0


def sliced_events(
    rng: np.random.Generator,
    start: float,
    end: float,
    count: int,
    mean: float = 0.3,
    version: str | None = None,
    segment: str | None = None,
) -> list[EventRow]:
    """Events evenly over a time, with normally distributed scores."""
    times, scores = np.linspace(start, end - 1, count), rng.normal(mean, 0.1, count)
    return [
        EventRow("m", "late", float(score), float(at), version=version, segment=segment)
        for at, score in zip(times, scores, strict=True)
    ]


def model_of(rows: list[EventRow], at: float) -> OwnedModel:
    """The model after these events, which were all received at a time (epoch seconds)."""
    chunk = OpenChunk(0, 0, 0, ChunkRules(PaneRules(GRID, 35 * 86_400, 300), epoch=1))
    chunk.add(0, rows, at)
    while chunk.waiting:
        chunk.count()
    model = OwnedModel(0)
    for partial in (*chunk.take_live(), *chunk.take_backfilled(chunk.backfilled)):
        model.set(partial.target, ChunkedSum((partial.payload,)).pack())
    return model
