"""Evaluates one model at past times with other settings, oldest first: each against the normal time that those before
it lead to.

With these settings, drift might have been confirmed at other times than it was, or not at all; the baseline would then
have been held at other times. So each evaluation goes through `decide`, and the next one uses the normal time that this
leaves. What people did is not repeated, but for an accepted new normal: it counts once it is as long as a current
window, when the model can be compared with it.
"""

from __future__ import annotations

from dataclasses import replace

from sentryml_common.contracts.internal.recomputation import RecomputedEvaluation
from sentryml_common.contracts.monitor import Monitor
from sentryml_common.contracts.normal_time import NormalTime
from sentryml_drift.evaluation.counting import evaluate_model
from sentryml_drift.processor.models import OwnedModel, WindowSums
from sentryml_lifecycle.snapshot import Counts, Snapshot
from sentryml_lifecycle.state_machine import Evaluated, decide
from sentryml_statistics.time.normal_time import as_of
from sentryml_statistics.time.panes import PaneGrid
from sentryml_statistics.time.past_windows import Reach, plan_past_evaluation
from sentryml_statistics.time.schedule import delay_of


class PastEvaluations:
    """Evaluates one model at past times, in their order; window sums are kept between them, apart from those of the
    evaluator. It begins with the normal time that was known then, and begins again where panes do not reach."""

    def __init__(self, grid: PaneGrid, monitor: Monitor, model: OwnedModel) -> None:
        self._grid, self._monitor, self._model = grid, monitor, model
        self._delay = delay_of(grid, monitor.model_id, monitor.every_seconds)
        self._windows = WindowSums()
        self._snapshot: Snapshot | None = None
        self._begun_in_order = True

    def at(self, at: float, complete_at: float, reach: Reach) -> RecomputedEvaluation | None:
        """The evaluation at a time (epoch seconds); None where panes do not reach back."""
        snapshot = self._with_accepted(self._snapshot or self._begin(at), at)
        monitor = self._monitor.model_copy(update={"normal_time": snapshot.normal_time})
        kept = self._monitor.normal_time
        plan = plan_past_evaluation(self._grid, monitor, at, complete_at + self._delay, reach, kept)
        if plan is None:
            self._snapshot = None
            return None
        evaluation = evaluate_model(self._grid, monitor, self._model, self._windows, at, plan.plan)
        self._snapshot = decide(snapshot, Evaluated(evaluation), evaluation.evaluated_at).snapshot
        return RecomputedEvaluation(exact=plan.exact and self._begun_in_order, evaluation=evaluation)

    def _begin(self, at: float) -> Snapshot:
        """With nothing live, and normal time as it was known. When the end of an interval was known is not: what is
        compared with such time is not exact."""
        monitor, known = self._monitor, as_of(self._monitor.normal_time, at)
        self._begun_in_order = not known.excluded
        return Snapshot(monitor.model_id, monitor.version, monitor, normal_time=known)

    def _with_accepted(self, snapshot: Snapshot, at: float) -> Snapshot:
        known, since = snapshot.normal_time, self._monitor.normal_time.since
        if since is None or known.since == since or at < since.timestamp() + 2 * self._monitor.current_seconds:
            return snapshot
        accepted = NormalTime(revision=known.revision + 1, since=since, reference_id=known.reference_id)
        return replace(snapshot, normal_time=accepted, counts=Counts())
