"""What an evaluation was compared with, in sentences."""

from __future__ import annotations

from datetime import timedelta

import pytest

from sentryml_common.contracts.evaluation import (
    Evaluation,
    InsufficientReason,
    LeftOut,
    Level,
    NoSeason,
    Season,
    Signal,
    SignalEvaluation,
)
from sentryml_common.contracts.monitor import MonitorSettings
from sentryml_incidents.web.view.comparison_text import compared_with, what_is_seen
from tests.unit.incidents.builders import MONDAY, a_signal, an_evaluation

DAY = timedelta(days=1)


def of_score(level: Level = Level.OK, **changes: object) -> tuple[str, ...]:
    return compared_with(evaluation_of(a_signal("critical").model_copy(update={"level": level, **changes})))


def evaluation_of(*signals: SignalEvaluation) -> Evaluation:
    return an_evaluation("critical").model_copy(update={"signals": signals})


def a_season(psi: float = 0.02, periods: tuple[int, ...] = (1,), period: float = 7 * 86_400.0) -> Season:
    return Season(
        psi=psi, period_seconds=period, periods=periods, count=900, noise_floor=0.01, warn_at=0.1, critical_at=0.2
    )


def test_without_drift_and_season_there_is_nothing_to_add() -> None:
    assert compared_with(an_evaluation("ok")) == ()


def test_what_was_left_out_of_the_baseline_is_said_with_how_much_is_in_it() -> None:
    evaluation = an_evaluation("ok")
    start = MONDAY - 4 * DAY
    gap = LeftOut(start=start, end=start + timedelta(hours=26))
    baseline = evaluation.baseline.model_copy(update={"left_out": (gap,)})
    (sentence,) = compared_with(evaluation.model_copy(update={"baseline": baseline}))
    assert sentence == (
        "Left out of the baseline, since data drifted: 19 Nov 2026, 09:15:00 to 20 Nov 2026, 11:15:00 UTC. "
        "5 d 22 h of normal time are in it."
    )


@pytest.mark.parametrize(
    ("season", "text"),
    [
        (a_season(), "PSI 0.02 against the same time last week; 0.50 against the baseline: the season explains"),
        (a_season(periods=(1, 2)), "against the same time 1 and 2 weeks before;"),
        (a_season(periods=(1, 2, 4)), "against the same time 1, 2 and 4 weeks before;"),
        (a_season(period=86_400.0), "against the same time yesterday;"),
        (a_season(period=7_200.0), "against the same time 2 h before;"),
    ],
)
def test_the_seasonal_check_gives_both_numbers(season: Season, text: str) -> None:
    (sentence,) = of_score(season=season)
    assert sentence.startswith("Score: ")
    assert text in sentence


def test_it_says_which_shift_is_found_nine_times_in_ten() -> None:
    few = a_signal().model_copy(update={"current_count": 120, "baseline_count": 840})
    (sentence,) = what_is_seen(MonitorSettings(), evaluation_of(few))
    assert sentence.startswith(
        "With 120 events in the current window and 840 in the baseline, a shift of the score by PSI"
    )
    assert what_is_seen(MonitorSettings(), an_evaluation("insufficient")) == ()


@pytest.mark.parametrize("reason", [each for each in NoSeason if each is not NoSeason.NOT_YET])
def test_a_missing_season_says_why(reason: NoSeason) -> None:
    (sentence,) = of_score(no_season=reason)
    assert sentence.startswith("Score: not compared with an earlier season: ")


def test_of_a_drifting_signal_the_reasons_say_it_all() -> None:
    assert of_score(Level.CRITICAL, season=a_season(0.4)) == of_score(Level.WARN, no_season=NoSeason.NOT_YET) == ()


@pytest.mark.parametrize("reason", InsufficientReason)
def test_a_signal_that_alone_is_not_compared_says_why(reason: InsufficientReason) -> None:
    missing = a_signal().model_copy(update={"reason": reason, "level": Level.INSUFFICIENT_DATA, "psi": None})
    (sentence,) = compared_with(evaluation_of(missing, a_signal(signal=Signal.PREDICTION)))
    assert sentence.startswith("Score: not compared: ")
    assert compared_with(evaluation_of(missing)) == (), "the page has said so of the whole"
