"""A model's silence in the state machine: since when, until predictions come again. Part of `state_machine`.

The evaluation says that a model is silent; one such evaluation is enough, since its rule waits for three. The model is
silent then until an evaluation at `ok` has seen predictions that came in later. In between, whatever is found,
or not found, changes nothing of that.
"""

from __future__ import annotations

from enum import StrEnum
from typing import Annotated

from pydantic import Field

from sentryml_common.contracts.evaluation import ActivityEvaluation, Level
from sentryml_common.contracts.message import Part, UtcDatetime


class SilenceChange(StrEnum):
    """What an evaluation does to it."""

    BEGINS = "begins"
    ENDS = "ends"


class Silence(Part):
    """Since when no predictions have come in, and how many usually do; null while they do."""

    since: UtcDatetime | None = None
    usual_per_hour: Annotated[float, Field(ge=0)] | None = None

    def change(self, activity: ActivityEvaluation | None) -> SilenceChange | None:
        """What an evaluation's activity changes."""
        if activity is None:
            return None
        if self.since is None:
            return SilenceChange.BEGINS if activity.level is Level.WARN else None
        back = activity.level is Level.OK and activity.last_received > self.since
        return SilenceChange.ENDS if back else None


def silence_of(activity: ActivityEvaluation) -> Silence:
    """The silence that an evaluation has found."""
    return Silence(since=activity.last_received, usual_per_hour=activity.usual_per_hour)
