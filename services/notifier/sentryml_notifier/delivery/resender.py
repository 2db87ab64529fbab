"""Sends live incidents again to channels whose other side forgets them otherwise, on the schedule in the store.

Beside the dispatcher: no deliveries, no attempts, nothing on a timeline. What is sent again is what was delivered. If
something newer was delivered while it was under way, it is sent once more, so that what arrives last is true.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta

from sentryml_common.clock import Clock
from sentryml_common.logging import get_logger
from sentryml_common.postgres.pool import Pool, transaction
from sentryml_notifier.by_channel import work_by_channel
from sentryml_notifier.channel_registry import ChannelRegistry, OpenChannel
from sentryml_notifier.channels.base import Resending, Resent
from sentryml_notifier.domain.delivery import Outcome, SendResult
from sentryml_notifier.domain.message_input import Story
from sentryml_notifier.metrics import RESENT_TOTAL
from sentryml_notifier.store import resending
from sentryml_notifier.store.resending import Kept

log = get_logger(__name__)

AFTER_FAILURE = timedelta(seconds=15)


@dataclass(frozen=True, slots=True)
class Resender:
    """Sends again on the channels of the registry that need it."""

    pool: Pool
    registry: ChannelRegistry
    clock: Clock

    async def run(self) -> None:
        """Send again until cancelled; no channel waits for another."""
        await work_by_channel(self.registry, Resending, self._resend_all, "resend")

    async def _resend_all(self, channel: OpenChannel) -> None:
        while await self.resend_due(channel):
            pass

    async def resend_due(self, channel: OpenChannel) -> bool:
        """Send what is due on a channel in one message; whether anything was, and arrived.

        Raises:
            Unavailable: PostgreSQL is away.
        """
        assert isinstance(channel.channel, Resending)
        now = self.clock()
        next_at = now + channel.channel.resend_after
        async with transaction(self.pool) as connection:
            due = await resending.claim_due(connection, channel.channel_id, channel.fingerprint, now, next_at)
        if not due:
            return False
        result = await self._send(channel, channel.channel, due, ended=False)
        async with transaction(self.pool) as connection:
            changed = await resending.list_changed(connection, channel.channel_id, due)
        if changed:
            result = await self._send(channel, channel.channel, changed, ended=True)
        if result.outcome is Outcome.DELIVERED:
            return True
        async with transaction(self.pool) as connection:
            await resending.put_off(connection, channel.channel_id, due, min(next_at, self.clock() + AFTER_FAILURE))
        return False

    async def _send(
        self, channel: OpenChannel, sends: Resending, kept: Sequence[Kept], *, ended: bool
    ) -> SendResult:  # fmt: skip
        incidents = [Resent(Story(each.steps, each.steps[-1:]), each.group_id) for each in kept]
        result = await channel.attempt(sends.resend(incidents, ended=ended))
        RESENT_TOTAL.labels(channel=channel.name, outcome=result.outcome.value, reason=result.reason).inc()
        if result.outcome is not Outcome.DELIVERED:
            log.warning("not_resent", channel=channel.name, incidents=len(kept), reason=result.reason, text=result.text)
        return result
