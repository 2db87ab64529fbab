"""Sorting events: which of them count, by model and by the panes they fall to. All at once, since one is expensive.

Each event's own time is held against the Kafka timestamp of its record, never against a clock, so that every reading
of the log decides alike. Sorted by model and time, the events of a pane lie side by side:

    model      a a a a a a a │ b b b b
    fine       7 7 7 8 8 8 8 │ 7 8 8 9      each run is one addition to its pane
    coarse     0 0 0 0 0 0 0 │ 0 0 0 0
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import NamedTuple, cast

import numpy as np
from numpy.typing import NDArray

from sentryml_common.contracts.prediction import EventRow
from sentryml_drift.domain.facts import RECENT_EVENTS, ModelFacts, newest
from sentryml_drift.domain.slices import CountedRows, runs
from sentryml_statistics.histograms.pane_counts import PaneCounts, count_runs
from sentryml_statistics.time.panes import PaneGrid, Resolution, micros_of

_NO_PANE = np.iinfo(np.int64).min


@dataclass(frozen=True, slots=True)
class PaneRules:
    """What decides where an event falls: the panes, and how old and how new it may be at its record's time."""

    grid: PaneGrid
    longest_window_seconds: float
    future_limit_seconds: float


class PaneGain(NamedTuple):
    """What a pane of a model gains; `live` where its newest event is young enough for a fine pane."""

    model_id: str
    resolution: Resolution
    pane: int
    counts: PaneCounts
    live: bool


@dataclass(frozen=True, slots=True)
class SortedRows:
    """What some events say of their models beside the counts (and whether the newest is young enough for a fine pane),
    the counts that panes gain, and how many events were counted, late and in the future. An event is in a coarse pane,
    and in a fine one unless it is too old for that. `arrivals` says in which fine panes, by the Kafka timestamps of
    records, events of which model came in. `events` are those that were counted."""

    facts: list[tuple[str, ModelFacts, bool]]
    panes: list[PaneGain]
    arrivals: list[tuple[str, int]]
    events: CountedRows
    counted: int
    late: int
    future: int


def sort_rows(rows: Sequence[EventRow], record_times: Sequence[float], rules: PaneRules) -> SortedRows:
    """Sort at least one event, given with the timestamps of their records (epoch seconds)."""
    times, recorded = np.array(_times(rows, record_times)), np.array(record_times)
    model_ids = [row.model_id for row in rows]
    codes = {model_id: code for code, model_id in enumerate(dict.fromkeys(model_ids))}
    models = np.array(list(map(codes.__getitem__, model_ids)))
    future, late = times > recorded + rules.future_limit_seconds, times < recorded - rules.longest_window_seconds
    order = np.lexsort((times, models))
    order = order[~(future | late)[order]]
    counted = _Counted(models[order], times[order], recorded[order], [rows[place] for place in order.tolist()])
    names = list(codes)
    left_out = (np.bincount(models[left], minlength=len(names)).tolist() for left in (late, future))
    coarse, fine = _panes(counted.times, counted.recorded, rules.grid)
    return SortedRows(
        facts=[(name, *found) for name, found in zip(names, _facts(counted, fine, *left_out), strict=True)],
        panes=_gains(names, counted, coarse, fine),
        arrivals=_arrivals(names, counted, rules.grid),
        events=CountedRows(names, counted.models, counted.rows, order, counted.times, coarse, fine != _NO_PANE),
        counted=len(order),
        late=int(late.sum()),
        future=int(future.sum()),
    )


@dataclass(frozen=True, slots=True)
class _Counted:
    """Events that count, in the order of models and times; models by their number."""

    models: NDArray[np.int64]
    times: NDArray[np.float64]
    recorded: NDArray[np.float64]
    rows: list[EventRow]


def _times(rows: Sequence[EventRow], record_times: Sequence[float]) -> list[float]:
    """Each event's own time, or else its record's (epoch seconds)."""
    own = [row.timestamp for row in rows]
    if set(map(type, own)) == {float}:
        return cast(list[float], own)
    return [at if row.timestamp is None else row.seconds() for row, at in zip(rows, record_times, strict=True)]


def _gains(names: list[str], counted: _Counted, coarse: NDArray[np.int64], fine: NDArray[np.int64]) -> list[PaneGain]:
    """Count the events of each run in one pane. Where a coarse pane gains what one fine pane does, the counts are
    the very same object."""
    columns = [row.prediction for row in counted.rows], [row.score for row in counted.rows]
    starts, coarse_starts = runs(counted.models, fine), runs(counted.models, coarse)
    counts = dict(zip(pairwise(starts), count_runs(*columns, starts), strict=True))
    found = [(Resolution.FINE, fine, run) for run in counts if fine[run[0]] != _NO_PANE]
    found += [(Resolution.COARSE, coarse, run) for run in pairwise(coarse_starts)]
    if starts != coarse_starts:
        counts = dict(zip(pairwise(coarse_starts), count_runs(*columns, coarse_starts), strict=True)) | counts
    return [
        PaneGain(
            names[counted.models[run[0]]],
            resolution,
            int(panes[run[0]]),
            counts[run],
            bool(fine[run[1] - 1] != _NO_PANE),
        )
        for resolution, panes, run in found
    ]


def _panes(
    times: NDArray[np.float64], recorded: NDArray[np.float64], grid: PaneGrid
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """The coarse and the fine pane of each event."""
    micros = micros_of(times)
    fine = np.where(
        grid.admits_fine(micros, micros_of(recorded)), micros // grid.micros_per_pane(Resolution.FINE), _NO_PANE
    )
    return micros // grid.micros_per_pane(Resolution.COARSE), fine


def _arrivals(names: list[str], counted: _Counted, grid: PaneGrid) -> list[tuple[str, int]]:
    """In which fine panes events of which model came in, each pair once."""
    if not counted.rows:
        return []
    panes = micros_of(counted.recorded) // grid.micros_per_pane(Resolution.FINE)
    first, span = int(panes.min()), int(panes.max() - panes.min()) + 1
    pairs = np.unique(counted.models * span + (panes - first)).tolist()
    return [(names[pair // span], first + pair % span) for pair in pairs]


def _facts(
    counted: _Counted, fine: NDArray[np.int64], late: list[int], future: list[int]
) -> Iterator[tuple[ModelFacts, bool]]:
    """What the events say of each model, of which this many were left out; and whether its newest is young."""
    times = counted.times.tolist()
    ends = np.searchsorted(counted.models, np.arange(len(late) + 1)).tolist()
    for (begin, end), late_of, future_of in zip(pairwise(ends), late, future, strict=True):
        if begin == end:
            yield ModelFacts(late=late_of, future=future_of), False
            continue
        # Where several events share the time of the twentieth newest, all of them are looked at.
        last = max(begin, end - RECENT_EVENTS)
        first = bisect_left(times, times[last], lo=begin, hi=end)
        recent = [
            (at, row.prediction, row.score, row.event_id)
            for at, row in zip(times[first:end], counted.rows[first:end], strict=True)
        ]
        first_score = next((times[place] for place in range(begin, end) if counted.rows[place].score is not None), None)
        facts = ModelFacts(times[begin], first_score, times[end - 1], late_of, future_of, newest(recent))
        yield facts, bool(fine[end - 1] != _NO_PANE)
