"""Evaluations into incidents, activity into models.

One transaction per evaluation: lock the monitor, decide, write all that the decision says; the offset is
committed afterwards. An evaluation that comes twice, or late, therefore changes nothing the second time.
"""

from __future__ import annotations

from datetime import datetime

from sentryml_common.contracts.activity import Activity
from sentryml_common.contracts.evaluation import Evaluation
from sentryml_common.contracts.monitor import MonitorSettings
from sentryml_common.contracts.topics import ACTIVITY, EVALUATIONS, Topic
from sentryml_common.kafka.consumer import BatchConsumer
from sentryml_common.kafka.dead_letter import DeadLetters
from sentryml_common.logging import get_logger
from sentryml_common.postgres.pool import Connection, Pool, transaction
from sentryml_incidents.domain.decision import Decision, Outcome
from sentryml_incidents.domain.lifecycle import Evaluated, decide
from sentryml_incidents.domain.snapshot import Snapshot, deleted_model
from sentryml_incidents.journal import report_transitions
from sentryml_incidents.metrics import EVALUATIONS_TOTAL, MODELS_REGISTERED_TOTAL
from sentryml_incidents.store.evaluations import save_evaluation, save_latest_evaluation
from sentryml_incidents.store.monitors import register_model, register_model_anew, save_activity
from sentryml_incidents.store.snapshots import lock_snapshot, save_decision

log = get_logger(__name__)

GROUP = "sentryml.incidents"


class EvaluationConsumer:
    """Takes evaluations in. `new_models` is the monitor that a model seen for the first time gets."""

    def __init__(self, pool: Pool, new_models: MonitorSettings) -> None:
        self._pool, self._new_models = pool, new_models

    def consuming(self, dead_letters: DeadLetters, topic: Topic = EVALUATIONS) -> BatchConsumer[Evaluation]:
        """The loop over the topic."""
        return BatchConsumer(topic, Evaluation, f"{GROUP}.evaluations", self.take_all, dead_letters)

    async def take_all(self, evaluations: list[Evaluation]) -> None:
        """Take evaluations in, one after the other.

        Raises:
            Unavailable: PostgreSQL is away; those before stay taken, and are recognised when they come again.
        """
        for evaluation in evaluations:
            await self.take(evaluation)

    async def take(self, evaluation: Evaluation) -> Decision:
        """One evaluation, one transaction."""
        async with transaction(self._pool) as connection:
            snapshot = await self._lock(connection, evaluation)
            decision = decide(snapshot, Evaluated(evaluation), evaluation.evaluated_at)
            if decision.outcome is Outcome.APPLIED:
                await save_decision(connection, snapshot, decision, evaluation)
            if decision.outcome not in (Outcome.REPEATED, Outcome.MODEL_DELETED):
                await save_evaluation(connection, evaluation)
                await save_latest_evaluation(connection, evaluation)
        EVALUATIONS_TOTAL.labels(outcome=decision.outcome).inc()
        report_transitions(decision)
        return decision

    async def _lock(self, connection: Connection, evaluation: Evaluation) -> Snapshot:
        """The model's snapshot; a model whose activity has not arrived yet is registered now, and one that was deleted
        is not: evaluations under its last monitor may still be on their way."""
        snapshot = await lock_snapshot(connection, evaluation.model_id)
        if snapshot is None:
            seen = evaluation.evaluated_at
            await _register(connection, evaluation.model_id, self._new_models, seen, seen)
            snapshot = await lock_snapshot(connection, evaluation.model_id)
        return snapshot or deleted_model(evaluation.model_id, self._new_models)


class ActivityConsumer:
    """Takes activity in: being seen registers a model."""

    def __init__(self, pool: Pool, new_models: MonitorSettings) -> None:
        self._pool, self._new_models = pool, new_models

    def consuming(self, dead_letters: DeadLetters, topic: Topic = ACTIVITY) -> BatchConsumer[Activity]:
        """The loop over the topic."""
        return BatchConsumer(topic, Activity, f"{GROUP}.activity", self.take_all, dead_letters)

    async def take_all(self, activities: list[Activity]) -> None:
        """Keep the newest activity of each model in the batch.

        Raises:
            Unavailable: PostgreSQL is away.
        """
        newest: dict[str, Activity] = {}
        for activity in activities:
            known = newest.get(activity.model_id)
            if known is None or known.at < activity.at:
                newest[activity.model_id] = activity
        for activity in newest.values():
            async with transaction(self._pool) as connection:
                first, last = activity.first_seen, activity.last_seen
                await _register(connection, activity.model_id, self._new_models, first, last)
                if await register_model_anew(connection, activity, self._new_models):
                    _report_registered(activity.model_id, self._new_models)
                await save_activity(connection, activity)


async def _register(
    connection: Connection, model_id: str, settings: MonitorSettings, first_seen: datetime, last_seen: datetime
) -> None:
    if await register_model(connection, model_id, settings, first_seen=first_seen, last_seen=last_seen):
        _report_registered(model_id, settings)


def _report_registered(model_id: str, settings: MonitorSettings) -> None:
    MODELS_REGISTERED_TOTAL.inc()
    log.info("model_registered", model_id=model_id, monitor_enabled=settings.enabled)
