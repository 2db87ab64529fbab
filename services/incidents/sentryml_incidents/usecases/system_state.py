"""What of SentryML stands still, as far as this service can tell: for the notifier, which sends system alerts, and for
the overview."""

from __future__ import annotations

from sentryml_common.contracts.internal.system_state import FoundFault
from sentryml_common.postgres.pool import Connection
from sentryml_incidents.domain.system.faults import find_faults
from sentryml_incidents.store.models import read_progress, read_unevaluated
from sentryml_incidents.store.outbox import oldest_unpublished
from sentryml_incidents.usecases.context import Context


async def read_faults(connection: Connection, context: Context) -> tuple[FoundFault, ...]:
    """All that is found now."""
    now = context.now()
    unevaluated, progress = await read_unevaluated(connection, now), await read_progress(connection)
    return find_faults(unevaluated, progress, await oldest_unpublished(connection), context.stalled_after, now)
