"""Evaluations into incidents, activity into models.

One transaction per batch: lock its monitors, decide, write all that the decisions say; the offsets are committed
afterwards. An evaluation that comes twice, or late, therefore changes nothing the second time.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from datetime import datetime, timedelta
from uuid import UUID

from sentryml_common.contracts.activity import Activity
from sentryml_common.contracts.evaluation import Evaluation
from sentryml_common.contracts.monitor import MonitorSettings
from sentryml_common.contracts.reference import Reference
from sentryml_common.contracts.transition import SYSTEM, Marked
from sentryml_common.errors import Unavailable
from sentryml_common.logging import get_logger
from sentryml_common.postgres.pool import Connection, Pool, transaction
from sentryml_incidents.domain.bin_retention import keeps_bins
from sentryml_incidents.journal import report_transitions
from sentryml_incidents.metrics import EVALUATIONS_TOTAL, MODELS_REGISTERED_TOTAL
from sentryml_incidents.store.evaluations.evaluations import make_week, save_evaluations, save_latest_evaluations
from sentryml_incidents.store.markers import markers_between
from sentryml_incidents.store.monitors import (
    find_deleted,
    find_registered,
    register_model,
    register_model_again,
    save_activities,
)
from sentryml_incidents.store.references import insert_references
from sentryml_incidents.store.snapshots import Change, lock_snapshots, save_changes
from sentryml_lifecycle.decision import Decision, Outcome
from sentryml_lifecycle.snapshot import ALARMING, Snapshot, deleted_model
from sentryml_lifecycle.state_machine import Evaluated, decide

log = get_logger(__name__)

MOST_MARKERS = 3
NOT_KEPT = (Outcome.REPEATED, Outcome.MODEL_DELETED)


class EvaluationConsumer:
    """Takes evaluations in. `new_models` is the monitor that a model seen for the first time gets."""

    def __init__(self, pool: Pool, new_models: MonitorSettings) -> None:
        self._pool, self._new_models = pool, new_models
        self._weeks: set[datetime] = set()

    async def take_all(self, evaluations: list[Evaluation]) -> list[Decision]:
        """Take evaluations in, all or none; of a model in the order given.

        Raises:
            Unavailable: PostgreSQL is away, or has dropped a week of theirs, which the next attempt makes again.
        """
        try:
            decisions = await self._take_all(evaluations)
        except Unavailable:
            self._weeks.clear()
            raise
        for decision in decisions:
            EVALUATIONS_TOTAL.labels(outcome=decision.outcome).inc()
            report_transitions(decision)
        return decisions

    async def _take_all(self, evaluations: list[Evaluation]) -> list[Decision]:
        await self._make_weeks(evaluations)
        async with transaction(self._pool) as connection:
            changes = _decide_all(await self._lock(connection, evaluations), evaluations)
            changes = [await _with_markers(connection, each) for each in changes]
            await insert_references(connection, _new_references(changes), SYSTEM)
            await save_changes(connection, [each for each in changes if each.decision.outcome is Outcome.APPLIED])
            kept = [each for each in changes if each.decision.outcome not in NOT_KEPT]
            await save_evaluations(connection, [each.evaluation for each in kept if each.evaluation], _with_bins(kept))
            await save_latest_evaluations(connection, [each.evaluation for each in kept if each.evaluation])
        return [change.decision for change in changes]

    async def _make_weeks(self, evaluations: Iterable[Evaluation]) -> None:
        for week in {_monday(evaluation.evaluated_at) for evaluation in evaluations} - self._weeks:
            async with transaction(self._pool) as connection:
                await make_week(connection, week)
            self._weeks.add(week)

    async def _lock(self, connection: Connection, evaluations: list[Evaluation]) -> dict[str, Snapshot]:
        """The models' snapshots; a model whose activity has not arrived yet is registered now, and one that was deleted
        is not: evaluations under its last monitor may still be on their way."""
        first_evaluations = {each.model_id: each.evaluated_at for each in reversed(evaluations)}
        seen = {model_id: (at, at) for model_id, at in first_evaluations.items()}
        await _register(connection, seen, self._new_models)
        snapshots = await lock_snapshots(connection, seen)
        return {model_id: snapshots.get(model_id) or deleted_model(model_id, self._new_models) for model_id in seen}


def _decide_all(snapshots: dict[str, Snapshot], evaluations: list[Evaluation]) -> list[Change]:
    """Each evaluation's decision, from where the one before it has led its model."""
    changes = []
    for evaluation in evaluations:
        before = snapshots[evaluation.model_id]
        decision = decide(before, Evaluated(evaluation), evaluation.evaluated_at)
        snapshots[evaluation.model_id] = decision.snapshot
        changes.append(Change(before, decision, evaluation))
    return changes


