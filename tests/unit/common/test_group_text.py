"""What incidents that alerted together are, and what they have in common, in words."""

from __future__ import annotations

import pytest

from sentryml_common.contracts.evaluation import CategoryBin, NullBin, Signal
from sentryml_common.contracts.transition import Cause, SignalWhy
from sentryml_common.group_text import GroupedAlert, in_common, what_they_are
from sentryml_lifecycle.text.psi_explanation import explain


@pytest.mark.parametrize(
    ("counts", "text"),
    [
        ((20, 0), "20 models drift"),
        ((1, 0), "1 model drifts"),
        ((0, 20), "20 models are silent"),
        ((0, 1), "1 model is silent"),
        ((19, 1), "20 models: 19 drift, 1 is silent"),
        ((1, 19), "20 models: 1 drifts, 19 are silent"),
        ((17, 1, 2), "20 models: 17 drift, 1 is silent, 2 are over"),
        ((0, 0, 3), "3 models are over"),
        ((9_999, 1), "10,000 models: 9,999 drift, 1 is silent"),
    ],
)
def test_models_are_counted_by_what_they_do(counts: tuple[int, ...], text: str) -> None:
    assert what_they_are(*counts) == text


def test_those_that_joined_later_are_more() -> None:
    assert what_they_are(2, 1, more=True) == "3 more models: 2 drift, 1 is silent"
    assert what_they_are(1, 0, more=True) == "1 more model drifts"


def nulls(model_id: str) -> GroupedAlert:
    missing = NullBin(baseline_share=0.0, current_share=0.6, contribution=0.5)
    return GroupedAlert(model_id, Cause.PSI_ABOVE_CRITICAL, (explain(Signal.SCORE, 0.5, 0.1, 0.2, (missing,)),))


def silent(model_id: str) -> GroupedAlert:
    return GroupedAlert(model_id, Cause.NO_PREDICTIONS)


def more(model_id: str, category: str) -> SignalWhy:
    grown = CategoryBin(value=category, baseline_share=0.1, current_share=0.6, contribution=0.5)
    return explain(Signal.PREDICTION, 0.5, 0.1, 0.2, (grown,))


def test_what_the_others_share_is_said_though_one_is_silent() -> None:
    alerts = [*(nulls(f"eu-{number}") for number in range(3)), silent("eu-x")]
    assert in_common(alerts) == ["more nulls in the score: 3 of 4", "models named eu-…: all 4"]


def test_that_they_are_silent_is_not_said_twice() -> None:
    assert in_common([silent("a"), silent("b")]) == []
    assert in_common([]) == []


def test_what_senders_wrote_is_shown_in_one_visible_line() -> None:
    written = "late\u202e\n" + "x" * 200
    alerts = [GroupedAlert(each, Cause.PSI_ABOVE_WARN, (more(each, written),)) for each in ("a", "b")]
    (line,) = in_common(alerts)
    assert line.startswith("more “late[U+202E] xxx")
    assert line.endswith("…” in the prediction: both")
