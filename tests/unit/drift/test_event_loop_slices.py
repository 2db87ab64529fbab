"""Long work in slices lets others on the loop have their turn, and costs next to nothing where it is short."""

from __future__ import annotations

import asyncio

from sentryml_drift.event_loop_slices import Pacer


async def turns_of_another(pace: Pacer, steps: int) -> int:
    """How often another task ran during this number of steps of work."""
    turns = 0

    async def another() -> None:
        nonlocal turns
        while True:
            turns += 1
            await asyncio.sleep(0)

    task = asyncio.create_task(another())
    try:
        for _ in range(steps):
            await pace()
        return turns
    finally:
        task.cancel()


async def test_others_have_their_turn_after_each_slice() -> None:
    assert await turns_of_another(Pacer(slice_seconds=0.0), steps=50) == 50


async def test_within_a_slice_nothing_else_runs() -> None:
    assert await turns_of_another(Pacer(slice_seconds=3600.0), steps=50) == 0
