"""What the processor asks of Faust's consumer holds nothing up."""

from __future__ import annotations

import asyncio
from typing import Any
from unittest.mock import Mock

import faust
from faust.types import TP

from sentryml_drift.processor.faust_input import COMMIT_SECONDS, FaustInput
from tests.support.virtual_time import run_in_virtual_time


def test_a_commit_that_kafka_never_takes_is_given_up() -> None:
    committed: list[dict[TP, int]] = []

    async def never(places: dict[TP, int]) -> None:
        committed.append(places)
        await asyncio.Event().wait()

    async def seconds_of(app: Any) -> float:
        time = asyncio.get_running_loop().time
        begun = time()
        await FaustInput(app, "histograms", 1.0).commit({3: 700})
        return time() - begun

    app = Mock(spec=faust.App)
    app.consumer._commit = never
    assert run_in_virtual_time(seconds_of(app)) == COMMIT_SECONDS
    assert committed == [{TP("histograms", 3): 700}]
