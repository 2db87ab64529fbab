"""Why, in words: the bins that moved, named so that a person knows which ones."""

from __future__ import annotations

import pytest

from sentryml_common.contracts.evaluation import Bin, NewBin, NullBin, OtherBin, RangeBin, Signal
from sentryml_incidents.domain.why import in_words, move_of, name_of, percent, why_of
from tests.unit.incidents.builders import a_categorical_bin, a_signal, an_evaluation


def a_range(lower: float | None, upper: float | None) -> RangeBin:
    return RangeBin(lower=lower, upper=upper, baseline_share=0.04, current_share=0.19, contribution=0.2)


def test_the_three_bins_that_carry_most_come_first() -> None:
    why = why_of(an_evaluation("critical"))
    assert [part.contribution for part in why[0].top_bins] == [0.234, 0.1, 0.055]


def test_only_signals_that_drift_are_named_and_the_worst_first() -> None:
    signals = (
        a_signal("ok"),
        a_signal("warn", signal=Signal.PREDICTION),
        a_signal("critical"),
    )
    why = why_of(an_evaluation("critical").model_copy(update={"signals": signals}))
    assert [(part.signal, part.psi) for part in why] == [(Signal.SCORE, 0.5), (Signal.PREDICTION, 0.15)]


def test_where_nothing_drifts_every_signal_is_named() -> None:
    assert [part.signal for part in why_of(an_evaluation("ok"))] == [Signal.SCORE]


def test_nothing_is_said_where_there_are_no_data() -> None:
    assert why_of(an_evaluation("insufficient")) == ()
    assert in_words(()) == ()


def test_a_sentence_names_signal_psi_and_moves() -> None:
    assert in_words(why_of(an_evaluation("critical"))) == (
        "Score (PSI 0.50): scores from 0.92 up: 4.0 % → 19 %; no score: under 0.1 % → 2.0 %; "
        "scores below 0.03: 10 % → 4.0 %.",
    )


@pytest.mark.parametrize(
    ("part", "name"),
    [
        (a_range(0.92, 1.0), "scores 0.92 to 1"),
        (a_range(None, 0.031), "scores below 0.031"),
        (a_range(0.92, None), "scores from 0.92 up"),
        (a_range(0.9205322265625, None), "scores from 0.9205 up"),
        (a_range(0.99987, None), "scores from 0.99987 up"),
        (a_range(0.1005859375, 0.1206), "scores 0.101 to 0.12"),
        (a_range(None, None), "scores of any size"),
        (a_range(0.5, 0.5000000000000001), "scores of 0.5"),
        (a_range(0.9991, 0.9995), "scores 0.9991 to 0.9995"),
        (a_range(-3.5, 0.0), "scores -3.5 to 0"),
        (a_range(999_990, 1_000_000), "scores 999,990 to 1,000,000"),
        (a_range(1_500_000, None), "scores from 1,500,000 up"),
        (a_range(1e-7, 2e-7), "scores 1e-07 to 2e-07"),
        (a_categorical_bin("late", 0.1, 0.3), "scores “late”"),
        (OtherBin(baseline_share=0.1, current_share=0.3, contribution=0.1), "rare scores"),
        (NewBin(baseline_share=0.1, current_share=0.3, contribution=0.1), "scores never seen in the baseline"),
        (NullBin(baseline_share=0.1, current_share=0.3, contribution=0.1), "no score"),
    ],
)
def test_bins_have_names(part: Bin, name: str) -> None:
    assert name_of(Signal.SCORE, part) == name


@pytest.mark.parametrize(
    ("share", "text"),
    [
        (0.0, "0 %"),
        (0.0002, "under 0.1 %"),
        (0.001, "0.1 %"),
        (0.041, "4.1 %"),
        (0.0995, "10 %"),
        (0.19, "19 %"),
        (0.9996, "100 %"),
        (1.0, "100 %"),
    ],
)
def test_shares_read_as_people_write_them(share: float, text: str) -> None:
    assert percent(share) == text


def test_a_move_reads_from_before_to_after() -> None:
    assert move_of(Signal.PREDICTION, a_categorical_bin("late", 0.1, 0.32)) == "predictions “late”: 10 % → 32 %"
