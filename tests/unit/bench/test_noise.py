"""The noise benchmark: its fast paths are the domain's own answers, and its figures are what they say."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from datetime import datetime, timedelta

import numpy as np
import pytest

from bench.noise.evaluation import Figures, evaluate_many
from bench.noise.incidents import Rule, Step, Watch
from bench.noise.report import Row, delay, rate, show_tallies
from bench.noise.run import work
from bench.noise.simulation import (
    FOLLOWED_DAYS,
    GRID,
    ORIGIN,
    Case,
    Tally,
    rounds,
    simulate,
    slot_at,
    warm_up_slots,
)
from bench.noise.traffic import (
    CATEGORIES,
    CATEGORY_SHARES,
    CELLS,
    SCORE_CELLS,
    SCORES,
    SLOT_SECONDS,
    SLOTS_PER_DAY,
    Traffic,
)
from sentryml_common.contracts.evaluation import Evaluation, InsufficientReason, Level, Signal, SignalEvaluation, Window
from sentryml_common.contracts.monitor import DAY, HOUR, Monitor, MonitorSettings
from sentryml_common.contracts.transition import TransitionKind
from sentryml_lifecycle.snapshot import Snapshot
from sentryml_lifecycle.state_machine import Evaluated, decide
from sentryml_statistics.comparison.bins import bin_counts
from sentryml_statistics.comparison.design_effect import design_effect
from sentryml_statistics.comparison.evaluation import Baseline, WindowCounts, evaluate, evaluation_id
from sentryml_statistics.comparison.psi import divergence
from sentryml_statistics.histograms.histogram import Histogram
from sentryml_statistics.histograms.pane_counts import EMPTY_PANE, PaneCounts, merge_panes
from sentryml_statistics.time.panes import FINE_PER_COARSE, Resolution
from sentryml_statistics.time.windows import WindowPlan, windows_at

SCORE_OF_CELL = (np.arange(SCORE_CELLS) + 0.5) / SCORE_CELLS
NAMES = "abcde"
FINE_PER_SLOT = SLOT_SECONDS // 60


class Panes:
    """The same traffic as the domain keeps it: histograms in fine and coarse panes."""

    def __init__(self, case: Case, begins: np.ndarray, last: int) -> None:
        random = np.random.default_rng(case.seed)
        self.fine: list[list[PaneCounts]] = [[] for _ in range(case.models)]
        for slot in range(last):
            for model, counts in enumerate(case.traffic.draw(random, slot, begins <= slot)):
                self.fine[model].append(pane_of(counts))
        self.coarse = [
            [merge_panes(slots[first : first + 12]) for first in range(0, len(slots), 12)] for slots in self.fine
        ]

    def window(self, model: int, plan: WindowPlan) -> WindowCounts:
        return WindowCounts(plan, merge_panes(self._panes(model, plan)), 1.0)

    def baseline(self, model: int, plan: WindowPlan) -> Baseline:
        return Baseline(plan, merge_panes(self._panes(model, plan)), 1.0)

    def _panes(self, model: int, plan: WindowPlan) -> Iterator[PaneCounts]:
        origin = GRID.pane_of(ORIGIN.timestamp(), Resolution.COARSE)
        for panes in plan.cover.ranges:
            if panes.resolution is Resolution.COARSE:
                yield from self.coarse[model][panes.first - origin : panes.end - origin]
                continue
            # A slot's events all lie in its first fine pane.
            first, end = (pane - origin * FINE_PER_COARSE for pane in (panes.first, panes.end))
            assert first % FINE_PER_SLOT == end % FINE_PER_SLOT == 0
            yield from self.fine[model][first // FINE_PER_SLOT : end // FINE_PER_SLOT]


def pane_of(counts: np.ndarray) -> PaneCounts:
    if not counts.any():
        return EMPTY_PANE
    categories = {name: int(count) for name, count in zip(NAMES, counts[CATEGORIES], strict=True) if count}
    return PaneCounts(
        Histogram.of(np.repeat(SCORE_OF_CELL, counts[SCORES])),
        Histogram.of(categories=categories),
    )


@pytest.mark.parametrize(
    ("window", "events_per_hour", "step_psi"), [(DAY, 3, 0.0), (DAY, 120, 1.0), (HOUR, 60, 0.0), (HOUR, 300, 0.34)]
)
def test_figures_are_those_of_the_domain(window: int, events_per_hour: int, step_psi: float) -> None:
    monitor = Monitor(model_id="model", version=1, current_seconds=window)
    case = Case(Traffic(events_per_hour, step_psi), monitor, 2, (11,))
    warm_up = warm_up_slots(monitor)
    begins, last = np.array([warm_up, warm_up + 20]), warm_up + 40
    panes = Panes(case, begins, last)
    compared = 0
    for figures in rounds(case, begins, last):
        baseline, current = windows_at(GRID, monitor, figures.at.timestamp())
        for model in range(case.models):
            found = evaluate(
                "model", monitor, figures.at, panes.baseline(model, baseline), panes.window(model, current)
            )
            assert bool(figures.enough[model]) == (found.level is not Level.INSUFFICIENT_DATA)
            for signal, psi, floor in zip(found.signals, figures.psi[model], figures.floor[model], strict=True):
                assert signal.baseline_count == figures.baseline_count[model]
                assert signal.current_count == figures.current_count[model]
                if signal.psi is not None:
                    assert psi == pytest.approx(signal.psi, rel=1e-9)
                    assert floor == pytest.approx(signal.noise_floor, rel=1e-9)
                    compared += 1
            if figures.enough[model]:
                assert evaluation_of(figures, model, monitor, Rule.NOISE_FLOOR).level is found.level
    assert compared > 80


@pytest.mark.parametrize("baseline_events", [60, 150, 400])
def test_figures_are_those_of_the_domain_where_the_baseline_has_gaps(baseline_events: int) -> None:
    # Most cells are empty, quantiles fall on gaps, and categories go missing on either side.
    random = np.random.default_rng(baseline_events)
    monitor = Monitor(model_id="model", version=1)
    baseline, current = (draw(random, 60, events) for events in (baseline_events, 70))
    rare = (baseline[:, CATEGORIES] < baseline_events / 20).sum(axis=1)
    usable = (baseline[:, SCORES].max(axis=1) < baseline_events / 10) & (rare < 2)
    baseline, current = baseline[usable], current[usable]
    assert len(baseline) > 5
    figures = evaluate_many(ORIGIN, monitor, baseline, current)
    plan = windows_at(GRID, monitor, ORIGIN.timestamp())[0]
    for model in range(len(baseline)):
        was, now = pane_of(baseline[model]), pane_of(current[model])
        found = evaluate("model", monitor, ORIGIN, Baseline(plan, was, 1.0), WindowCounts(plan, now, 1.0))
        assert figures.psi[model] == pytest.approx([signal.psi for signal in found.signals], rel=1e-9)
        assert figures.floor[model] == pytest.approx([signal.noise_floor for signal in found.signals], rel=1e-9)


@pytest.mark.parametrize(("cells", "count"), [([7], 1000), ([SCORE_CELLS, SCORE_CELLS + 1], 0)])
def test_atoms_and_several_rare_categories_are_refused(cells: list[int], count: int) -> None:
    counts = np.full((1, CELLS), 10)
    counts[0, cells] = count
    with pytest.raises(ValueError, match="simulate more events"):
        evaluate_many(ORIGIN, MonitorSettings(), counts, counts)


def draw(random: np.random.Generator, models: int, events: int) -> np.ndarray:
    scores = random.multinomial(events, np.full(SCORE_CELLS, 1 / SCORE_CELLS), models)
    return np.hstack((scores, random.multinomial(events, CATEGORY_SHARES, models)))


def test_two_hundred_scores_show_the_noise_of_continuous_ones() -> None:
    # The simulation's only approximation. 1,000 pairs of samples each, without drift.
    random = np.random.default_rng(12)

    def noise(scores: np.ndarray) -> float:
        bins = bin_counts(Histogram.of(scores[:1680]), Histogram.of(scores[1680:]), 10)
        return divergence([each.baseline for each in bins], [each.current for each in bins]).psi

    continuous = np.array([noise(random.random(1920)) for _ in range(1000)])
    discrete = np.array([noise(SCORE_OF_CELL[random.integers(0, SCORE_CELLS, 1920)]) for _ in range(1000)])
    assert discrete.mean() == pytest.approx(continuous.mean(), rel=0.05)
    assert np.quantile(discrete, 0.98) == pytest.approx(np.quantile(continuous, 0.98), rel=0.1)


def test_a_step_has_the_psi_it_is_named_for() -> None:
    random = np.random.default_rng(13)
    for psi in (0.15, 0.34, 1.0):
        before = Traffic(1e7).draw(random, 0, np.array([False]))
        after = Traffic(1e7, psi).draw(random, 0, np.array([True]))
        assert evaluate_many(ORIGIN, MonitorSettings(), before, after).psi[0, 0] == pytest.approx(psi, rel=0.03)


@pytest.mark.parametrize("rule", Rule)
def test_the_incidents_are_those_that_the_state_machine_decides(rule: Rule) -> None:
    monitor = MonitorSettings(current_seconds=HOUR)
    noisy = list(restless(models=20, count=400))
    watch = Watch(monitor, rule, 20)
    for figures in noisy:
        watch.take(figures, np.ones(20, dtype=np.bool_))
    expected = [step for model in range(20) for step in decided(noisy, model, monitor, rule)]
    assert sorted(watch.steps, key=repr) == sorted(expected, key=repr)
    kinds = Counter(step.kind for step in expected)
    assert min(kinds[TransitionKind.OPENED], kinds[TransitionKind.REOPENED], kinds[TransitionKind.RESOLVED]) > 10


def restless(models: int, count: int) -> Iterator[Figures]:
    """Evaluations that wander about the thresholds, now and then with too little data."""
    random = np.random.default_rng(14)
    walk = np.full((models, 2), np.log(0.05))
    for number in range(count):
        walk += random.normal(0, 0.3, walk.shape) + 0.05 * (np.log(0.05) - walk)
        yield Figures(
            at=ORIGIN + timedelta(seconds=number * SLOT_SECONDS),
            baseline_count=np.full(models, 5000),
            current_count=np.full(models, 100),
            enough=random.random(models) > 0.1,
            psi=np.exp(walk),
            floor=random.uniform(0.02, 0.15, walk.shape),
        )


def decided(noisy: list[Figures], model: int, monitor: MonitorSettings, rule: Rule) -> Iterator[Step]:
    """One model's steps by the incidents service's own state machine."""
    snapshot = Snapshot(f"model-{model}", 1, monitor)
    for figures in noisy:
        found = evaluation_of(figures, model, monitor, rule, snapshot.normal_time.revision)
        decision = decide(snapshot, Evaluated(found), figures.at)
        snapshot = decision.snapshot
        for step in decision.transitions:
            if step.kind in (TransitionKind.OPENED, TransitionKind.REOPENED, TransitionKind.RESOLVED):
                yield Step(model, step.kind, step.at)


def evaluation_of(figures: Figures, model: int, monitor: MonitorSettings, rule: Rule, revision: int = 0) -> Evaluation:
    """One model's evaluation as the drift service would publish it, without its bins."""
    signals = tuple(signals_of(figures, model, monitor, rule)) if figures.enough[model] else ()
    levels = {found.level for found in signals}
    border = figures.at - timedelta(seconds=monitor.current_seconds)
    return Evaluation(
        evaluation_id=evaluation_id(f"model-{model}", 1, revision, figures.at),
        model_id=f"model-{model}",
        monitor_version=1,
        normal_time_revision=revision,
        evaluated_at=figures.at,
        level=next(
            (each for each in (Level.CRITICAL, Level.WARN, Level.OK) if each in levels), Level.INSUFFICIENT_DATA
        ),
        reason=None if signals else InsufficientReason.TOO_FEW_SAMPLES,
        baseline=Window(start=border - timedelta(seconds=monitor.baseline_seconds), end=border, coverage=1.0),
        current=Window(start=border, end=figures.at, coverage=1.0),
        signals=signals,
    )


