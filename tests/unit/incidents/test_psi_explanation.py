"""Why, in words: the bins that moved, named so that a person knows which ones."""

from __future__ import annotations

import pytest

from sentryml_common.contracts.evaluation import Bin, NewBin, NoSeason, NullBin, Season, Signal
from sentryml_lifecycle.text.psi_explanation import explain, in_words, shift_of, why_of
from tests.unit.incidents.builders import a_categorical_bin, a_range, a_signal, an_evaluation


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


def test_a_sentence_says_how_bad_where_to_and_what_moved() -> None:
    assert in_words(why_of(an_evaluation("critical"))) == (
        "Score: PSI 0.50, critical from 0.20; scores higher than in the baseline; "
        "scores from 0.92 up: 4.0 % → 19 %; no score at all: under 0.1 % → 2.0 %; scores below 0.03: 10 % → 4.0 %.",
    )


def test_of_a_drifting_signal_the_season_gives_the_second_number() -> None:
    season = Season(
        psi=0.4, period_seconds=7 * 86_400.0, periods=(1,), count=900, noise_floor=0.01, warn_at=0.1, critical_at=0.2
    )
    found = a_signal("critical").model_copy(update={"season": season})
    (why,) = why_of(an_evaluation("critical").model_copy(update={"signals": (found,)}))
    assert why.how_serious == "score: PSI 0.50, critical from 0.20; PSI 0.40 against the same time last week"


def test_without_an_earlier_season_it_says_why_it_is_only_a_warning() -> None:
    found = a_signal("warn").model_copy(update={"no_season": NoSeason.NOT_YET})
    (why,) = why_of(an_evaluation("warn").model_copy(update={"signals": (found,)}))
    assert why.how_serious.endswith(
        "at most a warning, since there is no earlier season of this model to compare with yet"
    )


def deciles(*now: float) -> list[Bin]:
    """Ten equal bins of the baseline, and what is in them now."""
    assert sum(now) == pytest.approx(1)
    return [a_range(n / 10, (n + 1) / 10, 0.1, share) for n, share in enumerate(now)]


@pytest.mark.parametrize(
    ("now", "text"),
    [
        ([0.05] * 5 + [0.15] * 5, "scores higher than in the baseline"),
        ([0.15] * 5 + [0.05] * 5, "scores lower than in the baseline"),
        ([0.2, 0.2, 0.1, 0, 0, 0, 0, 0.1, 0.2, 0.2], "scores further apart than in the baseline"),
        ([0, 0, 0.1, 0.2, 0.2, 0.2, 0.2, 0.1, 0, 0], "scores closer together than in the baseline"),
        ([0.1] * 10, None),
    ],
)
def test_where_numbers_have_gone(now: list[float], text: str | None) -> None:
    bins = deciles(*now)
    assert shift_of(Signal.SCORE, bins) == text
    assert shift_of(Signal.SCORE, bins[::-1]) == text, "in whatever order the bins come"


def test_of_categories_no_direction_is_reported() -> None:
    assert shift_of(Signal.PREDICTION, [a_categorical_bin("late", 0.1, 0.9), a_range(None, None)]) is None


def test_nulls_and_unseen_values_are_named_even_where_others_weigh_more() -> None:
    lost = NullBin(baseline_share=0.001, current_share=0.02, contribution=0.01)
    unseen = NewBin(baseline_share=0.001, current_share=0.004, contribution=0.01)
    why = explain(Signal.SCORE, 0.5, 0.1, 0.2, [*deciles(*[0.05] * 5, *[0.15] * 5), lost, unseen])
    assert len(why.top_bins) == 3
    assert why.moves[3:] == ("no score at all: 0.1 % → 2.0 %",), "a per cent more is worth a word, less is not"
