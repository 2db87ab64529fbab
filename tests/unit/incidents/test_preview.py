"""The preview against hand-made histories: what a changed monitor would have done."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sentryml_common.contracts.evaluation import Evaluation, InsufficientReason, Level, Season, Signal
from sentryml_common.contracts.internal.recomputation import RecomputedEvaluation
from sentryml_common.contracts.monitor import MonitorSettings
from sentryml_lifecycle.grades import grade_of
from sentryml_lifecycle.preview import Replay
from sentryml_lifecycle.regrading import Basis, Regrading
from tests.unit.incidents.builders import MODEL, Story, a_signal, an_evaluation, at, quick

GRADES = ("ok", "hold", "warn", "critical", "insufficient")


def history(*grades: str) -> list[Evaluation]:
    return [an_evaluation(grade, at(minute)) for minute, grade in enumerate(grades, 1)]


def replayed(evaluations: list[Evaluation], made_under: MonitorSettings | None = None, **changes: Any) -> Replay:
    made_under = made_under or quick()
    replay = Replay(MODEL, MonitorSettings.model_validate(made_under.model_dump() | changes))
    replay.take(evaluations, {1: made_under})
    return replay


@given(st.lists(st.sampled_from(GRADES), max_size=40))
def test_unchanged_settings_do_what_was_done(grades: list[str]) -> None:
    story = Story()
    for grade in grades:
        story.sees(grade)
    steps = [step for decision in story.decisions for step in decision.transitions]
    replay = replayed(history(*grades))
    assert [found.opened_at for found in replay.incidents] == [step.at for step in steps if step.kind == "opened"]
    assert replay.alerts == sum(step.alert for step in steps) == sum(found.alerts for found in replay.incidents)
    assert set(replay.used) <= {Basis.EXACT}
    assert replay.approximate == set()


def test_an_incident_is_reported_from_its_opening_to_its_end() -> None:
    (found,) = replayed(history("ok", "warn", "critical", "warn", "ok", "warn", "ok")).incidents
    assert (found.opened_at, found.severity, found.resolved_at) == (at(2), "critical", at(7))
    assert (found.peak_psi, found.peak_at, found.reopened, found.alerts) == (0.5, at(3), 1, 5)


def test_that_it_got_worse_is_among_its_alerts() -> None:
    seen = [an_evaluation("critical", at(minute), psi=psi) for minute, psi in enumerate((0.3, 0.5, 0.6, 1.3), 1)]
    replay = replayed(seen)
    assert (replay.alerts, replay.incidents[0].alerts) == (3, 3)


def test_higher_thresholds_open_less_and_lower_ones_more() -> None:
    seen = history("ok", "warn", "ok", "critical", "ok")
    assert replayed(seen).alerts == 4
    (only,) = replayed(seen, warn=0.3, critical=0.4).incidents
    assert (only.opened_at, only.alerts) == (at(4), 2)
    assert replayed(seen, warn=0.6, critical=0.7).incidents == ()
    assert replayed(seen, warn=0.01, critical=0.6).incidents[0].opened_at == at(1)


def test_no_threshold_goes_below_the_noise() -> None:
    noisy = a_signal("ok", psi=0.005)
    evaluation = an_evaluation("ok").model_copy(update={"signals": (noisy,)})
    graded, basis = Regrading(quick(), quick(warn=0.001, critical=0.002)).of(evaluation)
    assert (graded.level, graded.signals[0].warn_at, basis) == ("ok", noisy.noise_floor, Basis.EXACT)


def test_a_disabled_monitor_would_have_done_nothing() -> None:
    replay = replayed(history("critical"), enabled=False)
    assert (replay.incidents, replay.used.total()) == ((), 0)


@pytest.mark.parametrize(
    ("changes", "named"),
    [
        ({"warn": 0.15, "confirm_warn": 3, "min_samples": 100}, set()),
        ({"baseline_seconds": 30 * 86_400.0}, {"baseline_seconds"}),
        ({"bins": 20, "false_incidents_per_model_month": 1.0}, {"bins", "false_incidents_per_model_month"}),
        ({"signals": ("score",)}, {"signals"}),
        ({"signals": ("prediction", "score")}, set()),
    ],
)
def test_what_stored_psi_cannot_answer_is_named(changes: dict[str, Any], named: set[str]) -> None:
    replay = replayed(history("ok", "critical"), **changes)
    assert replay.approximate == named
    assert replay.used == {(Basis.APPROXIMATE if named else Basis.EXACT): 2}


def test_only_the_part_that_was_made_under_other_settings_is_approximate() -> None:
    old, new = quick(bins=20), quick()
    replay = Replay(MODEL, new)
    evaluations = [an_evaluation("ok", at(1), version=1), an_evaluation("ok", at(2), version=2)]
    replay.take(evaluations, {1: old, 2: new})
    assert replay.used == {Basis.EXACT: 1, Basis.APPROXIMATE: 1}


def test_a_longer_interval_leaves_evaluations_out() -> None:
    replay = replayed(history(*["ok"] * 12), quick(every_seconds=60), every_seconds=300)
    assert replay.used == {Basis.APPROXIMATE: 3}
    assert replay.approximate == {"every_seconds"}


@pytest.mark.parametrize(
    ("changes", "level", "basis"),
    [
        ({"min_samples": 3_000}, "insufficient_data", Basis.EXACT),
        ({"min_samples": 2_786}, "critical", Basis.EXACT),
        ({"signals": ("prediction",)}, "insufficient_data", Basis.UNKNOWN),
    ],
)
def test_stricter_demands_on_data_are_exact(changes: dict[str, Any], level: str, basis: Basis) -> None:
    graded, found = Regrading(quick(), quick(**changes)).of(an_evaluation("critical"))
    assert (graded.level, found) == (level, basis)


def blind(reason: InsufficientReason, coverage: float = 0.3) -> Evaluation:
    """An evaluation that had 40 events, in both windows, and little baseline."""
    nothing = {"psi": None, "noise_floor": None, "baseline_count": 40, "current_count": 40}
    evaluation = an_evaluation("insufficient")
    return evaluation.model_copy(
        update={
            "reason": reason,
            "baseline": evaluation.baseline.model_copy(update={"coverage": coverage}),
            "signals": (a_signal().model_copy(update=nothing),),
        }
    )


@pytest.mark.parametrize(
    ("reason", "changes", "basis"),
    [
        (InsufficientReason.TOO_FEW_SAMPLES, {}, Basis.EXACT),
        (InsufficientReason.TOO_FEW_SAMPLES, {"min_samples": 40}, Basis.UNKNOWN),
        (InsufficientReason.WARMING_UP, {}, Basis.EXACT),
        (InsufficientReason.WARMING_UP, {"min_baseline_coverage": 0.2}, Basis.UNKNOWN),
        (InsufficientReason.WARMING_UP, {"baseline_seconds": 86_400.0}, Basis.APPROXIMATE),
        (InsufficientReason.NO_DATA, {"min_samples": 10}, Basis.EXACT),
    ],
)
def test_what_was_never_computed_is_unknown(reason: InsufficientReason, changes: dict[str, Any], basis: Basis) -> None:
    evaluation = blind(reason)
    assert Regrading(quick(), quick(**changes)).of(evaluation) == (evaluation, basis)


@given(st.sampled_from(GRADES[:4]), st.sampled_from(list(Signal)))
def test_regrading_under_settings_that_grade_alike_changes_no_grade(grade: str, signal: Signal) -> None:
    evaluation = an_evaluation(grade).model_copy(update={"signals": (a_signal(grade, signal=signal),)})
    graded, basis = Regrading(quick(), quick(resolve_after_seconds=1)).of(evaluation)
    assert (graded.level, grade_of(graded, quick()), basis) == (evaluation.level, grade, Basis.EXACT)


def from_panes(first_minute: int, *grades: str, exact: bool = True) -> list[RecomputedEvaluation]:
    """Evaluations a minute apart, as they were recomputed."""
    return [
        RecomputedEvaluation(exact=exact, evaluation=an_evaluation(grade, at(minute)))
        for minute, grade in enumerate(grades, first_minute)
    ]


def replayed_with(recomputed: list[RecomputedEvaluation], stored: list[Evaluation], **changes: Any) -> Replay:
    replay = Replay(MODEL, quick(**changes), recomputed)
    for first in range(0, len(stored), 2):  # page by page
        replay.take(stored[first : first + 2], {1: quick()})
    replay.finish()
    return replay


def test_from_some_time_on_what_was_recomputed_is_taken_instead() -> None:
    stored = history("critical", "ok", "ok", "ok", "critical")
    replay = replayed_with(from_panes(3, "ok", "warn", "ok", "critical", exact=False), stored, warn=0.15)
    assert [(found.opened_at, found.severity) for found in replay.incidents] == [(at(1), "critical")]
    (found,) = replay.incidents
    assert (found.reopened, found.peak_at, found.state) == (2, at(1), "open"), "drift at minutes 4 and 6, not at 5"
    assert (replay.began, replay.recomputed_from) == (at(1), at(3))
    assert replay.used == {Basis.EXACT: 2, Basis.APPROXIMATE: 4}
    assert replay.recomputed == {Basis.APPROXIMATE: 4}


def test_stored_psi_is_approximate_where_the_baseline_would_have_been_held_otherwise() -> None:
    """Drift of two days, found by the monitor in force alone: its baseline was held, the other one's would not be."""
    drift = [an_evaluation("warn", at(60 * hour)) for hour in range(1, 49)]
    held = drift[0].baseline
    stored = [each.model_copy(update={"baseline": held}) for each in drift]
    deaf = replayed(stored, warn=0.3, critical=0.6)
    assert deaf.incidents == ()
    assert 0 < deaf.other_baselines == deaf.used[Basis.APPROXIMATE] < len(stored)
    same = replayed(stored, critical=0.6)
    assert len(same.incidents) == 1
    assert (same.other_baselines, same.used) == (0, {Basis.EXACT: len(stored)})


