"""The models this worker owns, as read from the tables: a view for the evaluator, never the truth.

It is filled from the tables after each rebalance, and follows them batch by batch once these are durable.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import TypeAlias

from sentryml_drift.domain.chunked_sum import ChunkedSum, unpack_sum
from sentryml_drift.domain.facts import ModelFacts
from sentryml_drift.domain.pane_counts import EMPTY_PANE, PaneCounts
from sentryml_drift.domain.panes import Resolution
from sentryml_drift.domain.partials import Kind, Partial, Target
from sentryml_drift.table import partition_of_key, target_of

Sum: TypeAlias = ChunkedSum[PaneCounts] | ChunkedSum[ModelFacts]

KIND_OF = {Resolution.FINE: Kind.FINE, Resolution.COARSE: Kind.COARSE}


def empty_sum(kind: Kind) -> Sum:
    """The sum of a target that nothing has been added to yet."""
    return ChunkedSum(ModelFacts()) if kind is Kind.FACTS else ChunkedSum(EMPTY_PANE)


def read_sum(kind: Kind, packed: bytes) -> Sum:
    """A sum as the table holds it."""
    return unpack_sum(packed, ModelFacts.unpack) if kind is Kind.FACTS else unpack_sum(packed, PaneCounts.unpack)


def add_partial(known: Sum, partial: Partial) -> Sum:
    """A sum with one partial taken in."""
    unpack = ModelFacts.unpack if partial.target.kind is Kind.FACTS else PaneCounts.unpack
    return known.apply(partial.label, unpack(partial.payload))  # type: ignore[arg-type]


@dataclass(slots=True)
class OwnedModel:
    """One model: its partition, and its sums by kind and pane."""

    partition: int
    sums: dict[tuple[Kind, int], Sum] = field(default_factory=dict)
    changed: bool = True
    reported_at: float = 0.0

    def facts(self) -> ModelFacts:
        """What is known of the model beside its counts."""
        known = self.sums.get((Kind.FACTS, 0))
        total = known.total() if known is not None else ModelFacts()
        assert isinstance(total, ModelFacts)
        return total

    def counts(self, resolution: Resolution, first: int, end: int) -> list[PaneCounts]:
        """The counts of the panes `first` <= pane < `end` that hold events."""
        kind = KIND_OF[resolution]
        if end - first > len(self.sums):
            numbers: Iterable[int] = sorted(pane for k, pane in self.sums if k is kind and first <= pane < end)
        else:
            numbers = range(first, end)
        found = [self.sums.get((kind, number)) for number in numbers]
        return [total for known in found if known is not None and isinstance(total := known.total(), PaneCounts)]

    def panes(self, resolution: Resolution) -> list[int]:
        """The numbers of the panes that hold events, in order."""
        return sorted(pane for kind, pane in self.sums if kind is KIND_OF[resolution])


class OwnedModels:
    """All owned models by id."""

    def __init__(self) -> None:
        self.by_id: dict[str, OwnedModel] = {}

    def load(self, items: Iterable[tuple[bytes, bytes]], owned: set[int]) -> None:
        """Take in the items of a table that belong to the partitions `owned`."""
        for key, packed in items:
            partition = partition_of_key(key)
            target = target_of(key)
            if partition in owned and target is not None:
                self.put(partition, target, read_sum(target.kind, packed))

    def get(self, target: Target) -> Sum | None:
        """The sum of a target, if there is one."""
        model = self.by_id.get(target.model_id)
        return None if model is None else model.sums.get((target.kind, target.pane))

    def put(self, partition: int, target: Target, known: Sum) -> None:
        """Set the sum of a target."""
        model = self.by_id.setdefault(target.model_id, OwnedModel(partition))
        model.sums[target.kind, target.pane] = known
        model.changed = True

    def remove(self, target: Target) -> None:
        """Forget a target."""
        model = self.by_id.get(target.model_id)
        if model is not None:
            model.sums.pop((target.kind, target.pane), None)
