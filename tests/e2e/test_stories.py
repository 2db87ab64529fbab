"""What users see of the whole system, in time-lapse: each story has a model of its own, so they run side by side."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

import pytest

from sentryml_local.stack import Stack
from tests.e2e.stories import (
    drift_and_recovery,
    lasting_drift,
    preview,
    second_signal,
    silence,
    slow_drift,
    storm,
    weekly_rhythm,
)
from tests.e2e.user import User

STORIES = (drift_and_recovery, lasting_drift, preview, second_signal, slow_drift, storm, weekly_rhythm, silence)
NAMES = tuple(each.__name__.rpartition(".")[2] for each in STORIES)
Running = dict[str, asyncio.Task[None]]


@pytest.fixture(scope="module")
async def running(stack: Stack, user: User) -> AsyncIterator[Running]:
    """All stories, begun."""
    tasks = {name: asyncio.create_task(each.story(stack, user)) for name, each in zip(NAMES, STORIES, strict=True)}
    yield tasks
    for task in tasks.values():
        task.cancel()
    await asyncio.gather(*tasks.values(), return_exceptions=True)


@pytest.mark.parametrize("name", NAMES)
async def test_a_story_ends_as_it_should(running: Running, name: str) -> None:
    await running[name]
