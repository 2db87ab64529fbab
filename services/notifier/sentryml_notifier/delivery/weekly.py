"""Sends weekly summaries: each week of a route once, by a lease, at the route's day and time.

Any number of these may run. A summary that may have arrived is repeated, and says so.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from datetime import timedelta
from uuid import UUID

from sentryml_common.clock import Clock
from sentryml_common.contracts.transition import SYSTEM
from sentryml_common.errors import Unavailable
from sentryml_common.logging import get_logger
from sentryml_common.postgres.pool import Connection, Pool, transaction
from sentryml_notifier.channel_registry import ChannelRegistry, OpenChannel
from sentryml_notifier.channels.base import Outgoing
from sentryml_notifier.domain.channel_tests import trial_story
from sentryml_notifier.domain.delivery import Outcome, SendResult, TryAgain, decide, may_begin
from sentryml_notifier.domain.holding.weekly import WeeklyReport, compose_weekly, concerns
from sentryml_notifier.domain.message import Message, Presentation, presented, with_delivery_notes
from sentryml_notifier.store import channels, weekly
from sentryml_notifier.store.routes import list_stored_routes
from sentryml_notifier.store.weekly import Summary

log = get_logger(__name__)

CHECK_EVERY_SECONDS = 15.0


@dataclass(frozen=True, slots=True)
class WeeklySender:
    """Sends on the channels of the registry that people read. Clock, randomness and new ids are injected."""

    pool: Pool
    registry: ChannelRegistry
    lease: timedelta
    clock: Clock
    jitter: Callable[[], float]
    new_id: Callable[[], UUID]

    async def run(self) -> None:
        """Send until cancelled."""
        while True:
            # While PostgreSQL is away nothing is due; /readyz says why.
            with suppress(Unavailable):
                await self.enter_due()
                for channel in list(self.registry.opened.values()):
                    while channel.for_people and await self.send_one(channel):
                        pass
            await asyncio.sleep(CHECK_EVERY_SECONDS)

    async def enter_due(self) -> None:
        """Have the newest week of each route summarised, if it ended since the summary was switched on."""
        now = self.clock()
        async with transaction(self.pool) as connection:
            for stored in await list_stored_routes(connection):
                if stored.weekly is None or stored.weekly_since is None or not stored.enabled:
                    continue
                ends_at = stored.weekly.newest(stored.time_zone, now)
                if ends_at > stored.weekly_since:
                    await weekly.enter(connection, stored.route_id, ends_at)

    async def send_one(self, channel: OpenChannel) -> bool:
        """Claim, send and note one summary; False if none was due.

        Raises:
            Unavailable: PostgreSQL is away; what may have been sent is sent again, marked, when the lease runs out.
        """
        now = self.clock()
        async with transaction(self.pool) as connection:
            summary = await weekly.claim(
                connection, channel.channel_id, channel.fingerprint, self.new_id(), now, now + self.lease
            )
            if summary is None:
                return False
            message = await self._compose(connection, summary)
        if not may_begin(summary.lease_until, self.clock()):
            return True
        result = await channel.send(
            Outgoing(
                message,
                trial_story(summary.summary_id, SYSTEM, now),
                summary.send_id,
                (summary.summary_id,),
                possibly_sent=summary.retry_state.possibly_sent,
                plain=summary.retry_state.plain,
                of_no_incident=True,
            )
        )
        await self._note(channel, summary, result)
        return True

    async def _compose(self, connection: Connection, summary: Summary) -> Message:
        (stored,) = await list_stored_routes(connection, summary.route_id)
        week = await weekly.read_week(connection, summary.ends_at)
        report = WeeklyReport(summary.ends_at, [each for each in week if concerns(each, stored.route)])
        message = with_delivery_notes(
            compose_weekly(report),
            possibly_sent=summary.retry_state.possibly_sent,
            happened_at=summary.ends_at,
            now=self.clock(),
            reason=None,
        )
        return presented(message, Presentation(stored.time_zone))

    async def _note(self, channel: OpenChannel, summary: Summary, result: SendResult) -> None:
        now = self.clock()
        decided = decide(result, summary.retry_state, now=now, jitter=self.jitter())
        async with transaction(self.pool) as connection:
            await channels.lock_channel(connection, channel.channel_id)
            await weekly.set_next(connection, summary, decided, result.text)
            if result.outcome is Outcome.RATE_LIMITED and isinstance(decided, TryAgain):
                await channels.pause_channel(connection, channel.channel_id, decided.at)
        log.info(
            "weekly_summary_attempted",
            channel=channel.name,
            ends_at=summary.ends_at.isoformat(),
            outcome=result.outcome.value,
            text=result.text,
        )
