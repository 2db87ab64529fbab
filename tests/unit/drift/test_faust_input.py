"""What the processor asks of Faust's consumer holds nothing up."""

from __future__ import annotations

import asyncio
from typing import Any
from unittest.mock import Mock

import faust
from faust.types import TP

from sentryml_drift.processor.faust_input import COMMIT_SECONDS, FaustInput
from tests.support.virtual_time import run_in_virtual_time


def test_a_commit_that_kafka_never_takes_holds_up_one_batch_for_a_moment() -> None:
    committed: list[dict[TP, int]] = []

    async def never(places: dict[TP, int]) -> bool:
        committed.append(places)
        await asyncio.Event().wait()
        return True

    async def commit_twice(app: Any) -> list[float]:
        time, stream = asyncio.get_running_loop().time, FaustInput(app, "histograms", 1.0)
        begun, ended = time(), []
        for offset in (700, 701):
            await stream.commit({3: offset})
            ended.append(time() - begun)
        return ended

    app = Mock(spec=faust.App)
    app.consumer._commit = never
    assert run_in_virtual_time(commit_twice(app)) == [COMMIT_SECONDS, COMMIT_SECONDS]
    assert committed == [{TP("histograms", 3): 700}]
