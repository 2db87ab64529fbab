"""`POST /v1/evaluations:recompute`, between services: what a monitor would have found, from the panes that are kept."""

from __future__ import annotations

from enum import StrEnum
from typing import Annotated

from pydantic import Field

from sentryml_common.contracts.evaluation import Evaluation, Signal
from sentryml_common.contracts.message import Message, Part, UtcDatetime
from sentryml_common.contracts.monitor import Monitor

PATH = "/v1/evaluations:recompute"
MOST_RECOMPUTED = 5_000
"""17 days at the default of one every 5 minutes."""


class Recompute(Message):
    """Evaluate a model by `monitor` over its past, on that monitor's own grid of times: from `since` on, or as far back
    as panes reach, to the newest time. At most `most` times: a part of the grid, where it has more."""

    monitor: Monitor
    since: UtcDatetime
    most: Annotated[int, Field(ge=1, le=MOST_RECOMPUTED)] = MOST_RECOMPUTED


class Ended(StrEnum):
    """Why there is no evaluation of before the oldest one."""

    SINCE = "since"
    FIRST_SEEN = "first_seen"
    PANES = "panes"


class RecomputedEvaluation(Part):
    """An evaluation as it would have been made then, without its bins unless it is the newest one.

    It is `exact` where the panes of both windows are still there as they were, and all drift is found again. If not, a
    window is up to a tenth shorter, since of old panes only the coarse ones are left, or the baseline leaves out drift
    of before the oldest one.
    """

    exact: bool
    evaluation: Evaluation


class DesignEffect(Part):
    """How much more windows of normal time differ in a signal than independent events would: `effect` (1: not at all),
    and of how many `blocks`, each as long as the current window."""

    signal: Signal
    effect: Annotated[float, Field(ge=1)]
    blocks: int


class Recomputed(Message):
    """Evaluations, oldest first and at most `every_seconds` apart, and why there are no older ones. Each is against the
    normal time that those before it lead to. `design_effects` are of signals with enough normal time before the newest
    one."""

    evaluations: tuple[RecomputedEvaluation, ...]
    ended: Ended
    every_seconds: float
    design_effects: tuple[DesignEffect, ...] = ()
