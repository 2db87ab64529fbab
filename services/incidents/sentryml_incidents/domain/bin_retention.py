"""Which evaluations keep their bins: enough that, whichever time of a curve is asked for, one is near."""

from __future__ import annotations

from datetime import UTC, datetime

from sentryml_common.contracts.evaluation import Evaluation
from sentryml_lifecycle.snapshot import Snapshot

KEPT_PER_WINDOW = 24
"""From one to the next, a 24th of the current window is exchanged: by default an hour of a day."""

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


def keeps_bins(before: Snapshot, evaluation: Evaluation) -> bool:
    """Whether it is the first that could see in its slot, a 24th of the current window; `before` is where its model
    stood."""
    if not any(found.bins for found in evaluation.signals):
        return False
    if before.last_evaluated_at is None or before.evaluation_paused_since is not None:
        return True
    slot = before.settings.current_seconds / KEPT_PER_WINDOW
    return _slot(evaluation.evaluated_at, slot) != _slot(before.last_evaluated_at, slot)


def _slot(at: datetime, seconds: float) -> int:
    return int((at - EPOCH).total_seconds() // seconds)
