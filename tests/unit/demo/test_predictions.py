"""The model is sensible, always the same, and its scores drift in the thunderstorms of May as computed beforehand."""

from __future__ import annotations

from datetime import date

import numpy as np
import pytest
from numpy.typing import NDArray

from sentryml_local.demo.flights import find_data, read_flights
from sentryml_local.demo.predictions import predict_days
from sentryml_local.demo.time_scale import FlightDay

BASELINE_DAYS, CURRENT_DAYS = 28, 3


@pytest.fixture(scope="module")
def days() -> list[FlightDay]:
    return predict_days()


def exact_psi(baseline: NDArray[np.float64], current: NDArray[np.float64]) -> float:
    """PSI over exact deciles of the baseline, counts smoothed by one half, written without any of our own code."""
    edges = np.unique(np.quantile(baseline, np.arange(1, 10) / 10))
    shares = []
    for side in (baseline, current):
        counts = np.bincount(np.searchsorted(edges, side, side="right"), minlength=len(edges) + 1) + 0.5
        shares.append(counts / counts.sum())
    p, q = shares
    return float(((q - p) * np.log(q / p)).sum())


def psi_on(days: list[FlightDay], day: date) -> float:
    last = [flights.date for flights in days].index(day) + 1
    current = days[last - CURRENT_DAYS : last]
    baseline = days[last - CURRENT_DAYS - BASELINE_DAYS : last - CURRENT_DAYS]
    return exact_psi(np.concatenate([d.scores for d in baseline]), np.concatenate([d.scores for d in current]))


def test_every_day_from_april_to_the_last_is_there(days: list[FlightDay]) -> None:
    assert len(days) == 66
    assert (days[0].date, days[-1].date) == (date(2013, 4, 1), date(2013, 6, 5))
    assert all(700 < len(day.scores) < 1000 for day in days)
    assert all(len(day.scores) == len(day.times) == len(day.names) == len(day.labels) for day in days)


def test_scores_are_probabilities_and_labels_follow_them(days: list[FlightDay]) -> None:
    scores = np.concatenate([day.scores for day in days])
    labels = [label for day in days for label in day.labels]
    assert ((scores >= 0) & (scores <= 1)).all()
    assert [label == "late" for label in labels] == list(scores >= 0.5)


def test_every_flight_has_a_name_of_its_own_that_fits_an_event_id(days: list[FlightDay]) -> None:
    names = [name for day in days for name in day.names]
    assert len(set(names)) == len(names)
    assert max(map(len, names)) <= 64


def test_predictions_are_the_same_every_time(days: list[FlightDay]) -> None:
    again = predict_days()
    assert all(np.array_equal(first.scores, second.scores) for first, second in zip(days, again, strict=True))


def test_the_model_knows_late_flights_it_has_not_seen(days: list[FlightDay]) -> None:
    delays = read_flights(find_data(), {4, 5, 6}).set_index("name")["arr_delay"]
    delays = delays.loc[[name for day in days for name in day.names]].to_numpy()
    known, scores = ~np.isnan(delays), np.concatenate([day.scores for day in days])
    from sklearn.metrics import roc_auc_score  # noqa: PLC0415 - takes a second

    assert roc_auc_score(delays[known] > 15, scores[known]) > 0.88


def test_the_thunderstorms_of_may_move_the_scores_and_nothing_else_does_much(days: list[FlightDay]) -> None:
    storms = [psi_on(days, date(2013, 5, day)) for day in range(20, 26)]
    assert min(storms) > 0.2
    assert max(storms) > 0.5
    calm = [psi_on(days, date(2013, 5, day)) for day in [*range(3, 9), *range(12, 20), 26, *range(28, 32)]]
    assert max(calm) < 0.1