def signals_of(figures: Figures, model: int, monitor: MonitorSettings, rule: Rule) -> Iterator[SignalEvaluation]:
    for signal, psi, floor in zip(Signal, figures.psi[model].tolist(), figures.floor[model].tolist(), strict=True):
        floored = rule is Rule.NOISE_FLOOR
        warn_at, critical_at = (max(at, floor) if floored else at for at in (monitor.warn, monitor.critical))
        yield SignalEvaluation(
            signal=signal,
            level=Level.CRITICAL if psi >= critical_at else Level.WARN if psi >= warn_at else Level.OK,
            psi=psi,
            baseline_count=int(figures.baseline_count[model]),
            current_count=int(figures.current_count[model]),
            noise_floor=floor,
            warn_at=warn_at,
            critical_at=critical_at,
            p_value=None,
            overlap=None,
            bins=(),
        )


def test_small_samples_alarm_often_by_bare_thresholds_and_hardly_by_ours() -> None:
    tally = simulate(Case(Traffic(60), MonitorSettings(current_seconds=HOUR), 50, (15,)), days=3)
    assert tally.model_months == pytest.approx(5)
    assert tally.opened[Rule.BARE] > 100
    assert tally.opened[Rule.NOISE_FLOOR] <= 2


def test_a_step_is_found_and_its_delay_counted_from_it() -> None:
    tally = simulate(Case(Traffic(1000, 0.34), MonitorSettings(current_seconds=HOUR), 24, (16,)))
    assert len(tally.delays) == 24
    assert 0.3 < np.median(tally.delays) < 1
    assert max(tally.delays) < 2


