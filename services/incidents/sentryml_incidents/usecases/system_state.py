"""What of SentryML stands still, as far as this service can tell: for the notifier, which sends system alerts, and for
the overview."""

from __future__ import annotations

from dataclasses import dataclass

from sentryml_common.contracts.internal.system_state import FoundFault
from sentryml_common.postgres.pool import Connection
from sentryml_incidents.domain.system.faults import find_faults
from sentryml_incidents.domain.system.missed_evaluations import Unevaluated
from sentryml_incidents.store.models import read_progress, read_unevaluated
from sentryml_incidents.store.outbox import oldest_unpublished
from sentryml_incidents.usecases.context import Context


@dataclass(frozen=True, slots=True)
class SystemState:
    """What stands still, and the models that are not evaluated, be they few."""

    faults: tuple[FoundFault, ...]
    unevaluated: Unevaluated


async def read_system_state(
    connection: Connection, context: Context, unevaluated: Unevaluated | None = None
) -> SystemState:
    """All that is found now; which models are not evaluated may be known already."""
    now = context.now()
    unevaluated = unevaluated or await read_unevaluated(connection, now)
    progress = await read_progress(connection)
    oldest = await oldest_unpublished(connection)
    return SystemState(find_faults(unevaluated, progress, oldest, context.stalled_after, now), unevaluated)
