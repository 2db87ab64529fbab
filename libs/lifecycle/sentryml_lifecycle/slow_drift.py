"""Slow drift in the state machine: its own counts beside those of the baseline. Part of `state_machine`.

One evaluation in an hour compares with the reference. In between, the last finding holds. Slow drift opens
a warning and keeps an incident from resolving; it neither begins nor ends an excluded interval.
"""

from __future__ import annotations

from dataclasses import replace

from sentryml_common.contracts.evaluation import Evaluation, Level, SlowDrift
from sentryml_lifecycle.snapshot import SlowCounts, Snapshot


def with_slow_drift(seen: Snapshot, evaluation: Evaluation) -> Snapshot:
    """The snapshot with the evaluation's comparison with the reference counted, if it has one."""
    found = compared(seen, evaluation)
    if found is None:
        return seen
    slow, settings, psi = seen.slow, seen.settings, slow_psi(found)
    if found.level is Level.WARN:
        drifting, began = slow.drifting + 1, slow.since or evaluation.evaluated_at
        confirmed = slow.confirmed or drifting >= settings.confirm_warn
        return replace(seen, slow=SlowCounts(drifting=drifting, since=began, confirmed=confirmed, psi=psi))
    clean = slow.clean + 1 if is_clean(found, settings.resolve_below) else 0
    confirmed = slow.confirmed and clean < settings.confirm_resolve
    since = slow.since if confirmed else None
    return replace(seen, slow=SlowCounts(clean=clean, since=since, confirmed=confirmed, psi=psi))


def compared(seen: Snapshot, evaluation: Evaluation) -> SlowDrift | None:
    """The evaluation's comparison with the reference in force, if it has one."""
    found = evaluation.slow_drift
    return found if found is not None and found.reference_id == seen.normal_time.reference_id else None


def with_new_reference(seen: Snapshot, evaluation: Evaluation) -> Snapshot:
    """The snapshot with the reference that the evaluation proposes, where it has none."""
    if evaluation.new_reference is None or seen.normal_time.reference_id is not None:
        return seen
    update = {"reference_id": evaluation.new_reference.reference_id, "revision": seen.normal_time.revision + 1}
    return replace(seen, normal_time=seen.normal_time.model_copy(update=update))


def is_clean(found: SlowDrift, resolve_below: float) -> bool:
    """Whether no signal is near its threshold."""
    return all((each.psi or 0.0) < resolve_below * (each.warn_at or 0.0) for each in found.signals)


def slow_psi(found: SlowDrift) -> float:
    """The highest PSI of all signals."""
    return max((each.psi or 0.0 for each in found.signals), default=0.0)
