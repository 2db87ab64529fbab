"""The auditor: looks at the whole ledger now and then, so that what is stuck shows in the metrics."""

from __future__ import annotations

import asyncio
from contextlib import suppress

from sentryml_common.clock import Clock
from sentryml_common.errors import Unavailable
from sentryml_common.postgres.pool import Pool, transaction
from sentryml_notifier.metrics import CHANNEL_STATE, DELIVERIES, DELIVERY_OLDEST_SECONDS
from sentryml_notifier.store.ledger import age_seconds, list_channels

LOOK_EVERY_SECONDS = 5.0


async def audit(pool: Pool, clock: Clock) -> None:
    """Measure until cancelled."""
    while True:
        # While PostgreSQL is away the figures stay as they were; /readyz says why.
        with suppress(Unavailable):
            await measure(pool, clock)
        await asyncio.sleep(LOOK_EVERY_SECONDS)


async def measure(pool: Pool, clock: Clock) -> None:
    """Set the gauges once."""
    async with transaction(pool) as connection:
        rows = await list_channels(connection)
    now = clock()
    for gauge in (CHANNEL_STATE, DELIVERIES, DELIVERY_OLDEST_SECONDS):
        gauge.clear()  # a deleted channel has no series
    for row in rows:
        for state in ("active", "broken"):
            CHANNEL_STATE.labels(channel=row["name"], state=state).set(row["state"] == state)
        DELIVERIES.labels(channel=row["name"], state="waiting").set(row["waiting"])
        DELIVERIES.labels(channel=row["name"], state="parked").set(row["parked"])
        DELIVERY_OLDEST_SECONDS.labels(channel=row["name"]).set(age_seconds(row["oldest_at"], now))
