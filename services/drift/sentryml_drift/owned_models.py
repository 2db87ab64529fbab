"""The models this worker owns: the table as the evaluator and the reporter read it.

It holds the values as the table does, packed, and follows it batch by batch once these are durable.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import TypeAlias

from sentryml_drift.domain.chunked_sum import ChunkedSum, unpack_sum
from sentryml_drift.domain.facts import ModelFacts
from sentryml_drift.domain.pane_counts import EMPTY_PANE, PaneCounts
from sentryml_drift.domain.panes import Resolution
from sentryml_drift.domain.partials import Kind, Partial, Target
from sentryml_drift.table import target_of

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
    """One model: its partition, and its packed sums by kind and pane."""

    partition: int
    sums: dict[tuple[Kind, int], bytes] = field(default_factory=dict)
    changed: bool = True
    reported_at: float = 0.0

    def facts(self) -> ModelFacts:
        """What is known of the model beside its counts."""
        packed = self.sums.get((Kind.FACTS, 0))
        return unpack_sum(packed, ModelFacts.unpack).total() if packed is not None else ModelFacts()

    def counts(self, resolution: Resolution, first: int, end: int) -> list[PaneCounts]:
        """The counts of the panes `first` <= pane < `end` that hold events."""
        kind = KIND_OF[resolution]
        if end - first > len(self.sums):
            numbers: Iterable[int] = sorted(pane for k, pane in self.sums if k is kind and first <= pane < end)
        else:
            numbers = range(first, end)
        found = [self.sums.get((kind, number)) for number in numbers]
        return [unpack_sum(packed, PaneCounts.unpack).total() for packed in found if packed is not None]

    def panes(self, resolution: Resolution) -> list[int]:
        """The numbers of the panes that hold events, in order."""
        return sorted(pane for kind, pane in self.sums if kind is KIND_OF[resolution])


class OwnedModels:
    """All owned models by id."""

    def __init__(self) -> None:
        self.by_id: dict[str, OwnedModel] = {}

    def load(self, partition: int, items: Mapping[bytes, bytes]) -> None:
        """Take in a whole partition of the table."""
        for key, packed in items.items():
            target = target_of(key)
            if target is not None:
                self.put(partition, target, packed)

    def drop(self, partition: int) -> None:
        """Forget a partition."""
        self.by_id = {model_id: model for model_id, model in self.by_id.items() if model.partition != partition}

    def get(self, target: Target) -> Sum | None:
        """The sum of a target, if there is one."""
        model = self.by_id.get(target.model_id)
        packed = None if model is None else model.sums.get((target.kind, target.pane))
        return None if packed is None else read_sum(target.kind, packed)

    def put(self, partition: int, target: Target, packed: bytes) -> None:
        """Set the sum of a target."""
        model = self.by_id.get(target.model_id)
        if model is None:
            model = self.by_id[target.model_id] = OwnedModel(partition)
        model.sums[target.kind, target.pane] = packed
        model.changed = True

    def remove(self, target: Target) -> None:
        """Forget a target."""
        model = self.by_id.get(target.model_id)
        if model is not None:
            model.sums.pop((target.kind, target.pane), None)
