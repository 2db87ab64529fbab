"""Payloads: what a partial adds, as bytes. Those of panes are counts, those of slices counts with a time, the others
facts."""

from __future__ import annotations

from collections.abc import Sequence

from sentryml_drift.domain.facts import ModelFacts, merge_facts
from sentryml_drift.domain.partials import SLICED, Kind
from sentryml_drift.domain.slices import SliceCounts, counts_in, merge_slices
from sentryml_statistics.histograms.codec import check_packed
from sentryml_statistics.histograms.pane_counts import HISTOGRAMS_PER_PANE, PaneCounts, merge_panes


def check_payload(kind: Kind, payload: bytes) -> None:
    """See that a payload can be read.

    Raises:
        UndecodableMessage: it cannot.
    """
    if kind is Kind.FACTS:
        ModelFacts.unpack(payload)
    elif kind in SLICED:
        check_packed(counts_in(payload), HISTOGRAMS_PER_PANE)
    else:
        check_packed(payload, HISTOGRAMS_PER_PANE)


def counts_of(payloads: Sequence[bytes]) -> PaneCounts:
    """The sum of the counts in payloads."""
    if len(payloads) == 1:  # most panes lie in one: adding up costs as much as reading
        return PaneCounts.unpack(payloads[0])
    return merge_panes(map(PaneCounts.unpack, payloads))


def slice_of(payloads: Sequence[bytes]) -> SliceCounts:
    """The sum of the slices in payloads, at least one."""
    return merge_slices(list(map(SliceCounts.unpack, payloads)))


def facts_of(payloads: Sequence[bytes]) -> ModelFacts:
    """The sum of the facts in payloads."""
    return merge_facts(list(map(ModelFacts.unpack, payloads)))


def add_up(kind: Kind, payloads: Sequence[bytes]) -> bytes:
    """The payload that says what these say together."""
    if kind in SLICED:
        return slice_of(payloads).pack()
    return (facts_of(payloads) if kind is Kind.FACTS else counts_of(payloads)).pack()
