"""Activity: quantiles and top categories of what a model has sent."""

from __future__ import annotations

import sys

import numpy as np
import pytest

from sentryml_common.contracts.evaluation import Signal
from sentryml_drift.domain.activity import activity_of
from sentryml_drift.domain.facts import ModelFacts
from sentryml_statistics.histograms.histogram import EMPTY, Histogram
from sentryml_statistics.histograms.pane_counts import EMPTY_PANE, PaneCounts


def test_quantiles_are_those_of_the_numbers() -> None:
    numbers = np.random.default_rng(3).normal(20, 5, 100_000)
    (score, _) = activity_of(PaneCounts(Histogram.of(numbers), EMPTY))
    for quantile in score.quantiles:
        assert quantile.value == pytest.approx(np.quantile(numbers, quantile.at), rel=0.01)
    assert [quantile.at for quantile in score.quantiles] == [0.01, 0.05, 0.25, 0.5, 0.75, 0.95, 0.99]


def test_few_distinct_numbers_are_shown_as_they_are() -> None:
    (score, _) = activity_of(PaneCounts(Histogram.of([0.1] * 3 + [0.7] * 5 + [2.5e-7] * 2), EMPTY))
    assert [quantile.value for quantile in score.quantiles] == [2.5e-7, 2.5e-7, 0.1, 0.1, 0.7, 0.7, 0.7]


def test_kinds_are_counted_and_categories_ranked() -> None:
    counts = PaneCounts.of(["ok", "late", "ok", "lost", True, 7.0], [0.5, None, None, 0.5, 0.5, 0.5])
    score, prediction = activity_of(counts)
    assert (score.signal, score.numbers, score.categories, score.nulls) == (Signal.SCORE, 4, 0, 2)
    assert (prediction.numbers, prediction.categories, prediction.nulls) == (1, 5, 0)
    assert [(each.value, each.count) for each in prediction.top_categories] == [
        ("ok", 2),
        ("late", 1),
        ("lost", 1),
        ("true", 1),
    ]


def test_only_the_ten_most_frequent_categories_are_named() -> None:
    names = [f"class {i:02}" for i in range(30) for _ in range(30 - i)]
    _, prediction = activity_of(PaneCounts.of(names, [None] * len(names)))
    assert [each.value for each in prediction.top_categories] == [f"class {i:02}" for i in range(10)]


def test_nothing_seen_is_nothing_said() -> None:
    for each in activity_of(EMPTY_PANE):
        assert (each.numbers, each.quantiles, each.top_categories) == (0, (), ())


def test_packed_facts_take_no_more_memory_than_they_are_long() -> None:
    packed = ModelFacts(1.0, 2.0, 0, 0, ((1.0, "late", 0.5, None),)).pack()
    assert sys.getsizeof(packed) - len(packed) < 64, "hundreds of thousands are held at once"
