"""The watchdog bites where input waits and nothing moves, and nowhere else."""

from __future__ import annotations

import pytest

from sentryml_drift.watchdog import Stalled, Watchdog


def test_it_bites_when_input_has_waited_too_long() -> None:
    watchdog = Watchdog(60)
    watchdog.look(5, {0: 10}, 0)
    watchdog.look(7, {0: 10}, 60)
    with pytest.raises(Stalled, match="9 records of input wait, and none was taken in for 60 s"):
        watchdog.look(9, {0: 10}, 61)


def test_a_worker_that_moves_may_be_behind_for_ever() -> None:
    watchdog = Watchdog(60)
    for second in range(0, 1000, 50):
        watchdog.look(1_000_000, {0: second, 1: 5}, second)


def test_where_nothing_waits_nothing_has_to_move() -> None:
    watchdog = Watchdog(60)
    for second in range(0, 1000, 50):
        watchdog.look(0, {0: 10}, second)
    watchdog.look(3, {0: 10}, 1000)
    with pytest.raises(Stalled):
        watchdog.look(3, {0: 10}, 1061)


def test_an_excuse_counts_from_when_it_was_given() -> None:
    watchdog = Watchdog(60)
    watchdog.look(5, {0: 10}, 0)
    watchdog.excuse(55)
    watchdog.look(5, {0: 10}, 110)
    with pytest.raises(Stalled):
        watchdog.look(5, {0: 10}, 116)


def test_another_set_of_partitions_is_movement() -> None:
    watchdog = Watchdog(60)
    watchdog.look(5, {0: 10}, 0)
    watchdog.look(5, {1: 10}, 70)
    watchdog.look(5, {1: 10}, 130)
