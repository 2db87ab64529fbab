"""`activity.v1`: recent activity of a model, monitored or not. The first record registers the model."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from sentryml_common.contracts.evaluation import Share, Signal
from sentryml_common.contracts.message import Message, ModelId, Part, UtcDatetime

Total = Annotated[int, Field(ge=0)]


class PaneCount(Part):
    """Events in one pane; `start` is inclusive, the pane's length is in the message."""

    start: UtcDatetime
    count: Total


class Quantile(Part):
    """The value below which the part `at` of the numbers lies, as fine as the histogram is."""

    at: Share
    value: float


class CategoryCount(Part):
    """One of the most frequent categories."""

    value: str
    count: Total


class SignalActivity(Part):
    """The values of one signal over the fine panes that are kept."""

    signal: Signal
    numbers: Total
    categories: Total
    nulls: Total
    quantiles: tuple[Quantile, ...]
    top_categories: tuple[CategoryCount, ...]


class RecentEvent(Part):
    """The public fields of one of the last events, for the eye only."""

    timestamp: UtcDatetime
    prediction: str | float | bool
    score: float | None
    event_id: str | None


class Activity(Message):
    """A model's recent activity; the newest record per model replaces the older ones."""

    model_id: ModelId
    at: UtcDatetime
    first_seen: UtcDatetime
    last_seen: UtcDatetime
    fine_pane_seconds: Annotated[float, Field(gt=0)]
    fine_panes: tuple[PaneCount, ...]
    coarse_pane_seconds: Annotated[float, Field(gt=0)]
    coarse_panes: tuple[PaneCount, ...]
    late: Total
    future: Total
    signals: tuple[SignalActivity, ...]
    recent: tuple[RecentEvent, ...]
