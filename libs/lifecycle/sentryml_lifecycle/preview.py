"""What a monitor would have done over the evaluations that are kept: a replay through the real state machine.

Only data and time move the replay. What people did (acknowledge, close) is not in it, and it begins with nothing live.

Evaluations come from two sources: stored ones, which are graded again, and from some time on those that were recomputed
from panes. Recomputed ones are against the normal time that these settings lead to. Stored ones are against that of the
monitor which was in force: where the replay's would have been another, the stored PSI is approximate.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime, timedelta

from sentryml_common.contracts.evaluation import Evaluation
from sentryml_common.contracts.internal.recomputation import RecomputedEvaluation
from sentryml_common.contracts.monitor import MonitorSettings
from sentryml_lifecycle.regrading import Basis, Regrading, is_compared_with
from sentryml_lifecycle.snapshot import Snapshot
from sentryml_lifecycle.state_machine import Evaluated, Ticked, decide
from sentryml_lifecycle.would_be import WouldBe, WouldBeIncidents

FIRST = 1
"""Evaluations of any version decide, as if there had only been this monitor."""

SAME_TIME = timedelta(milliseconds=1)


class Replay:
    """One monitor over a history, evaluation by evaluation, oldest first; `recomputed` are those from panes."""

    def __init__(
        self, model_id: str, settings: MonitorSettings, recomputed: Sequence[RecomputedEvaluation] = ()
    ) -> None:
        self._recomputed = recomputed if settings.enabled else ()
        self.recomputed_from = self._recomputed[0].evaluation.evaluated_at if self._recomputed else None
        self._settings = settings
        self._regradings: dict[int, Regrading] = {}
        self._snapshot = Snapshot(model_id=model_id, monitor_version=FIRST, settings=settings)
        self._would_be = WouldBeIncidents()
        self._last_used: datetime | None = None
        self.began: datetime | None = None
        self.used: Counter[Basis] = Counter()
        self.recomputed: Counter[Basis] = Counter()
        self.other_baselines = 0
        self.approximate: set[str] = set()

    @property
    def incidents(self) -> tuple[WouldBe, ...]:
        """What would have been opened, oldest first."""
        return self._would_be.incidents

    @property
    def alerts(self) -> int:
        """How many messages would have been sent."""
        return self._would_be.alerts

    def take(self, evaluations: Iterable[Evaluation], versions: Mapping[int, MonitorSettings]) -> None:
        """Go on with stored ones; `versions` are the settings that these were made under. Those of the time that was
        recomputed are left out."""
        if not self._settings.enabled:
            return
        for evaluation in evaluations:
            if self.recomputed_from is not None and evaluation.evaluated_at >= self.recomputed_from:
                return
            regrading = self._regrading(evaluation.monitor_version, versions)
            if self._is_due(evaluation.evaluated_at, regrading):
                self.approximate.update(regrading.differs)
                self._take(*self._regraded(evaluation, regrading))

    def finish(self) -> None:
        """Go on with what was recomputed."""
        for each in self._recomputed:
            basis = Basis.EXACT if each.exact else Basis.APPROXIMATE
            self.recomputed[basis] += 1
            self._take(each.evaluation, basis)

    def _regrading(self, version: int, versions: Mapping[int, MonitorSettings]) -> Regrading:
        """From the settings of a version to ours."""
        known = self._regradings.get(version)
        if known is None:
            known = self._regradings[version] = Regrading(versions.get(version, self._settings), self._settings)
        return known

    def _is_due(self, at: datetime, regrading: Regrading) -> bool:
        """Evaluations that were made more often than asked for are thinned out."""
        if self._last_used is None or not regrading.thins_out:
            return True
        return at - self._last_used >= timedelta(seconds=self._settings.every_seconds) - SAME_TIME

    def _regraded(self, evaluation: Evaluation, regrading: Regrading) -> tuple[Evaluation, Basis]:
        graded, basis = regrading.of(evaluation)
        if basis is not Basis.EXACT or regrading.same:
            return graded, basis
        if is_compared_with(evaluation, self._snapshot.normal_time, self._settings.baseline_seconds):
            return graded, basis
        self.other_baselines += 1
        return graded, Basis.APPROXIMATE

    def _take(self, evaluation: Evaluation, basis: Basis) -> None:
        self.began = self.began or evaluation.evaluated_at
        self._last_used = evaluation.evaluated_at
        self.used[basis] += 1
        self._step(Ticked(), evaluation.evaluated_at)
        revision = self._snapshot.normal_time.revision
        current = evaluation.model_copy(update={"normal_time_revision": revision})
        self._step(Evaluated(current), evaluation.evaluated_at)

    def _step(self, event: Evaluated | Ticked, now: datetime) -> None:
        before, decision = self._snapshot.incident, decide(self._snapshot, event, now)
        self._snapshot = decision.snapshot
        self._would_be.take(before, decision)