def test_a_step_below_the_threshold_is_not_found() -> None:
    tally = simulate(Case(Traffic(1000, 0.05), MonitorSettings(), 12, (17,)))
    assert tally.delays == [np.inf] * 12


def test_equal_seeds_give_equal_figures() -> None:
    monitor = MonitorSettings(current_seconds=HOUR)
    first, again, other = (simulate(Case(Traffic(60), monitor, 10, (seed,)), days=1) for seed in (1, 1, 2))
    assert first == again
    assert first != other


def test_all_work_has_a_chance_of_its_own_and_every_row_its_months() -> None:
    pieces = list(work(120, 1))
    assert len({case.seed for _, case in pieces}) == len(pieces)
    models = Counter[Row]()
    for row, case in pieces:
        models[row] += case.models
    assert set(models.values()) == {120}
    assert {30, 120, 300, 1000, 3000} <= {row.events_per_hour for row in models if row.window == DAY}


def test_figures_are_written_with_what_is_uncertain_about_them() -> None:
    assert rate(0, 200) == "0 (0 – 0.018)"
    assert rate(20, 200) == "0.1 (0.061 – 0.15)"
    assert delay([0.5, 1.0, 9.0, 10.0]) == "9.0 h / 10.0 h (100%)"
    assert delay([0.5, 0.75, 1.0, np.inf]) == "60 min / – (75%)"


