"""The auditor: checks the whole ledger periodically, so that what is parked shows in the metrics.

Only when each alert that came has a delivery or an entry that no route takes it, each delivery is delivered, scheduled
or parked with a reason, and every channel that works is served, does it move its timestamp: who alerts on that alerts
on a dead auditor too.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from contextlib import suppress

from sentryml_common.clock import Clock
from sentryml_common.errors import Unavailable
from sentryml_common.health import Health
from sentryml_common.logging import get_logger
from sentryml_common.postgres.pool import Pool, transaction
from sentryml_notifier.metrics import (
    ALERTS_WITHOUT_ROUTE,
    AUDIT_FINDINGS,
    CHANNEL_STATE,
    DELIVERIES,
    DELIVERY_OLDEST_SECONDS,
    LAST_SUCCESSFUL_AUDIT,
)
from sentryml_notifier.store.audit import Audit, Fault, Finding, count_alerts_without_route, find_faults
from sentryml_notifier.store.ledger import age_seconds, list_channels

log = get_logger(__name__)

CHECK_EVERY_SECONDS = 5.0


async def audit(pool: Pool, clock: Clock, health: Health, keep: Callable[[Audit], None] = lambda _: None) -> None:
    """Measure and audit until cancelled; `keep` is given each audit."""
    known: tuple[Finding, ...] = ()
    while True:
        # While PostgreSQL is away the figures stay as they were; /readyz says why.
        with suppress(Unavailable):
            await measure(pool, clock, health)
            audit = await audit_once(pool, clock)
            keep(audit)
            for each in audit.findings:
                if each not in known:
                    log.error("audit_found_a_fault", fault=each.fault.value, channel=each.channel, text=each.text)
            known = audit.findings
        await asyncio.sleep(CHECK_EVERY_SECONDS)


async def audit_once(pool: Pool, clock: Clock) -> Audit:
    """Audit the ledger; an audit without findings is a successful one."""
    now = clock()
    async with transaction(pool) as connection:
        found = await find_faults(connection, now)
        without_route = await count_alerts_without_route(connection, now)
    for fault in Fault:
        AUDIT_FINDINGS.labels(fault=fault.value).set(sum(each.fault is fault for each in found))
    ALERTS_WITHOUT_ROUTE.set(without_route)
    if not found:
        LAST_SUCCESSFUL_AUDIT.set(now.timestamp())
    return Audit(now, tuple(found), without_route)


async def measure(pool: Pool, clock: Clock, health: Health) -> None:
    """Set the gauges once, and have `/readyz` name each broken channel."""
    async with transaction(pool) as connection:
        rows = await list_channels(connection)
    health.details("broken_channels", {row["name"]: row["broken_reason"] for row in rows if row["state"] == "broken"})
    now = clock()
    for gauge in (CHANNEL_STATE, DELIVERIES, DELIVERY_OLDEST_SECONDS):
        gauge.clear()  # a deleted channel has no series
    for row in rows:
        for state in ("active", "broken"):
            CHANNEL_STATE.labels(channel=row["name"], state=state).set(row["state"] == state)
        DELIVERIES.labels(channel=row["name"], state="waiting").set(row["waiting"])
        DELIVERIES.labels(channel=row["name"], state="parked").set(row["parked"])
        DELIVERY_OLDEST_SECONDS.labels(channel=row["name"]).set(age_seconds(row["oldest_at"], now))
