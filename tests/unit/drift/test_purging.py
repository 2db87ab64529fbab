"""A purge of very many models holds nobody up: neither who shares the event loop, nor a revocation."""

from __future__ import annotations

import asyncio

import pytest

from sentryml_drift import event_loop_slices
from sentryml_drift.domain.chunked_sum import ChunkedSum
from sentryml_drift.domain.partials import Kind, Target
from sentryml_drift.processor import housekeeping
from tests.unit.drift.test_processor import HOUR, ONE_EVENT, Worker, turns

MODELS = 50
EXPIRED = HOUR - 1000


@pytest.fixture(autouse=True)
def all_takes_turns(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(event_loop_slices, "SLICE_SECONDS", 0.0)


async def with_models(pane: int) -> Worker:
    """A worker with many models, each with one pane."""
    worker = Worker()
    await worker.begin()
    for number in range(MODELS):
        target = Target(f"model-{number}", Kind.COARSE, pane)
        worker.processor.models.put(0, target, ChunkedSum((ONE_EVENT,)).pack())
    return worker


async def test_looking_through_many_models_gives_others_their_turn() -> None:
    worker = await with_models(HOUR)
    purging = asyncio.create_task(worker.housekeeping.purge())
    await turns(MODELS)
    assert not purging.done()
    assert await purging == 0


async def test_a_revocation_waits_for_one_step_of_a_purge_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(housekeeping, "FREED_AT_ONCE", 5)
    worker = await with_models(EXPIRED)
    purging = asyncio.create_task(worker.housekeeping.purge())
    await turns(MODELS // 2)
    await worker.stream.revoke(worker.processor)
    assert 0 < await purging < MODELS
