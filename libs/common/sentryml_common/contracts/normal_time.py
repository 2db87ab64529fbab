"""Normal time: the time of a model that its baseline may be made of. Part of `monitors.v1`."""

from __future__ import annotations

from typing import Annotated, Self
from uuid import UUID

from pydantic import Field, model_validator

from sentryml_common.contracts.message import Part, UtcDatetime


class ExcludedInterval(Part):
    """A time of confirmed drift: `start` inclusive, `end` exclusive; no end while the drift lasts. The evaluation of
    `confirmed_at` has confirmed it."""

    start: UtcDatetime
    confirmed_at: UtcDatetime
    end: UtcDatetime | None = None

    @model_validator(mode="after")
    def _ends_after_it_starts(self) -> Self:
        if self.end is not None and self.end <= self.start:
            raise ValueError(f"an excluded interval ends ({self.end}) after it starts ({self.start})")
        return self


class NormalSpan(Part):
    """Time from `since` on (null: from the first event on) outside the excluded intervals, which are disjoint and in
    the order of time; only the last may have no end. The reference is what was normal when it was made."""

    since: UtcDatetime | None = None
    reference_id: UUID | None = None
    excluded: tuple[ExcludedInterval, ...] = ()

    @model_validator(mode="after")
    def _is_in_order(self) -> Self:
        for earlier, later in zip(self.excluded, self.excluded[1:], strict=False):
            if earlier.end is None or earlier.end > later.start:
                raise ValueError(f"excluded intervals overlap: one from {earlier.start}, one from {later.start}")
        return self

    @property
    def drift_lasts(self) -> bool:
        """Whether the last excluded interval has not ended: the baseline is held."""
        return bool(self.excluded) and self.excluded[-1].end is None


class SetAside(NormalSpan):
    """Normal time as it was before a person's word changed it, kept until the word can no longer be undone."""

    until: UtcDatetime


class NormalTime(NormalSpan):
    """A model's normal time. Each change raises `revision`; evaluations say of which revision they are."""

    revision: Annotated[int, Field(ge=0)] = 0
    set_aside: SetAside | None = None
