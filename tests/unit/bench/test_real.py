"""The benchmark on real streams: it evaluates as drift does, injects what it says, and counts what a rule did."""

from __future__ import annotations

from datetime import UTC, datetime

import numpy as np
import pytest

from bench.real import injections
from bench.real.alarms import Alarms
from bench.real.counting import GRID, Counter
from bench.real.figures import goals, show_goals, show_stream
from bench.real.product import OURS, REFERENCE_DAYS, RULES, Rule, Watch, evaluation_at, reference
from bench.real.rivals import RIVALS, DailyWatch, Days, Evidently, NannyML, WhyLabs, evidently_psi
from bench.real.streams import Events, Kind
from bench.real.trials import Results
from sentryml_common.contracts.evaluation import Level
from sentryml_common.contracts.monitor import DAY, HOUR
from sentryml_statistics.histograms.pane_counts import PaneCounts, merge_panes
from sentryml_statistics.time.windows import WindowCover, cover

FIRST = datetime(2026, 3, 2, tzinfo=UTC).timestamp()
PER_DAY = 288


def some_events(days: int, seed: int = 1, *, weekend: float = 0.0) -> Events:
    """A prediction each five minutes; scores of the weekend are higher by `weekend`."""
    rng = np.random.default_rng(seed)
    times = FIRST + np.arange(days * PER_DAY) * (DAY / PER_DAY)
    at_weekend = ((times - FIRST) // DAY % 7) >= 5
    scores = np.round(rng.beta(2, 5, len(times)) + weekend * at_weekend, 6)
    return Events(times, scores, (scores > 0.5).astype(np.int64), ("low", "high"))


def pane_by_pane(events: Events, window: WindowCover) -> PaneCounts:
    """What a cover holds, each pane counted for itself and then added up, as drift does."""
    panes = []
    for each in window.ranges:
        for number in range(each.first, each.end):
            start, end = (GRID.start_of(pane, each.resolution) for pane in (number, number + 1))
            inside = np.flatnonzero((start <= events.times) & (events.times < end))
            scores = [None if np.isnan(score) else score for score in events.scores[inside].tolist()]
            labels = [events.names[label] for label in events.labels[inside].tolist()]
            if labels:
                panes.append(PaneCounts.of(labels, scores))
    return merge_panes(panes)


@pytest.mark.parametrize("at", [FIRST + 3.3 * DAY, FIRST + 9 * DAY, FIRST + 9.5 * HOUR])
def test_windows_hold_what_their_panes_hold(at: float) -> None:
    events = injections.outage(some_events(10), FIRST + 8 * DAY).events
    for length in (HOUR / 2, DAY, 7 * DAY):
        window = cover(GRID, at - length, at, at)
        assert Counter(events).of(window).counts.pack() == pane_by_pane(events, window).pack()


def test_panes_without_events_are_no_part_of_what_was_counted() -> None:
    events = some_events(2)
    gap = (events.times < FIRST + 5 * HOUR) | (events.times >= FIRST + 8 * HOUR)
    thin = Events(events.times[gap], events.scores[gap], events.labels[gap], events.names)
    counted = Counter(thin).of(cover(GRID, FIRST, FIRST + 10 * HOUR, FIRST + 30 * HOUR))
    assert ((counted.starts - FIRST) / HOUR).tolist() == [0, 1, 2, 3, 4, 8, 9]
    assert (counted.ends - counted.starts == HOUR).all()


def test_a_changed_stream_is_counted_again_only_where_it_differs() -> None:
    clean = Counter(some_events(10))
    injected = injections.shift(clean.events, FIRST + 8 * DAY, FIRST + 9 * DAY, 0.5, seed=1)
    changed = Counter(injected.events, clean, (injected.start, injected.end))
    before, after = (
        cover(GRID, FIRST, FIRST + 8 * DAY, FIRST + 10 * DAY),
        cover(GRID, FIRST + 7 * DAY, FIRST + 9 * DAY, FIRST + 10 * DAY),
    )
    assert changed.of(before) is clean.of(before)
    assert changed.of(after).counts.pack() == pane_by_pane(injected.events, after).pack()


def test_a_shift_replaces_its_share_of_its_time_by_events_of_the_top_tenth() -> None:
    events = some_events(20)
    injected = injections.shift(events, FIRST + 5 * DAY, FIRST + 15 * DAY, 0.2, seed=3)
    different = injected.events.scores != events.scores
    inside = (events.times >= injected.start) & (events.times < injected.end)
    assert not different[~inside].any()
    assert 0.17 < different[inside].mean() < 0.23
    assert injected.events.scores[different].min() >= np.quantile(events.scores, 0.9)
    assert (injected.events.labels == (injected.events.scores > 0.5)).all()
    again = injections.shift(events, FIRST + 5 * DAY, FIRST + 15 * DAY, 0.2, seed=3)
    assert (again.events.scores == injected.events.scores).all()


def test_the_top_tenth_is_a_tenth_where_many_scores_are_equal() -> None:
    events = some_events(20)
    count = len(events.times)
    scores = np.repeat([1.0, 2.0, 3.0], [count // 2, count - count // 2 - count // 20, count // 20])
    tied = Events(events.times, scores, events.labels, events.names)
    injected = injections.shift(tied, FIRST, FIRST + 10 * DAY, 1.0, seed=3).events.scores[: count // 2]
    assert 0.45 < (injected == 3.0).mean() < 0.55
    assert 0.45 < (injected == 2.0).mean() < 0.55


def test_a_step_lasts_and_a_ramp_grows() -> None:
    events = some_events(50)
    stepped = injections.step(events, FIRST + 10 * DAY, seed=1).events.scores != events.scores
    assert not stepped[: 10 * PER_DAY].any()
    assert 0.3 < stepped[10 * PER_DAY :].mean() < 0.37
    ramp = injections.ramp(events, FIRST + 10 * DAY, seed=1).events.scores != events.scores
    first, last = (ramp[day * PER_DAY : (day + 10) * PER_DAY].mean() for day in (10, 30))
    assert 0.02 < first < 0.06
    assert 0.16 < last < 0.21
    assert not ramp[40 * PER_DAY :].any()


def test_the_size_of_the_steps_is_what_is_said() -> None:
    events = some_events(60)
    counter = Counter(events)
    monitor = OURS.monitor()
    for share, psi in ((0.2, 0.22), (1 / 3, 0.53), (0.5, 1.1), (injections.RAMP_SHARE, 0.28)):
        injected = injections.shift(events, FIRST + 52 * DAY, FIRST + 60 * DAY, share, seed=2)
        evaluation = evaluation_at(
            Counter(injected.events, counter, (injected.start, injected.end)),
            monitor.model_copy(update={"current_seconds": 8.0 * DAY, "baseline_seconds": 40.0 * DAY}),
            FIRST + 60 * DAY,
            FIRST,
        )
        assert evaluation.signals[0].psi == pytest.approx(psi, rel=0.15)


def test_an_outage_is_four_hours_of_nulls() -> None:
    events = some_events(3)
    injected = injections.outage(events, FIRST + DAY)
    null = np.isnan(injected.events.scores)
    assert null.sum() == PER_DAY * 4 / 24
    assert events.times[null].min() == FIRST + DAY + 12 * HOUR
    assert injected.end == FIRST + DAY + 16 * HOUR


def test_a_weekend_is_compared_with_the_one_before() -> None:
    counter, saturday = Counter(some_events(14, weekend=0.3)), FIRST + 13 * DAY
    by_season = [evaluation_at(counter, rule.monitor(), saturday, FIRST) for rule in (RULES[0], RULES[2])]
    assert [evaluation.level for evaluation in by_season] == [Level.OK, Level.CRITICAL]
    assert by_season[0].signals[0].season is not None


def watched(rule: Rule, events: Events, days: float) -> Watch:
    watch = Watch(rule, Counter(events))
    for _ in watch.run(FIRST, FIRST + days * DAY):
        pass
    return watch


def test_a_watch_goes_on_from_the_state_of_a_day_as_if_it_had_never_stopped() -> None:
    events = injections.step(some_events(20), FIRST + 10 * DAY, seed=1).events
    whole = watched(OURS, events, 14)
    rest = Watch(OURS, Counter(events), references=whole.references)
    for _ in rest.run(FIRST + 11 * DAY, FIRST + 14 * DAY, whole.snapshots[FIRST + 11 * DAY]):
        pass
    assert rest.alarms.live
    assert rest.snapshots[FIRST + 14 * DAY] == whole.snapshots[FIRST + 14 * DAY]


def test_only_a_baseline_of_all_time_takes_in_a_step() -> None:
    events = injections.step(some_events(30), FIRST + 12 * DAY, seed=1).events
    by_rule = {rule.name: watched(rule, events, 26).alarms for rule in RULES[2:4]}
    held, rolling = by_rule["ours without the season"], by_rule["rolling baseline of all time"]
    assert len(held.opened) == len(rolling.opened) == 1
    assert (held.over, len(rolling.over)) == ([], 1)


def test_a_fixed_reference_is_the_first_four_weeks_and_nothing_before_they_are_over() -> None:
    counter = Counter(some_events(32))
    monitor = RULES[-1].monitor()
    early, later = (
        evaluation_at(counter, monitor, FIRST + days * DAY, FIRST, reference) for days in (REFERENCE_DAYS, 30)
    )
    assert (early.level, later.level) == (Level.INSUFFICIENT_DATA, Level.OK)
    assert later.signals[0].baseline_count == REFERENCE_DAYS * PER_DAY


def test_rivals_find_a_day_that_is_another_and_keep_quiet_otherwise() -> None:
    events = some_events(60)
    day = FIRST + 40 * DAY
    injected = injections.shift(events, day, day + DAY, 0.5, seed=1).events
    for rival in RIVALS:
        found = DailyWatch(rival, Days(injected)).run(day, day + 2 * DAY)
        assert found.opened == [day + DAY], rival.name
    assert [rival.from_day for rival in RIVALS] == [14, 28, 7]


def test_rivals_look_once_a_day_from_when_they_can() -> None:
    days = Days(some_events(30))
    for rival in (WhyLabs(), NannyML(), Evidently()):
        alarms = DailyWatch(rival, days).run(FIRST, FIRST + 30 * DAY)
        assert alarms.evaluated == [FIRST + (day + 1) * DAY for day in range(rival.from_day, 30)]


def test_evidently_bins_over_both_and_few_values_by_value() -> None:
    few = np.repeat([1.0, 2.0], [50, 50]), np.repeat([1.0, 2.0, 3.0], [50, 49, 1])
    expected = sum((p - q) * np.log(p / q) for p, q in ((0.5, 0.5), (0.5, 0.49), (1e-4, 0.01)))
    assert evidently_psi(*few) == pytest.approx(expected)
    rng = np.random.default_rng(1)
    same = rng.normal(size=6000), rng.normal(size=900)
    assert evidently_psi(*same) < 0.1 < evidently_psi(same[0], same[1] + 1)


def test_alarms_know_what_is_live() -> None:
    alarms = Alarms(live=True, opened=[30.0], reopened=[50.0], over=[10.0, 40.0])
    assert [alarms.live_at(at) for at in (5, 10, 30, 39, 40, 50, 60)] == [True, False, True, True, False, True, True]
    assert (alarms.first_begun(30, 60), alarms.first_begun(29, 60), alarms.first_begun(50, 60)) == (50, 30, None)


def some_results(opened: int, found: list[bool]) -> Results:
    return Results(
        months=11.0,
        opened=opened,
        found={(share, days): found for share in (0.2, 0.5) for days in (1, 3)},
        steps_found=[True],
        steps_resolved_early=[opened > 1],
        ramp_days=[20.0, 22.5 if opened < 2 else None],
        healthy_after_hours=[20.0, 24.0 if opened < 2 else 30.0],
        echoes=[0, 1],
    )


def test_goals_are_met_at_their_limit_and_not_beyond() -> None:
    good, bad = some_results(1, [True] * 19 + [False]), some_results(30, [True] * 18 + [False] * 2)
    assert [met for *_, met in goals(Kind.WEEKLY, good)] == [True] * 5
    assert [met for *_, met in goals(Kind.WEEKLY, bad)] == [False] * 5
    assert [met for *_, met in goals(Kind.WEATHER, bad)] == [False, True, False, False, False]


def test_nothing_tried_meets_no_goal_of_finding() -> None:
    results = Results(months=11.0, opened=0, found={(share, days): [] for share in (0.2, 0.5) for days in (1, 3)})
    met = {goal: met for goal, _, met in goals(Kind.STABLE, results)}
    assert not met["20% found within a day ≥ 95%"]
    assert not met["ramp found by day 23"]


def test_tables_say_what_was_tried(capsys: pytest.CaptureFixture[str]) -> None:
    results = some_results(11, [True, True, True, False])
    show_stream("distance", Kind.STABLE, {"ours": results, "rival": Results(11.0, 0)})
    show_goals([("distance", Kind.STABLE, results)])
    shown = capsys.readouterr().out
    assert (
        "| ours | 1.00 | 75% (4) / 75% (4) | 75% (4) / 75% (4) | 100% (1) | 100% (1) | 20, never | 25.0 (at most 30.0)"
        in shown
    )
    assert "| rival | 0.00 | – / – | – / – | – | – | – | – | – |" in shown
    assert "| incidents a month ≤ 0.1 | distance | 1.00 | not met |" in shown
