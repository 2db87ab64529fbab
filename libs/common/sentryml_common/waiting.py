"""Waiting for a server that is not there yet, with one log line and a line on `/readyz`; or for an event, with a
time limit."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import TypeVar

from sentryml_common.health import Health
from sentryml_common.logging import get_logger

log = get_logger(__name__)

FIRST_PAUSE_SECONDS, LONGEST_PAUSE_SECONDS = 0.2, 3.0

T = TypeVar("T")


async def wait_for(
    what: str, where: str, attempt: Callable[[], Awaitable[T]], health: Health, errors: tuple[type[BaseException], ...]
) -> T:
    """Call `attempt` until it no longer raises one of `errors`; anything else is raised at once."""
    pause, said = FIRST_PAUSE_SECONDS, ""
    health.waiting(what, f"connecting to {where}")
    while True:
        try:
            result = await attempt()
        except errors as err:
            why = f"{where} does not answer: {type(err).__name__}: {err}"
            if why != said:
                log.warning("waiting_for_server", server=what, why=why)
                said = why
            health.waiting(what, why)
            await asyncio.sleep(pause)
            pause = min(2 * pause, LONGEST_PAUSE_SECONDS)
        else:
            if said:
                log.info("server_answers", server=what, where=where)
            health.ready(what)
            return result


async def happened(event: asyncio.Event, seconds: float) -> bool:
    """Wait for an event for some time at most; whether it is set. Clearing it is left to who waits."""
    try:
        async with asyncio.timeout(seconds):
            return await event.wait()
    except TimeoutError:
        return False