async def _with_markers(connection: Connection, change: Change) -> Change:
    """The change, with what was marked in the current window before its steps that say that something is wrong."""
    evaluation, steps = change.evaluation, change.decision.transitions
    if evaluation is None or not any(step.kind in ALARMING for step in steps):
        return change
    start, end = evaluation.current.start, evaluation.evaluated_at
    found = await markers_between(connection, evaluation.model_id, start, end, MOST_MARKERS)
    marked = tuple(Marked(at=each.at, text=each.text) for each in found)
    steps = tuple(replace(step, markers=marked) if step.kind in ALARMING else step for step in steps)
    return replace(change, decision=replace(change.decision, transitions=steps))


def _new_references(changes: Iterable[Change]) -> list[Reference]:
    """Those that evaluations have proposed, and that have become their models'."""
    return [
        new
        for each in changes
        if each.evaluation
        and (new := each.evaluation.new_reference) is not None
        and each.decision.snapshot.normal_time.reference_id == new.reference_id
    ]


def _with_bins(changes: Iterable[Change]) -> set[UUID]:
    return {
        each.evaluation.evaluation_id
        for each in changes
        if each.evaluation and keeps_bins(each.before, each.evaluation)
    }


def _monday(moment: datetime) -> datetime:
    return (moment - timedelta(days=moment.weekday())).replace(hour=0, minute=0, second=0, microsecond=0)


class ActivityConsumer:
    """Takes activity in: being seen registers a model."""

    def __init__(self, pool: Pool, new_models: MonitorSettings) -> None:
        self._pool, self._new_models = pool, new_models

    async def take_all(self, activities: list[Activity]) -> None:
        """Keep the newest activity of each model in the batch.

        Raises:
            Unavailable: PostgreSQL is away.
        """
        oldest_first = sorted(activities, key=lambda activity: activity.at)
        newest = {activity.model_id: activity for activity in oldest_first}
        async with transaction(self._pool) as connection:
            seen = {model_id: (each.first_seen, each.last_seen) for model_id, each in newest.items()}
            await _register(connection, seen, self._new_models)
            for model_id in sorted(await find_deleted(connection, newest)):
                if await register_model_again(connection, newest[model_id], self._new_models):
                    _report_registered(model_id, self._new_models)
            await save_activities(connection, [newest[model_id] for model_id in sorted(newest)])


async def _register(
    connection: Connection, seen: dict[str, tuple[datetime, datetime]], settings: MonitorSettings
) -> None:
    """Register those models that are new, in the order of ids: two who register the same never wait in a circle."""
    for model_id in sorted(seen.keys() - await find_registered(connection, seen)):
        first_seen, last_seen = seen[model_id]
        if await register_model(connection, model_id, settings, first_seen=first_seen, last_seen=last_seen):
            _report_registered(model_id, settings)


def _report_registered(model_id: str, settings: MonitorSettings) -> None:
    MODELS_REGISTERED_TOTAL.inc()
    log.info("model_registered", model_id=model_id, monitor_enabled=settings.enabled)
