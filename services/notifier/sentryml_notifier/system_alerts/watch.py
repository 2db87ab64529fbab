"""Notices what stands still: what incidents finds, whether it answers, whether Kafka does, and our own channels.

The notifier does this because it can send as long as PostgreSQL works, whatever else is down. What others know, it asks
for over HTTP: what stands still cannot be relied on to say so. That the notifier itself is down, the missing
heartbeat says, the pages, and the rules of Prometheus.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from sentryml_common.clock import Clock
from sentryml_common.contracts.internal.system_state import SystemFault, SystemState
from sentryml_common.errors import Unavailable
from sentryml_common.logging import get_logger
from sentryml_common.postgres.pool import Connection, Pool, transaction
from sentryml_notifier.domain.system_alerts.rules import (
    CAUSED_BY_KAFKA,
    KNOWN_BY_INCIDENTS,
    Finding,
    Observed,
    Subject,
    judge,
)
from sentryml_notifier.incidents import Incidents
from sentryml_notifier.store.system_alerts import begin, end, list_live, list_stalled_channels

log = get_logger(__name__)

CHECK_EVERY_SECONDS = 10.0
KAFKA_LATE, KAFKA_AWAY_AFTER = timedelta(seconds=40), timedelta(seconds=60)
"""It is asked every 15 s. Where it is late, its consequences may be all there is."""
INCIDENTS_AWAY_AFTER = timedelta(seconds=60)
DELIVERY_LATE = timedelta(minutes=15)


@dataclass
class SystemWatch:
    """Checks periodically, and begins and ends alerts; any number may run. `kafka_answered_at` says when Kafka last
    answered this process, `commits_stalled_since` whether the combiner commits; `on_work` is called when there is
    something to send."""

    pool: Pool
    incidents: Incidents
    kafka_answered_at: Callable[[], datetime | None]
    commits_stalled_since: Callable[[], datetime | None]
    on_work: Callable[[], None]
    clock: Clock
    observed: Observed = field(default_factory=Observed)
    started_at: datetime = field(init=False)
    incidents_answered_at: datetime = field(init=False)

    def __post_init__(self) -> None:
        self.started_at = self.incidents_answered_at = self.clock()

    async def run(self) -> None:
        """Check until cancelled."""
        while True:
            # While PostgreSQL is away nothing can be sent either; /readyz says why.
            with suppress(Unavailable):
                await self.check()
            await asyncio.sleep(CHECK_EVERY_SECONDS)

    async def check(self) -> None:
        """Check once.

        Raises:
            Unavailable: PostgreSQL is away.
        """
        state = await self.incidents.system_state()
        now = self.clock()
        async with transaction(self.pool) as connection:
            findings = [
                *self._of_incidents(state, now),
                *self._of_kafka(now),
                *self._of_commits(),
                *await _of_channels(connection, now),
            ]
            verdict = judge(self.observed, await list_live(connection), findings, self._unknown(state, now), now)
            begun = [each for each in verdict.begins if await begin(connection, each, now)]
            ended = [each for each in verdict.ends if await end(connection, each, now)]
        self.observed = verdict.observed
        for finding in begun:
            fault, channel = finding.subject.fault.value, finding.subject.channel
            log.error("system_alert_began", fault=fault, channel=channel, text=finding.text)
        for subject in ended:
            log.info("system_alert_ended", fault=subject.fault.value, channel=subject.channel)
        if begun or ended:
            self.on_work()

    def _of_incidents(self, state: SystemState | None, now: datetime) -> list[Finding]:
        """What it finds, or that it does not answer. Where it cannot be asked, since there is no secret, nothing."""
        if state is not None:
            self.incidents_answered_at = now
            known = [each for each in state.found if each.fault in KNOWN_BY_INCIDENTS]
            return [Finding(Subject(SystemFault(each.fault)), each.since, each.text) for each in known]
        if self.incidents.secret is None or now - self.incidents_answered_at < INCIDENTS_AWAY_AFTER:
            return []
        text = "The service incidents has not answered the notifier. See its log, and SENTRYML_INCIDENTS_URL."
        return [Finding(Subject(SystemFault.INCIDENTS_AWAY), self.incidents_answered_at, text)]

    def _unknown(self, state: SystemState | None, now: datetime) -> frozenset[SystemFault]:
        """The faults of which nothing is known at the moment."""
        late = now - (self.kafka_answered_at() or self.started_at) >= KAFKA_LATE
        return (KNOWN_BY_INCIDENTS if state is None else frozenset()) | (CAUSED_BY_KAFKA if late else frozenset())

    def _of_commits(self) -> list[Finding]:
        since = self.commits_stalled_since()
        if since is None:
            return []
        text = "The combiner has taken in many records, and committed nothing. Its log says why."
        return [Finding(Subject(SystemFault.COMMITS_STALLED), since, text)]

    def _of_kafka(self, now: datetime) -> list[Finding]:
        since = self.kafka_answered_at() or self.started_at
        if now - since < KAFKA_AWAY_AFTER:
            return []
        text = "Kafka has not answered the notifier. Is it running? /readyz of each service says what it waits for."
        return [Finding(Subject(SystemFault.KAFKA_AWAY), since, text)]


async def _of_channels(connection: Connection, now: datetime) -> list[Finding]:
    """Channels on which alerts wait for too long, or that are broken with alerts waiting."""
    rows = await list_stalled_channels(connection, now - DELIVERY_LATE)
    return [
        Finding(
            Subject(SystemFault.DELIVERIES_STALLED, row["name"]),
            row["since"],
            _why(row["messages"], row["broken_reason"] or row["last_text"]),
        )
        for row in rows
    ]


def _why(messages: int, reason: str | None) -> str:
    waiting = f"{messages} message{' waits' if messages == 1 else 's wait'}"
    return f"{waiting}: {reason}" if reason else f"{waiting}, and none is sent: is a notifier running that can?"
