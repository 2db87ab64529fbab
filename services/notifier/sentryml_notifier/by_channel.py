"""Work that each channel of some kind needs from time to time, beside the dispatcher."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any
from uuid import UUID

from sentryml_common.errors import Unavailable
from sentryml_common.logging import get_logger
from sentryml_notifier.channel_registry import ChannelRegistry, OpenChannel

log = get_logger(__name__)

CHECK_EVERY_SECONDS = 1.0


async def work_by_channel(
    registry: ChannelRegistry, kind: type[Any], work: Callable[[OpenChannel], Awaitable[object]], what: str
) -> None:
    """Call `work` for each channel of a kind every second until cancelled: once at a time for a channel, and no channel
    waits for another. While PostgreSQL is away that is logged, with `what` waits."""

    async def one(channel: OpenChannel) -> None:
        try:
            await work(channel)
        except Unavailable:
            log.warning("waits_for_postgres", what=what, channel=channel.name)

    working: dict[UUID, asyncio.Task[None]] = {}
    async with asyncio.TaskGroup() as group:
        while True:
            working = {channel_id: task for channel_id, task in working.items() if not task.done()}
            for channel_id, channel in registry.opened.items():
                if isinstance(channel.channel, kind) and channel_id not in working:
                    working[channel_id] = group.create_task(one(channel), name=f"{what}-{channel.name}")
            await asyncio.sleep(CHECK_EVERY_SECONDS)
