"""Sorting events: which of them count, by model and by the panes they fall to. All at once, since one is dear.

Each event's own time is held against the Kafka timestamp of its record, never against a clock, so that every reading
of the log decides alike. Sorted by model and time, the events of a pane lie side by side:

    model      a a a a a a a │ b b b b
    pane       7 7 7 8 8 8 8 │ 7 8 8 9      each run is one addition to its panes
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from sentryml_common.contracts.prediction import EventRow
from sentryml_drift.domain.facts import RECENT_EVENTS, ModelFacts, newest
from sentryml_drift.domain.panes import PaneGrid, Resolution, micros_of

_NO_PANE = np.iinfo(np.int64).min


@dataclass(frozen=True, slots=True)
class PaneRules:
    """What decides where an event falls: the panes, and how old and how new it may be at its record's time."""

    grid: PaneGrid
    longest_window_seconds: float
    future_limit_seconds: float


@dataclass(frozen=True, slots=True)
class PaneRows:
    """Events of one model that fall to the same panes; `fine` is None where they are too old for a fine one."""

    coarse: int
    fine: int | None
    rows: list[EventRow]


@dataclass(frozen=True, slots=True)
class ModelRows:
    """The events of one model: what they say of it beside the counts, and those that count by their panes."""

    model_id: str
    facts: ModelFacts
    panes: list[PaneRows]


def sort_rows(rows: Sequence[EventRow], record_times: Sequence[float], rules: PaneRules) -> Iterator[ModelRows]:
    """Sort events, given with the timestamps of their records (epoch seconds)."""
    times = np.array(
        [at if row.timestamp is None else row.seconds() for row, at in zip(rows, record_times, strict=True)]
    )
    codes: dict[str, int] = {}
    models = np.array([codes.setdefault(row.model_id, len(codes)) for row in rows])
    recorded = np.array(record_times)
    future, late = times > recorded + rules.future_limit_seconds, times < recorded - rules.longest_window_seconds
    counted = ~(future | late)
    order = np.lexsort((times, models))
    order = order[counted[order]]
    coarse, fine = _panes(times[order], recorded[order], rules.grid)
    ends = np.searchsorted(models[order], np.arange(len(codes)), side="right").tolist()
    runs = _runs(models[order], coarse, fine)
    late_of, future_of = (
        np.bincount(models[late], minlength=len(codes)),
        np.bincount(models[future], minlength=len(codes)),
    )
    places, ordered = order.tolist(), times[order].tolist()
    begin = run = 0
    for model_id, code in codes.items():
        end = ends[code]
        panes = []
        while runs[run] < end:
            first, after = runs[run], runs[run + 1]
            pane = None if fine[first] == _NO_PANE else int(fine[first])
            panes.append(PaneRows(int(coarse[first]), pane, [rows[place] for place in places[first:after]]))
            run += 1
        left_out = ModelFacts(late=int(late_of[code]), future=int(future_of[code]))
        facts = left_out if begin == end else left_out + _facts(rows, places[begin:end], ordered[begin:end])
        yield ModelRows(model_id, facts, panes)
        begin = end


def _panes(
    times: NDArray[np.float64], recorded: NDArray[np.float64], grid: PaneGrid
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """The coarse and the fine pane of each event."""
    micros = micros_of(times)
    fine = np.where(
        grid.admits_fine_micros(micros, micros_of(recorded)), micros // grid.micros_per_pane(Resolution.FINE), _NO_PANE
    )
    return micros // grid.micros_per_pane(Resolution.COARSE), fine


def _runs(*columns: NDArray[np.int64]) -> list[int]:
    """Where runs of equal rows begin, and the end of the last."""
    length = len(columns[0])
    changes = np.zeros(max(0, length - 1), bool)
    for column in columns:
        changes |= column[1:] != column[:-1]
    return [*([0] if length else []), *(np.flatnonzero(changes) + 1).tolist(), length]


def _facts(rows: Sequence[EventRow], places: list[int], times: list[float]) -> ModelFacts:
    """What the counted events of a model say, given in the order of time."""
    # Where several events share the time of the twentieth newest, all of them are looked at.
    first = bisect_left(times, times[-RECENT_EVENTS]) if len(times) > RECENT_EVENTS else 0
    recent = [
        (at, rows[place].prediction, rows[place].score, rows[place].event_id)
        for at, place in zip(times[first:], places[first:], strict=True)
    ]
    return ModelFacts(times[0], times[-1], recent=newest(recent))