def test_without_a_season_the_level_is_that_against_the_baseline() -> None:
    season = Season(
        psi=0.01, period_seconds=604_800, periods=(1,), count=900, noise_floor=0.01, warn_at=0.1, critical_at=0.2
    )
    quiet = a_signal("critical").model_copy(update={"level": Level.OK, "season": season})
    evaluation = an_evaluation("ok").model_copy(update={"signals": (quiet,)})
    graded, basis = Regrading(quick(), quick(season_seconds=None)).of(evaluation)
    assert (graded.level, graded.signals[0].season, basis) == ("critical", None, Basis.EXACT)
    assert Regrading(quick(season_seconds=None), quick()).of(evaluation)[1] is Basis.APPROXIMATE


def test_recomputed_times_are_those_of_the_changed_monitor() -> None:
    replay = replayed_with(from_panes(1, *["ok"] * 12)[::2], history(*["critical"] * 12), every_seconds=120, bins=20)
    assert (replay.used, replay.incidents) == ({Basis.EXACT: 6}, ())


def test_what_was_recomputed_is_nothing_to_a_disabled_monitor() -> None:
    replay = replayed_with(from_panes(1, "critical"), history("critical"), enabled=False)
    assert (replay.incidents, replay.used.total(), replay.recomputed_from) == ((), 0, None)
