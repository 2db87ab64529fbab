"""How a model is doing, in two words: what a list shows first."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from sentryml_common.contracts.evaluation import InsufficientReason, Level


class Sign(StrEnum):
    """How loud a status is."""

    CRITICAL = "critical"
    WARN = "warn"
    OK = "ok"
    UNKNOWN = "unknown"
    OFF = "off"


@dataclass(frozen=True, slots=True)
class Status:
    """A sign, its words, and what they mean."""

    sign: Sign
    text: str
    means: str


OFF = Status(Sign.OFF, "not watched", "Its monitor is switched off: nothing is compared, nobody is notified.")
WAITING = Status(Sign.UNKNOWN, "new", "No evaluation yet: the first comes within a few minutes.")
OF_LEVEL = {
    Level.OK: Status(Sign.OK, "ok", "The predictions look like the baseline."),
    Level.WARN: Status(Sign.WARN, "warn", "PSI is above the warning threshold."),
    Level.CRITICAL: Status(Sign.CRITICAL, "critical", "PSI is above the critical threshold."),
}
OF_REASON = {
    InsufficientReason.WARMING_UP: Status(
        Sign.UNKNOWN, "warming up", "The baseline is still too short to compare with."
    ),
    InsufficientReason.TOO_FEW_SAMPLES: Status(
        Sign.UNKNOWN, "too few events", "Too few events in one of the windows to distinguish drift from chance."
    ),
    InsufficientReason.NO_DATA: Status(
        Sign.UNKNOWN, "no events", "No events in the current window: is the model running?"
    ),
    InsufficientReason.NOT_SENT: Status(
        Sign.UNKNOWN, "not sent", "The model has never sent what is watched: send scores, or watch its predictions."
    ),
}


SILENT = Status(
    Sign.WARN, "no predictions", "No predictions have come for longer than its own pace explains: is the model running?"
)


NOT_EVALUATED = Status(
    Sign.WARN, "not evaluated", "Evaluations are missing: what is shown of it is old, and no incident can open."
)


def status_of(
    enabled: bool,
    level: Level | None,
    reason: InsufficientReason | None,
    silent: bool = False,
    *,
    missed: bool = False,
) -> Status:
    """The status of a model, by its newest evaluation; `reason` is given where that had insufficient data. Where newer
    evaluations are `missed`, it says nothing any more. Of a silent model only a critical PSI says more."""
    if not enabled:
        return OFF
    if missed:
        return NOT_EVALUATED
    if silent and level is not Level.CRITICAL:
        return SILENT
    if level is None:
        return WAITING
    return OF_LEVEL[level] if level in OF_LEVEL else OF_REASON[reason or InsufficientReason.TOO_FEW_SAMPLES]
