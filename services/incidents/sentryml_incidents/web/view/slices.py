"""Versions and segments on a page: their shares over time, since when, and how far each and the others differ."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime

from sentryml_common.contracts.evaluation import Evaluation, SliceEvaluation, SliceSignal, Slicing
from sentryml_common.text import cut
from sentryml_incidents.domain.psi_series import Span
from sentryml_incidents.web.view.charts import GAP
from sentryml_lifecycle.text.number_format import LONGEST_VALUE, share
from sentryml_lifecycle.text.slice_text import begins

LEAST_REST = 0.0005
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


def slice_tables(evaluation: Evaluation | None, history: History, span: Span) -> tuple[SliceTable, ...]:
    """The slices of an evaluation, each with its share over the time of a chart."""
    if evaluation is None:
        return ()
    of_kind = {kind: [each for each in evaluation.slices if each.slicing is kind] for kind in Slicing}
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
            path=_path(_shares(each, history), span),
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


def _path(shares: Iterable[tuple[datetime, float]], span: Span) -> str:
    """Straight lines between the shares; a break where the slice was not there."""
    parts: list[str] = []
    before: datetime | None = None
    for at, part in shares:
        joined = before is not None and at - before <= GAP * span.step
        place = f"{span.place(at):g} {round(100 - 100 * part, 1):g}"
        parts.append(f"L{place}" if joined else f"M{place}h0")
        before = at
    return "".join(parts)
