"""A stand-in for ingest, and a sender to it that has connected."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator

import pytest

from sentryml.settings import Target
from sentryml_common.health import Health
from sentryml_tap import sender as sender_module
from sentryml_tap.sender import Sender
from tests.support.ingest_stand_in import KEY, Received, Reply, StandIn, problem, stand_in


def as_ingest(request: Received) -> Reply:
    """The answer of an ingest that finds nothing wrong."""
    if request.body:
        return Reply(202, {"accepted": len(request.body), "refused": 0})
    return problem(422, "no-events", "the array is empty", errors=[])


@pytest.fixture
def ingest() -> Iterator[StandIn]:
    """A server in the place of ingest."""
    with stand_in() as state:
        state.answering = as_ingest
        yield state


@pytest.fixture
def health() -> Health:
    """Of the tap, once it has started."""
    health = Health()
    health.ready("start")
    return health


@pytest.fixture
async def sender(ingest: StandIn, health: Health, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Sender]:
    """A sender that knows that ingest is there, and soon notices that it is back."""
    monkeypatch.setattr(sender_module, "FIRST_PAUSE_SECONDS", 0.01)
    monkeypatch.setattr(sender_module, "LONGEST_PAUSE_SECONDS", 0.05)
    sender = Sender(Target(ingest.url, KEY), health)
    watching = asyncio.create_task(sender.watch())
    await sender.back(60)
    ingest.received.clear()
    ingest.answers.clear()
    yield sender
    watching.cancel()
    await asyncio.wait([watching])
    ingest.gate.set()
    sender.close()
