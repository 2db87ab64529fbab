"""A kept sum gives what a fresh sum of the same panes gives, byte for byte, however the window has moved."""

from __future__ import annotations

import random
from unittest.mock import Mock

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sentryml_statistics.histograms.kept_sum import KeptSum
from sentryml_statistics.histograms.pane_counts import PaneCounts, merge_panes


def pane(rng: random.Random, events: int, distinct: int | None, names: int = 2) -> bytes:
    """A pane of some events: of few distinct scores, or each with its own; with at most `names` names."""
    scores = [rng.random() if distinct is None else rng.randrange(distinct) / distinct for _ in range(events)]
    return PaneCounts.of([f"class {rng.randrange(names)}" for _ in scores], scores).pack()


@given(
    seed=st.integers(0, 2**32),
    events=st.sampled_from([20, 100, 150, 300, 2000]),
    distinct=st.sampled_from([10, 1200, None]),
    names=st.sampled_from([2, 300, 2000]),
    moves=st.lists(st.sampled_from(["enter", "leave", "change", "stay"]), min_size=1, max_size=12),
)
def test_a_kept_sum_is_a_fresh_sum(seed: int, events: int, distinct: int | None, names: int, moves: list[str]) -> None:
    rng = random.Random(seed)
    panes = {number: pane(rng, events, distinct, names) for number in range(12)}
    kept: KeptSum[int, bytes] = KeptSum(PaneCounts.unpack)
    kept.of(dict(panes))
    for move in moves:
        if move == "enter":
            panes[max(panes) + 1] = pane(rng, rng.randrange(1, 2 * events), distinct, names)
        elif move == "leave" and len(panes) > 1:
            del panes[min(panes)]
        elif move == "change":
            panes[max(panes)] = pane(rng, rng.randrange(1, 2 * events), distinct, names)
        fresh = merge_panes(map(PaneCounts.unpack, panes.values()))
        assert kept.of(dict(panes)).pack() == fresh.pack()


@pytest.mark.parametrize(("events", "distinct"), [(10, 10), (1000, 10), (20, None), (2000, None)])
def test_a_step_reads_the_panes_that_move_and_no_others(events: int, distinct: int | None) -> None:
    rng, read = random.Random(1), Mock(side_effect=PaneCounts.unpack)
    panes = {number: pane(rng, events, distinct) for number in range(200)}
    kept: KeptSum[int, bytes] = KeptSum(read)
    kept.of(dict(panes))
    read.reset_mock()
    left, entered = panes.pop(0), pane(rng, events, distinct)
    panes[200] = entered
    assert kept.of(dict(panes)).total == 200 * events
    assert kept.of(dict(panes)).total == 200 * events, "and nothing is read where nothing has moved"
    assert [call.args[0] for call in read.call_args_list] == [left, entered]


def test_of_no_panes_is_empty_also_after_some() -> None:
    kept: KeptSum[int, bytes] = KeptSum(PaneCounts.unpack)
    assert kept.of({}).total == 0
    assert kept.of({1: pane(random.Random(1), 5, None)}).total == 5
    assert kept.of({}).total == 0
