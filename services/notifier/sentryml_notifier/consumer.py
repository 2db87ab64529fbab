"""From `transitions.v1` to the ledger: each transition once, and a delivery for each route that it takes."""

from __future__ import annotations

from collections.abc import Callable

from sentryml_common.clock import Clock
from sentryml_common.contracts.transition import Transition
from sentryml_common.logging import get_logger
from sentryml_common.postgres.pool import Pool, transaction
from sentryml_notifier.channels.kinds import KINDS
from sentryml_notifier.domain.conversation import EDIT_AFTER
from sentryml_notifier.domain.grouping import Grouping
from sentryml_notifier.domain.routing import matching_routes, no_route_reason
from sentryml_notifier.store.conversations import want_edits
from sentryml_notifier.store.inbox import Wait, insert_deliveries, insert_transition, read_notified
from sentryml_notifier.store.outbox import insert_unrouted
from sentryml_notifier.store.routes import keep_routes

log = get_logger(__name__)

GROUP = "sentryml.notifier"


class Inbox:
    """Takes transitions in, and calls `on_work` when there is something to send."""

    def __init__(self, pool: Pool, on_work: Callable[[], None], clock: Clock, grouping: Grouping | None = None) -> None:
        self._pool, self._on_work, self._clock = pool, on_work, clock
        self._wait = (
            Wait(grouping.wait, [kind.name for kind in KINDS.values() if kind.for_people]) if grouping else None
        )

    async def take_in(self, transitions: list[Transition]) -> None:
        """Keep a batch and its deliveries in one transaction.

        Raises:
            Unavailable: PostgreSQL is away; the batch is to be retried.
        """
        now, made = self._clock(), 0
        async with transaction(self._pool) as connection:
            routes = await keep_routes(connection)
            for transition in transitions:
                if not await insert_transition(connection, transition, now):
                    continue
                notified = await read_notified(connection, transition)
                reported = await insert_deliveries(
                    connection, transition, matching_routes(transition, routes, notified), now, self._wait
                )
                made += reported
                await want_edits(connection, transition.incident_id, transition.sequence, now + EDIT_AFTER)
                # Not "no route takes it": route and channel may have been deleted since the routes were read.
                if transition.alert and not reported and notified is None:
                    await insert_unrouted(connection, transition.transition_id, no_route_reason(routes), now)
                    log.warning("alert_without_route", model_id=transition.model_id, kind=transition.kind.value)
        if made:
            log.info("deliveries_made", deliveries=made, transitions=len(transitions))
            self._on_work()
