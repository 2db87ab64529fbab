"""What is done when time has passed: closes incidents that have been resolved for long, forgets old evaluations,
sessions that are over, and attempts to sign in that no longer count."""

from __future__ import annotations

import asyncio
from itertools import product

from sentryml_common.clock import Clock, system_clock
from sentryml_common.contracts.evaluation import InsufficientReason
from sentryml_common.contracts.transition import Severity
from sentryml_common.errors import Unavailable
from sentryml_common.logging import get_logger
from sentryml_common.postgres.pool import Pool, transaction
from sentryml_incidents.journal import report_transitions
from sentryml_incidents.metrics import (
    FLAPPING,
    LIVE_INCIDENTS,
    MODELS_NOT_EVALUATED,
    MODELS_SILENT,
    MONITORS_PAUSED,
)
from sentryml_incidents.store.deletions import delete_evaluations_of_deleted_models
from sentryml_incidents.store.evaluations.evaluations import drop_old_weeks
from sentryml_incidents.store.incidents import (
    count_flapping,
    count_live,
    count_paused,
    count_silent,
    models_to_close,
)
from sentryml_incidents.store.models import read_unevaluated
from sentryml_incidents.store.people.sessions import delete_old_sessions
from sentryml_incidents.store.people.sign_ins import delete_old_attempts
from sentryml_incidents.store.snapshots import lock_snapshot, save_decision
from sentryml_incidents.store.unreadable import forget_unreadable
from sentryml_lifecycle.decision import Outcome
from sentryml_lifecycle.snapshot import LIVE
from sentryml_lifecycle.state_machine import Ticked, decide

log = get_logger(__name__)

TICK_SECONDS = 5.0
MODELS_PER_TICK = 100
FLAPPING_AFTER_REOPENINGS = 3


class Timer:
    """Runs every few seconds; any number may run at once, since each decision is made under the model's lock."""

    def __init__(self, pool: Pool, evaluation_keep_days: int, clock: Clock = system_clock) -> None:
        self._pool, self._keep_days, self._clock = pool, evaluation_keep_days, clock

    async def run(self) -> None:
        """Tick until cancelled."""
        while True:
            try:
                await self.tick()
            except Unavailable as err:
                log.warning("timer_waits", why=str(err))
            await asyncio.sleep(TICK_SECONDS)

    async def tick(self) -> None:
        """Do what is due now.

        Raises:
            Unavailable: PostgreSQL is away.
        """
        async with transaction(self._pool) as connection:
            due = await models_to_close(connection, self._clock(), MODELS_PER_TICK)
        for model_id in due:
            await self._close(model_id)
        await self._forget()
        await self._measure()

    async def _close(self, model_id: str) -> None:
        now = self._clock()
        async with transaction(self._pool) as connection:
            snapshot = await lock_snapshot(connection, model_id)
            if snapshot is None:
                return
            decision = decide(snapshot, Ticked(), now)
            if decision.outcome is Outcome.APPLIED:
                await save_decision(connection, snapshot, decision)
        report_transitions(decision)

    async def _forget(self) -> None:
        async with transaction(self._pool) as connection:
            dropped = await drop_old_weeks(connection, self._clock(), self._keep_days)
        if dropped:
            log.info("old_evaluations_dropped", weeks=dropped)
        async with transaction(self._pool) as connection:
            deleted = await delete_evaluations_of_deleted_models(connection)
            await delete_old_sessions(connection, self._clock())
            await delete_old_attempts(connection, self._clock())
            await forget_unreadable(connection, self._clock())
        if deleted:
            log.info("evaluations_of_deleted_models_deleted", evaluations=deleted)

    async def _measure(self) -> None:
        async with transaction(self._pool) as connection:
            live = await count_live(connection)
            flapping = await count_flapping(connection, FLAPPING_AFTER_REOPENINGS)
            paused, silent = await count_paused(connection), await count_silent(connection)
            unevaluated = await read_unevaluated(connection, self._clock())
        for state, severity in product(LIVE, Severity):
            LIVE_INCIDENTS.labels(state=state, severity=severity).set(live.get((state, severity), 0))
        FLAPPING.set(flapping)
        MODELS_SILENT.set(silent)
        MODELS_NOT_EVALUATED.set(len(unevaluated.since))
        for reason in InsufficientReason:
            MONITORS_PAUSED.labels(reason=reason).set(paused.get(reason, 0))
