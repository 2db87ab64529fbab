"""Sends system alerts: a queue of its own, apart from that of alerts, so that it moves when that one does not."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import timedelta
from uuid import UUID

from sentryml_common.clock import Clock
from sentryml_common.errors import Unavailable
from sentryml_common.logging import get_logger
from sentryml_common.postgres.pool import Pool, transaction
from sentryml_common.waiting import happened
from sentryml_notifier.channel_registry import ChannelRegistry, OpenChannel
from sentryml_notifier.channels.base import Outgoing
from sentryml_notifier.domain.delivery import SendResult, decide
from sentryml_notifier.domain.message import with_delivery_notes
from sentryml_notifier.domain.system_alerts.text import compose_system, system_story
from sentryml_notifier.store.system_alerts import SystemClaim, claim, note

log = get_logger(__name__)

POLL_SECONDS = 2.0


@dataclass
class SystemSender:
    """Sends what is due, one after the other. Any number may run: each message is claimed with a lease."""

    pool: Pool
    registry: ChannelRegistry
    lease: timedelta
    clock: Clock
    jitter: Callable[[], float]
    new_id: Callable[[], UUID]
    woken: asyncio.Event = field(default_factory=asyncio.Event)

    def wake(self) -> None:
        """Check for messages now."""
        self.woken.set()

    async def run(self) -> None:
        """Send until cancelled."""
        while True:
            self.woken.clear()
            try:
                while await self.send_one():
                    pass
            except Unavailable as err:
                log.warning("system_alerts_wait", why=str(err))
            await happened(self.woken, POLL_SECONDS)

    async def send_one(self) -> bool:
        """Send the message that has been due for longest; False if none is.

        Raises:
            Unavailable: PostgreSQL is away. A message that was sent meanwhile is sent again, marked as a repeat.
        """
        served = dict(self.registry.opened)  # one may go meanwhile
        async with transaction(self.pool) as connection:
            found = await claim(connection, self.new_id(), list(served), self.lease, self.clock())
        if found is None:
            return False
        channel = served[found.channel_id]
        result = await self._send(found, channel)
        decided = decide(result, found.retry_state, now=self.clock(), jitter=self.jitter())
        async with transaction(self.pool) as connection:
            await note(connection, found, decided, result.text)
        log.info(
            "system_alert_sent",
            fault=found.alert.subject.fault.value,
            channel=channel.name,
            outcome=result.outcome.value,
            text=result.text,
            next=type(decided).__name__,
        )
        return True

    async def _send(self, found: SystemClaim, channel: OpenChannel) -> SendResult:
        now = self.clock()
        message = with_delivery_notes(
            compose_system(found.alert, now),
            possibly_sent=found.retry_state.possibly_sent,
            happened_at=found.created_at,
            now=now,
            reason=found.last_text,
        )
        outgoing = Outgoing(
            message,
            system_story(found.alert),
            found.send_id,
            (found.delivery_id,),
            possibly_sent=found.retry_state.possibly_sent,
            plain=found.retry_state.plain,
            system=found.alert,
        )
        return await channel.send(outgoing)
