"""The person who fixes the channel of a run, and has its route hold some alerts for a while."""

from __future__ import annotations

import asyncio
from datetime import timedelta

from sentryml_common.clock import system_clock
from sentryml_common.postgres.pool import Pool, transaction
from sentryml_notifier.channel_registry import SettingsChannel
from sentryml_notifier.store.channels import register_channel, release_waiting
from sentryml_notifier.store.holds import hold_again
from sentryml_notifier.store.routes import list_routes

FIXED_AFTER_SECONDS = 1.0
HELD_MODELS = "chaos-*[37]"


class Operator:
    """Fixes the channel each time it breaks, as a start of the service with a good webhook does."""

    def __init__(self, pool: Pool, given: SettingsChannel) -> None:
        self._pool, self._given = pool, given
        self.fixed = 0

    async def hold(self) -> None:
        """Have the route hold the alerts of some models, for longer than a storm lasts."""
        await self._fix()
        begins, ends = (f"{system_clock() + timedelta(hours=hours):%Y-%m-%d %H:%M}" for hours in (-1, 1))
        await self._pool.execute("UPDATE route SET hold_windows = $1", [f"{begins} to {ends} for {HELD_MODELS}"])

    async def let_go(self) -> int:
        """Have it hold no longer; return how many deliveries were held."""
        async with transaction(self._pool) as connection:
            await connection.execute("UPDATE route SET hold_windows = '{}'")
            (route,) = await list_routes(connection)
            return await hold_again(connection, route, system_clock())

    async def watch(self) -> None:
        """Watch until cancelled."""
        while True:
            await asyncio.sleep(FIXED_AFTER_SECONDS)
            text = await self._pool.fetchval("SELECT broken_reason FROM channel WHERE state = 'broken'")
            if text is not None:
                self.fixed += 1
                await self._fix()

    async def _fix(self) -> None:
        given = self._given
        async with transaction(self._pool) as connection:
            channel_id = await register_channel(
                connection, given.name, given.kind, given.setting, given.fingerprint, given.settings
            )
            await release_waiting(connection, channel_id, system_clock())