def test_the_tables_have_a_row_per_volume(capsys: pytest.CaptureFixture[str]) -> None:
    tallies = {
        Row(DAY, 30, 0.0): Tally(200.0, Counter({Rule.NOISE_FLOOR: 2, Rule.BARE: 600})),
        Row(DAY, 30, 1.0): Tally(delays=[8.0, 9.0]),
    }
    show_tallies(tallies)
    quiet, steps = [line for line in capsys.readouterr().out.splitlines() if "24 h" in line]
    assert "0.01 (" in quiet
    assert "3 (" in quiet
    assert "9.0 h / 9.0 h (100%)" in steps


def test_slots_are_counted_from_the_origin() -> None:
    assert slot_at(ORIGIN.timestamp()) == 0
    assert slot_at(datetime.fromisoformat("2026-11-03T00:05:00+00:00").timestamp()) == 289
    assert FOLLOWED_DAYS * DAY % SLOT_SECONDS == 0


def test_scores_of_one_day_are_as_alike_as_is_said() -> None:
    random, traffic, models = np.random.default_rng(5), Traffic(40.0, day_correlation=0.01), 200
    never = np.zeros(models, dtype=np.bool_)
    days = np.zeros((models, 10), dtype=np.int64)
    shares = traffic.day(random, models)
    for slot in range(SLOTS_PER_DAY):
        scores = traffic.draw(random, slot, never, shares)[:, SCORES]
        days += scores.reshape(models, 10, -1).sum(axis=2)
    events = days.sum() / models
    assert design_effect(days.tolist()) == pytest.approx(1 + (events - 1) * 0.01, rel=0.1)
    assert Traffic(40.0).day(random, models) is None
