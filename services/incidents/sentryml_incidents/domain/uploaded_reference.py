"""A reference as somebody sends it: a histogram that was made elsewhere, so that no rows have to leave that place."""

from __future__ import annotations

from base64 import b64encode
from datetime import datetime
from typing import Annotated, Any
from uuid import UUID

from pydantic import BaseModel, ConfigDict, Field, FiniteFloat, JsonValue, StringConstraints

from sentryml_common.contracts.prediction import MAX_PREDICTION_LENGTH
from sentryml_common.contracts.reference import Reference, ReferenceSource
from sentryml_statistics.comparison.slow_drift import fitted
from sentryml_statistics.histograms.category_counts import CategoryCounts
from sentryml_statistics.histograms.cell_counts import CellCounts
from sentryml_statistics.histograms.histogram import Histogram
from sentryml_statistics.histograms.pane_counts import PaneCounts

MOST_ENTRIES = 1_024
MOST_EVENTS = 10**12
EXAMPLE: dict[str, JsonValue] = {
    "events": 1000,
    "score": {"numbers": [[0.1, 620], [0.5, 280], [0.9, 90]], "nulls": 10},
    "prediction": {"categories": {"on time": 900, "late": 100}},
}

Count = Annotated[int, Field(ge=1, le=MOST_EVENTS)]
Nulls = Annotated[int, Field(ge=0, le=MOST_EVENTS)]
Category = Annotated[str, StringConstraints(max_length=MAX_PREDICTION_LENGTH, pattern=r"^[^\x00]*$")]
Numbers = Annotated[
    list[tuple[FiniteFloat, Count]],
    Field(max_length=MOST_ENTRIES, description="Values with their counts, in any order. Round values that are many."),
]


class UploadedScore(BaseModel):
    """How often each score came; `nulls` are events without one."""

    model_config = ConfigDict(extra="forbid", strict=True)

    numbers: Numbers = []
    nulls: Nulls = 0

    def counted(self) -> Histogram:
        """The counts as a histogram."""
        return Histogram(CellCounts.of_counted(self.numbers), CategoryCounts.of({}), self.nulls)

    @property
    def entries(self) -> int:
        """How many values there are."""
        return len(self.numbers)


class UploadedPrediction(UploadedScore):
    """How often each prediction came: categories by name (booleans as `true` and `false`), numbers as with scores."""

    categories: Annotated[dict[Category, Count], Field(max_length=MOST_ENTRIES)] = {}

    def counted(self) -> Histogram:
        """The counts as a histogram."""
        return Histogram(CellCounts.of_counted(self.numbers), CategoryCounts.of(self.categories), self.nulls)

    @property
    def entries(self) -> int:
        """How many values there are."""
        return len(self.numbers) + len(self.categories)


class UploadedReference(BaseModel):
    """A histogram of each signal, over the same `events`. Of a signal that the model does not send, all are `nulls`."""

    model_config = ConfigDict(extra="forbid", strict=True, json_schema_extra={"examples": [EXAMPLE]})

    events: Count
    score: UploadedScore
    prediction: UploadedPrediction


def schemas() -> dict[str, dict[str, Any]]:
    """What an upload may hold, for OpenAPI: its components by name."""
    whole = UploadedReference.model_json_schema(ref_template="#/components/schemas/{model}")
    return {**whole.pop("$defs"), "UploadedReference": whole}


def contradictions(uploaded: UploadedReference) -> list[dict[str, str]]:
    """What does not fit together: `field` and `reason` of each."""
    errors = []
    for name, signal in (("score", uploaded.score), ("prediction", uploaded.prediction)):
        if signal.entries > MOST_ENTRIES:
            reason = f"holds {signal.entries:,} values, at most {MOST_ENTRIES:,} fit: round numbers, group categories"
            errors.append({"field": f"body.{name}", "reason": reason})
        total = signal.counted().total
        if total != uploaded.events:
            reason = f"adds up to {total:,} of {uploaded.events:,} `events`: count events without a {name} as `nulls`"
            errors.append({"field": f"body.{name}", "reason": reason})
    if not uploaded.score.entries + uploaded.prediction.entries:
        errors.append({"field": "body", "reason": "holds nothing but nulls: send the values of one signal at least"})
    return errors


def reference_of(uploaded: UploadedReference, model_id: str, reference_id: UUID, now: datetime) -> Reference:
    """What was sent as the reference of a model, as fine as a reference may be."""
    counts = fitted(PaneCounts(uploaded.score.counted(), uploaded.prediction.counted()))
    return Reference(
        reference_id=reference_id,
        model_id=model_id,
        source=ReferenceSource.UPLOAD,
        made_at=now,
        events=uploaded.events,
        counts=b64encode(counts.pack()).decode(),
    )
