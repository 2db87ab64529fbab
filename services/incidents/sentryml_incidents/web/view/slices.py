"""Versions and segments on a page: their shares over time, since when, and how far each and the others differ; and
which segments are evaluated by themselves, which not, and why."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime

from sentryml_common.contracts.evaluation import (
    RANK,
    Evaluation,
    Level,
    SignalEvaluation,
    SliceEvaluation,
    SliceSignal,
    Slicing,
)
from sentryml_common.text import cut
from sentryml_incidents.domain.psi_series import Span
from sentryml_incidents.web.view.charts import path_of
from sentryml_incidents.web.view.comparison_text import NOT_JUDGED
from sentryml_lifecycle.grades import DRIFTING
from sentryml_lifecycle.text.number_format import LONGEST_VALUE, share
from sentryml_lifecycle.text.slice_text import begins

LEAST_REST = 0.0005
TOO_LITTLE = "None is evaluated while the model itself has too little data."
NO_SEGMENTS = (
    "None is evaluated: no predictions that are kept name a segment, or the current window is shorter than a coarse "
    "pane."
)
TITLES = {Slicing.VERSION: ("Versions", "version"), Slicing.SEGMENT: ("Segments", "segment")}

History = Sequence[tuple[datetime, Sequence[SliceEvaluation]]]
"""What evaluations have found, oldest first."""


@dataclass(frozen=True, slots=True)
class SliceSignalCell:
    """One signal of a slice: its PSI, whether that counts as moved, and the PSI of the others."""

    psi: str
    moved: bool
    others_psi: str


@dataclass(frozen=True, slots=True)
class SliceRow:
    """One version or segment; `path` is the curve of its share as what SVG calls `d`, with all of it at the top."""

    name: str
    share: str
    events: int
    began: datetime | None
    path: str
    signals: tuple[SliceSignalCell, ...]


@dataclass(frozen=True, slots=True)
class SliceTable:
    """The versions, or the segments; `signals` are those that were compared. `rest` is the share of all other
    predictions, and of those that say none; empty where there are none."""

    title: str
    noun: str
    signals: tuple[str, ...]
    rows: tuple[SliceRow, ...]
    rest: str


@dataclass(frozen=True, slots=True)
class SegmentCell:
    """One signal of a segment: its PSI and threshold, with its level where it drifts, or why it has none."""

    psi: str = ""
    warn_at: str = ""
    level: Level | None = None
    why_not: str = ""


@dataclass(frozen=True, slots=True)
class SegmentRow:
    """One segment that is evaluated by itself, or would be; one cell where all signals lack the same."""

    name: str
    events: int
    baseline: int
    cells: tuple[SegmentCell, ...]


@dataclass(frozen=True, slots=True)
class SegmentTable:
    """The segments of one evaluation, those first that drift most; `summary` says how many are evaluated, or why there
    are none."""

    summary: str
    signals: tuple[str, ...]
    rows: tuple[SegmentRow, ...]


def segment_table(evaluation: Evaluation | None, *, asked: bool) -> SegmentTable | None:
    """What was found of segments by themselves; None where the monitor does not ask for that."""
    if evaluation is None or not (asked or evaluation.segments):
        return None
    by_name: dict[str, list[SignalEvaluation]] = {}
    for each in evaluation.segments:
        by_name.setdefault(each.segment or "", []).append(each)
    if not by_name:
        too_little = evaluation.level is Level.INSUFFICIENT_DATA
        return SegmentTable(TOO_LITTLE if too_little else NO_SEGMENTS, (), ())
    listed = sorted(by_name.items(), key=lambda each: (*min(map(_order, each[1])), each[0]))
    signals = tuple(each.signal.value for each in listed[0][1])
    return SegmentTable(_summary(list(by_name.values())), signals, tuple(_segment(*each) for each in listed))


def _order(found: SignalEvaluation) -> tuple[int, float]:
    """By level, then by how near the PSI is to its threshold; what was not judged comes last."""
    if found.psi is None or not found.warn_at:
        return 1, 0.0
    return -RANK[found.level], -found.psi / found.warn_at


def _summary(segments: Sequence[Sequence[SignalEvaluation]]) -> str:
    judged = sum(any(each.reason is None for each in found) for found in segments)
    drifting = sum(any(each.level in DRIFTING for each in found) for found in segments)
    of_all = f"{judged} of {len(segments)} segments {'is' if judged == 1 else 'are'} evaluated"
    return f"{of_all}; {drifting or 'none'} {'drift' if drifting > 1 else 'drifts'}."


def _segment(name: str, found: Sequence[SignalEvaluation]) -> SegmentRow:
    cells = tuple(map(_segment_cell, found))
    return SegmentRow(
        name=cut(name, LONGEST_VALUE),
        events=found[0].current_count,
        baseline=found[0].baseline_count,
        cells=cells[:1] if cells[0].why_not and len(set(cells)) == 1 else cells,
    )


def _segment_cell(found: SignalEvaluation) -> SegmentCell:
    if found.reason is not None:
        return SegmentCell(why_not=NOT_JUDGED[found.reason])
    return SegmentCell(
        psi=_psi(found.headline_psi),
        warn_at=_psi(found.warn_at),
        level=found.level if found.level in DRIFTING else None,
    )


def slice_tables(evaluation: Evaluation | None, history: History, span: Span) -> tuple[SliceTable, ...]:
    """The slices of an evaluation, each with its share over the time of a chart."""
    if evaluation is None:
        return ()
    of_kind = {kind: [each for each in evaluation.slices if each.slicing is kind] for kind in Slicing}
    if evaluation.segments:  # each by itself has figures of its own
        of_kind[Slicing.SEGMENT] = [each.model_copy(update={"signals": ()}) for each in of_kind[Slicing.SEGMENT]]
    return tuple(_table(kind, found, history, span) for kind, found in of_kind.items() if found)


def version_marks(history: History) -> list[tuple[datetime, str, str]]:
    """Where versions begin, as marks of a chart."""
    begun = {
        each.value: (each.began, "version", begins(each))
        for _, slices in history
        for each in slices
        if each.slicing is Slicing.VERSION and each.began is not None
    }
    return list(begun.values())


def _table(kind: Slicing, found: Sequence[SliceEvaluation], history: History, span: Span) -> SliceTable:
    title, noun = TITLES[kind]
    signals = tuple(each.signal.value for each in found[0].signals)
    rows = tuple(
        SliceRow(
            name=cut(each.value, LONGEST_VALUE),
            share=share(each.share),
            events=each.events,
            began=each.began,
            path=path_of(_shares(each, history), span, lambda part: round(100 - 100 * part, 1)),
            signals=tuple(map(_cell, each.signals)),
        )
        for each in found
    )
    rest = 1.0 - sum(each.share for each in found)
    return SliceTable(title, noun, signals, rows, share(rest) if rest >= LEAST_REST else "")


def _cell(found: SliceSignal) -> SliceSignalCell:
    return SliceSignalCell(_psi(found.psi), found.moved, _psi(found.others_psi))


def _psi(psi: float | None) -> str:
    return "–" if psi is None else f"{psi:.2f}"


def _shares(found: SliceEvaluation, history: History) -> Iterable[tuple[datetime, float]]:
    for at, slices in history:
        for each in slices:
            if (each.slicing, each.value) == (found.slicing, found.value):
                yield at, each.share
