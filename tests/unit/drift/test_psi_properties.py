"""PSI of anything that models send, from events to evaluation, against PSI straight from the values.

Three statements, the first two for any values whatever:

- The figures are those of the values in the bins that are shown, counted by comparison.
- While no cell holds several values, the PSI is the one of the method applied to the values, digit for digit.
- Else it is within 0.0005 or 1 % of that one, as long as such cells are small against a bin: none holds more than
  0.5 % of a window (1 % of scores, which lie where cells are even). Beyond that docs/adr/0004 has what is known.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime

import numpy as np
import pytest
from hypothesis import assume, example, given, settings
from hypothesis import strategies as st

from sentryml_common.contracts.evaluation import Evaluation, Level, RangeBin, Signal, SignalEvaluation
from sentryml_common.contracts.message import encode
from sentryml_common.contracts.monitor import Monitor
from sentryml_statistics.comparison.evaluation import Baseline, WindowCounts, evaluate
from sentryml_statistics.histograms.cells import cells_of
from sentryml_statistics.histograms.histogram import Histogram
from sentryml_statistics.histograms.pane_counts import PaneCounts, merge_panes
from sentryml_statistics.time.windows import WindowCover, WindowPlan
from tests.support.exact_psi import Numbers, Pair, Value, as_counted, psi_of_numbers, psi_of_pairs, psi_of_values

AT = datetime(2026, 11, 23, 9, 15, tzinfo=UTC)
PLAN = WindowPlan(WindowCover(AT.timestamp() - 3600, AT.timestamp(), ()), ())
BINS = 10

seeds = st.integers(0, 2**32)


def examples(count: int) -> settings:
    return settings(max_examples=count)


def pane_of(values: list[Value]) -> PaneCounts:
    """Events with these values as scores, and as predictions where they can be."""
    return PaneCounts.of(["none" if value is None else value for value in values], values)  # type: ignore[arg-type]


def evaluation_of(baseline: PaneCounts, current: PaneCounts, bins: int = BINS) -> Evaluation:
    monitor = Monitor.model_validate({"model_id": "any", "version": 1, "bins": bins, "min_samples": 1})
    return evaluate("any", monitor, AT, Baseline(PLAN, baseline, 1.0), WindowCounts(PLAN, current, 1.0))


def score_of(baseline: list[Value], current: list[Value]) -> SignalEvaluation:
    return evaluation_of(pane_of(baseline), pane_of(current)).signals[0]


def psi_of(found: SignalEvaluation) -> float:
    assert found.psi is not None
    return found.psi


# Six digits: numbers that are one as float32 share a cell (docs/adr/0004).
plain_numbers = st.one_of(
    st.floats(-1e300, 1e300, allow_subnormal=False),
    st.floats(0, 1, allow_subnormal=False),
    st.integers(-1000, 1000).map(float),
    st.sampled_from([0.0, 1.0, 0.5, -1.0, 1e300, -1e300, 1e-300]),
).map(lambda number: float(f"{number:.6g}"))
names = st.one_of(st.text(max_size=5), st.sampled_from(["true", "false", "0.5", "", "null"]))
values = st.one_of(plain_numbers, names, st.booleans(), st.none())


@st.composite
def windows(draw: st.DrawFn) -> tuple[list[Value], list[Value]]:
    """Baseline and current, from values they share in part, some of them heavy, some of them rare."""
    pool = draw(st.lists(values, min_size=1, max_size=30))
    random = np.random.default_rng(draw(seeds))

    def side() -> list[Value]:
        weights = random.dirichlet(np.full(len(pool), draw(st.sampled_from([0.1, 1.0, 10.0]))))
        picked = random.choice(len(pool), draw(st.sampled_from([1, 10, 100, 1000])), p=weights)
        return [pool[i] for i in picked]

    names_of_tail = [f"class {i}" for i in range(draw(st.sampled_from([0, 0, 30, 300, 900])))]
    scores = random.beta(*draw(st.sampled_from([(0.3, 8), (2, 5), (8, 0.3)])), draw(st.sampled_from([0, 0, 50, 700])))
    more: list[Value] = [*names_of_tail, *(float(f"{score:.6g}") for score in scores)]
    half = random.random(len(more)) < 0.7, random.random(len(more)) < 0.7
    both = [side() + [value for value, taken in zip(more, part, strict=True) if taken] for part in half]
    return both[0], both[1]


@given(windows(), st.sampled_from([2, 5, 10, 20]))
@example(([0.5] * 10 + [i / 91 for i in range(90)], [0.5]), 10)  # an atom of just a tenth
@example((["rare"] * 5 + ["ok"] * 95, ["rare"]), 10)  # a category of just a twentieth
@examples(100)
def test_psi_is_exact_while_no_cell_holds_several_values(both: tuple[list[Value], list[Value]], bins: int) -> None:
    baseline, current = both
    panes = pane_of(baseline), pane_of(current)
    assume(not any(pane.score.numbers.dropped for pane in panes))
    for found in evaluation_of(*panes, bins).signals:
        sides = both if found.signal is Signal.SCORE else [["none" if v is None else v for v in side] for side in both]
        assert found.psi == pytest.approx(psi_of_values(*sides, bins), rel=1e-9, abs=1e-12)


@st.composite
def any_numbers(draw: st.DrawFn) -> list[Value]:
    """Many numbers of every kind: too many magnitudes for the cells, tails, atoms, and what Hypothesis thinks up."""
    random = np.random.default_rng(draw(seeds))
    count = draw(st.sampled_from([0, 100, 3000]))
    bulk = {
        "all magnitudes": lambda: random.choice([-1, 1], count) * 10 ** random.uniform(-300, 300, count),
        "Cauchy": lambda: random.standard_cauchy(count) * 10.0 ** random.integers(-9, 9),
        "lognormal": lambda: random.lognormal(0, 5, count),
        "normal far from 0": lambda: random.normal(1e6, 10, count),
        "near 1": lambda: random.beta(8, 0.2, count),
        "counts": lambda: random.poisson(3, count).astype(float),
    }[draw(st.sampled_from(["all magnitudes", "Cauchy", "lognormal", "normal far from 0", "near 1", "counts"]))]()
    own = draw(st.lists(st.floats(allow_nan=False, allow_infinity=False), max_size=20))
    return [*bulk.tolist(), *own * draw(st.sampled_from([1, 1, 100])), *[None] * draw(st.sampled_from([0, 0, 7]))]


@given(any_numbers(), any_numbers())
@examples(100)
def test_figures_are_those_of_the_values_in_the_bins_shown(baseline: list[Value], current: list[Value]) -> None:
    assume(baseline and current)
    found = score_of(baseline, current)
    pairs = pairs_in_bins(found, baseline, current)
    assert [sum(side) for side in zip(*pairs, strict=True)] == [len(baseline), len(current)], "in one bin each"
    whole = len(baseline) + len(pairs) / 2, len(current) + len(pairs) / 2
    for each, (was, now) in zip(found.bins, pairs, strict=True):
        assert each.baseline_share == pytest.approx((was + 0.5) / whole[0])
        assert each.current_share == pytest.approx((now + 0.5) / whole[1])
    assert found.psi == pytest.approx(psi_of_pairs(pairs), rel=1e-9, abs=1e-12)


def pairs_in_bins(found: SignalEvaluation, baseline: list[Value], current: list[Value]) -> list[Pair]:
    """Count numbers and nulls in the bins of an evaluation, by comparison."""
    nulls = sum(value is None for value in baseline), sum(value is None for value in current)
    sides = [np.array([value for value in side if value is not None], float) for side in (baseline, current)]
    ranges = [(each.lower, each.upper) for each in found.bins if isinstance(each, RangeBin)]
    pairs = [(_inside(sides[0], *reach), _inside(sides[1], *reach)) for reach in ranges]
    new = 0, len(sides[1]) - sum(now for _, now in pairs)
    return pairs + [pair for pair in (new, nulls) if any(pair)]


def _inside(numbers: Numbers, lower: float | None, upper: float | None) -> int:
    """How many numbers have lower ≤ x < upper as they are counted; None is unbounded."""
    numbers = as_counted(numbers)
    if lower is not None:
        numbers = numbers[numbers >= as_counted(np.array(lower))]
    if upper is not None:
        numbers = numbers[numbers < as_counted(np.array(upper))]
    return len(numbers)


@dataclass(frozen=True)
class Part:
    """A component of a mixture: two numbers that give its place and width, and how far it drifts."""

    family: str
    place: float
    width: float
    drift: float

    def sample(self, random: np.random.Generator, count: int, drift: float) -> Numbers:
        a, b, d = self.place, self.width, self.drift * drift
        return {
            "normal": lambda: random.normal(10 * a - 5 + d, 0.1 + 3 * b, count),
            "far normal": lambda: random.normal(1e6 + 10 * d, 10 + 10 * b, count),
            "beta": lambda: random.beta(0.2 + 3 * a + 0.3 * d, 0.2 + 5 * b, count),
            "near 0": lambda: random.beta(0.2 + 0.2 * a + 0.1 * d, 8, count),
            "near 1": lambda: random.beta(8, 0.2 + 0.2 * a + 0.1 * d, count),
            "lognormal": lambda: random.lognormal(a + 0.4 * d, 0.3 + 1.5 * b, count),
            "Cauchy": lambda: random.standard_cauchy(count) * (0.2 + a) + 0.4 * d,
            "constant": lambda: np.full(count, round(a, 2)),
            "labels": lambda: (random.random(count) < a * (1 - 0.3 * d)).astype(float),
            "integers": lambda: random.poisson(5 + 500 * a + 20 * d, count).astype(float),
            "rounded": lambda: random.normal(4 * a + 0.4 * d, 1, count).round(2),
            "all magnitudes": lambda: 10 ** np.clip(random.normal(30 * d, 60, count), -300, 300),
        }[self.family]()


SCORES = ("beta", "near 0", "near 1", "constant", "labels")
REALS = ("normal", "far normal", "lognormal", "Cauchy", "constant", "integers", "rounded", "all magnitudes")


@st.composite
def mixtures(draw: st.DrawFn, families: tuple[str, ...]) -> tuple[Numbers, Numbers]:
    """Baseline and current of one to three components, each of which drifts by its own measure."""
    unit = st.floats(0, 1).map(lambda number: round(number, 3))
    parts = draw(st.lists(st.builds(Part, st.sampled_from(families), unit, unit, unit), min_size=1, max_size=3))
    weights = np.array(draw(st.lists(st.integers(1, 10), min_size=len(parts), max_size=len(parts))), float)
    random = np.random.default_rng(draw(seeds))

    def side(count: int, drift: float) -> Numbers:
        counts = np.round(count * weights / weights.sum()).astype(int)
        return np.concatenate([part.sample(random, n, drift) for part, n in zip(parts, counts, strict=True)])

    return side(60_000, 0.0), side(30_000, 1.0)


def heaviest_cell_of_several_values(numbers: Numbers, dropped: int) -> float:
    """Which part of the numbers the heaviest cell holds that does not hold one value alone."""
    ordered = np.sort(numbers)
    _, start, counts = np.unique(cells_of(ordered, dropped), return_index=True, return_counts=True)
    several = ordered[start] != ordered[start + counts - 1]
    return float(counts[several].max(initial=0) / len(numbers))


def check_mixture(baseline: Numbers, current: Numbers, heaviest: float) -> None:
    sides = Histogram.of(baseline), Histogram.of(current)
    dropped = max(side.numbers.dropped for side in sides)
    assume(max(heaviest_cell_of_several_values(side, dropped) for side in (baseline, current)) <= heaviest)
    panes = (PaneCounts(side, Histogram.of(categories={"ok": side.total})) for side in sides)
    exact = psi_of_numbers(baseline, current, BINS)
    assert evaluation_of(*panes).signals[0].psi == pytest.approx(exact, abs=max(0.0005, 0.01 * exact))


@given(mixtures(SCORES))
@examples(40)
def test_psi_of_mixtures_of_scores_is_within_one_percent(both: tuple[Numbers, Numbers]) -> None:
    check_mixture(*both, heaviest=0.01)


@given(mixtures(REALS))
@examples(40)
def test_psi_of_mixtures_of_any_numbers_is_within_one_percent(both: tuple[Numbers, Numbers]) -> None:
    check_mixture(*both, heaviest=0.005)


@given(values, values, st.integers(50, 400), st.integers(50, 400))
@example(0.0, 1.0, 50, 50)
@example(1e300, -1e300, 50, 50)
@example(None, 0.0, 50, 50)
@examples(80)
def test_a_constant_that_changes_is_critical_and_one_that_stays_is_ok(one: Value, other: Value, m: int, n: int) -> None:
    assert (score_of([one] * m, [one] * n).level, score_of([one] * m, [one] * n).psi) == (Level.OK, 0.0)
    assume(counted_as(one) != counted_as(other))
    assert score_of([one] * m, [other] * n).level is Level.CRITICAL


def counted_as(value: Value) -> Value:
    """Booleans are the categories 'true' and 'false'."""
    return str(value).lower() if isinstance(value, bool) else value


@given(seeds, st.floats(0.9, 0.999), plain_numbers, plain_numbers)
@examples(50)
def test_a_constant_among_a_few_others_that_changes_is_critical(
    seed: int, share: float, one: float, other: float
) -> None:
    assume(one != other)
    random = np.random.default_rng(seed)
    rest = [*random.normal(0, 1, round(1000 * (1 - share))).tolist()]
    found = score_of([one] * round(1000 * share) + rest, [other] * round(1000 * share) + rest)
    assert found.level is Level.CRITICAL


@given(st.integers(257, 3000), st.sampled_from([0.0, 0.5, 1.0]), st.sampled_from([(1, 0.2), (5, 0.5)]), seeds)
@examples(16)
def test_drift_within_a_long_tail_of_categories_is_seen(
    kinds: int, slope: float, move: tuple[int, float], seed: int
) -> None:
    """Of more than 256 names a few rare ones get part of all events; the others stay in proportion."""
    random, (receivers, moved) = np.random.default_rng(seed), move
    weights = 1 / np.arange(1, kinds + 1) ** slope
    weights /= weights.sum()
    drifted = (1 - moved) * weights
    drifted[-receivers:] += moved / receivers
    baseline, same, shifted = (
        [f"class {i}" for i in random.choice(kinds, count, p=shares)]
        for count, shares in ((10_000, weights), (3_000, weights), (3_000, drifted))
    )
    calm, found = score_of(baseline, same), score_of(baseline, shifted)
    assert (calm.level, found.level is Level.OK) == (Level.OK, False)
    assert psi_of(found) == pytest.approx(psi_of_values(baseline, shifted, BINS), rel=1e-9)


@given(st.integers(1, 3000), st.floats(0.1, 0.9), seeds)
@examples(25)
def test_a_category_never_seen_before_is_seen(kinds: int, share: float, seed: int) -> None:
    random = np.random.default_rng(seed)
    known = [f"class {i}" for i in random.integers(0, kinds, 6000)]
    baseline, unseen = known[:5000], ["unseen"] * round(1000 * share / (1 - share))
    found = score_of(baseline, known[5000:] + unseen)
    assert psi_of(found) == pytest.approx(psi_of_values(baseline, known[5000:] + unseen, BINS), rel=1e-9)
    if len(set(known)) <= 256:
        assert found.level is Level.CRITICAL
        assert found.bins[-1].kind == "new"
        assert found.bins[-1].current_share == pytest.approx(share, abs=0.01)
    elif share > 0.3:
        assert found.level is Level.CRITICAL, "without a name of its own it is in a cell of rare ones"


@given(st.sampled_from(["numbers to names", "names to numbers", "booleans to numbers", "numbers to nulls"]), seeds)
@examples(20)
def test_a_model_that_switches_kind_is_critical_from_a_tenth_of_its_events_on(switch: str, seed: int) -> None:
    random = np.random.default_rng(seed)
    samples: dict[str, list[Value]] = {
        "numbers": random.beta(2, 5, 3000).tolist(),
        "names": [("low", "high")[i] for i in random.integers(0, 2, 3000)],
        "booleans": (random.random(3000) < 0.2).tolist(),
        "nulls": [None] * 3000,
    }
    before, after = switch.split(" to ")
    baseline, kept = samples[before][:2000], samples[before][2000:]
    for part in (100, 1000):
        found = score_of(baseline, kept[part:] + samples[after][:part])
        assert found.level is Level.CRITICAL
    assert score_of(baseline, kept).level is Level.OK


@given(st.floats(0.05, 0.95), st.floats(0.05, 0.95), seeds)
@examples(40)
def test_booleans_drift_as_two_categories(was: float, now: float, seed: int) -> None:
    random = np.random.default_rng(seed)
    baseline, current = (random.random(4000) < was).tolist(), (random.random(1000) < now).tolist()
    found = evaluation_of(pane_of(baseline), pane_of(current)).signals[1]
    pairs = [(baseline.count(each), current.count(each)) for each in (True, False)]
    assume(min(pairs)[0] >= 200)  # both have a bin of their own
    assert found.psi == pytest.approx(psi_of_pairs(pairs), rel=1e-9, abs=1e-12)
    assert {each.kind for each in found.bins} == {"category"}


@given(windows() | st.tuples(any_numbers(), any_numbers()), seeds)
@examples(40)
def test_any_order_and_any_partition_into_panes_give_equal_bytes(
    both: tuple[list[Value], list[Value]], seed: int
) -> None:
    assume(all(both))
    random = np.random.default_rng(seed)
    whole = pane_of(both[0]), pane_of(both[1])
    regrouped = panes_in_any_order(both[0], random), panes_in_any_order(both[1], random)
    assert [pane.pack() for pane in regrouped] == [pane.pack() for pane in whole]
    assert encode(evaluation_of(*regrouped)) == encode(evaluation_of(*whole))


def panes_in_any_order(values: list[Value], random: np.random.Generator) -> PaneCounts:
    """The events shuffled into up to 30 panes, some of them empty, each packed, added up in any order and grouping."""
    sizes = random.dirichlet(np.full(random.integers(1, 31), 0.3))
    place = random.choice(len(sizes), len(values), p=sizes)
    shuffled = [(values[i], place[i]) for i in random.permutation(len(values))]
    panes = [pane_of([value for value, at in shuffled if at == number]) for number in random.permutation(30)]
    travelled = [PaneCounts.unpack(pane.pack()) for pane in panes]
    border = random.integers(0, 31)
    return sum(travelled[border:], start=merge_panes(travelled[:border]))
