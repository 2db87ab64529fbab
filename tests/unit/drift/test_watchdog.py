"""The watchdog bites where input waits and nothing moves, and nowhere else."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime

import pytest

from sentryml_common.health import Health
from sentryml_drift.processor.faust_app import _watch_movement
from sentryml_drift.watchdog import REPORTED_AFTER_SECONDS, WATCH_SECONDS, Stalled, Watchdog
from tests.support.virtual_time import run_in_virtual_time
from tests.unit.drift.test_processor import Worker


def test_it_bites_when_input_has_waited_too_long() -> None:
    watchdog = Watchdog(60)
    watchdog.check(5, {0: 10}, 0)
    watchdog.check(7, {0: 10}, 60)
    with pytest.raises(Stalled, match="9 records of input are waiting, and none was processed for 60 s"):
        watchdog.check(9, {0: 10}, 61)


def test_a_worker_that_moves_may_be_behind_for_ever() -> None:
    watchdog = Watchdog(60)
    for second in range(0, 1000, 50):
        watchdog.check(1_000_000, {0: second, 1: 5}, second)


def test_where_nothing_waits_nothing_has_to_move() -> None:
    watchdog = Watchdog(60)
    for second in range(0, 1000, 50):
        watchdog.check(0, {0: 10}, second)
    watchdog.check(3, {0: 10}, 1000)
    with pytest.raises(Stalled):
        watchdog.check(3, {0: 10}, 1061)


def test_an_excuse_counts_from_when_it_was_given() -> None:
    watchdog = Watchdog(60)
    watchdog.check(5, {0: 10}, 0)
    watchdog.reset(55)
    watchdog.check(5, {0: 10}, 110)
    with pytest.raises(Stalled):
        watchdog.check(5, {0: 10}, 116)


def test_another_set_of_partitions_is_movement() -> None:
    watchdog = Watchdog(60)
    watchdog.check(5, {0: 10}, 0)
    watchdog.check(5, {1: 10}, 70)
    watchdog.check(5, {1: 10}, 130)


AT = datetime(2026, 11, 29, 12, 0, tzinfo=UTC)


def test_readyz_says_since_when_how_much_input_waits() -> None:
    watchdog, health = Watchdog(60), Health()
    health.ready("start")
    watchdog.check(5, {0: 10}, 0)
    watchdog.show(health, 0, AT)
    assert (health.waiting_for, health.all_details) == ({}, {}), "what has just come is on its way"
    watchdog.check(7000, {0: 11}, 20)
    watchdog.show(health, 20, AT)
    assert health.waiting_for == {}, "it is behind, but moves"
    (text,) = health.all_details["input"].values()
    assert text == "7,000 records of input are waiting; there has been a backlog since 2026-11-29 11:59:40 UTC (20 s)"
    watchdog.check(8000, {0: 11}, 50)
    watchdog.show(health, 50, AT)
    assert health.waiting_for["input"].startswith("8,000 records of input are waiting")
    assert health.waiting_for["input"].endswith("since 2026-11-29 11:59:10 UTC (50 s), and none was processed for 30 s")
    watchdog.check(0, {0: 8011}, 55)
    watchdog.show(health, 55, AT)
    assert (health.waiting_for, health.all_details) == ({}, {})


def test_a_worker_that_recovers_its_tables_is_not_said_to_be_behind() -> None:
    watchdog, health = Watchdog(60), Health()
    health.ready("start")
    watchdog.check(5, {0: 10}, 0)
    watchdog.check(5, {0: 10}, 30)
    watchdog.reset(40)
    watchdog.show(health, 40, AT)
    assert (health.waiting_for, health.all_details) == ({}, {})


async def standing_still() -> None:
    worker = Worker()
    await worker.begin()
    worker.stream.end[0] = 3
    watching = asyncio.create_task(_watch_movement(worker.processor, worker.health, stall_seconds=60))
    await asyncio.sleep(REPORTED_AFTER_SECONDS + 2 * WATCH_SECONDS)
    assert worker.health.waiting_for["input"].startswith("3 records of input are waiting")
    with pytest.raises(Stalled):
        await asyncio.wait_for(watching, 60)


def test_a_processor_that_takes_nothing_in_says_so_and_ends() -> None:
    run_in_virtual_time(standing_still())
