"""What an evaluation costs at any number of events, beside a scan of the raw scores; and a round over many models.

A step is what happens every five minutes: five fine panes enter the current window, and the windows are compared. The
rivals read all raw scores of both windows, cut the baseline at its deciles, and count: in numpy, and in plain Python;
and Evidently makes its report of one column.
"""

from __future__ import annotations

import bisect
import math
import resource
import statistics
import subprocess
import time
from base64 import b64encode
from collections.abc import Callable, Iterable
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from random import Random
from uuid import UUID

import numpy as np
from numpy.typing import NDArray

from bench.report import RIVALS_PYTHON, Figure, say
from sentryml_common.contracts.monitor import Monitor
from sentryml_common.contracts.normal_time import NormalTime
from sentryml_common.contracts.reference import Reference, ReferenceSource
from sentryml_drift.domain.chunked_sum import NOTHING, ChunkedSum
from sentryml_drift.domain.facts import ModelFacts
from sentryml_drift.domain.partials import Kind, Label, Partial, Target, pack, unpack_record
from sentryml_drift.evaluation.counting import evaluate_model
from sentryml_drift.processor.models import FACTS, OwnedModel, add_partial, pane_of
from sentryml_statistics.comparison.slow_drift import with_slow_drift
from sentryml_statistics.histograms.pane_counts import PaneCounts
from sentryml_statistics.time.panes import PaneGrid, Resolution
from sentryml_statistics.time.plan import plan_evaluation
from sentryml_statistics.time.schedule import compares_slowly

GRID = PaneGrid(60.0)
END = 1_795_424_400.0
HOURS = 8 * 24
REFERENCE_ID = UUID(int=1)
MONITOR = Monitor(model_id="model", version=1, normal_time=NormalTime(revision=1, reference_id=REFERENCE_ID))
STEPS = 12
REPEATED = 5


def cpu(work: Callable[..., object], *arguments: object, times: int = 1) -> float:
    """CPU seconds of one run: the median of some."""
    taken = []
    for _ in range(times):
        begun = time.process_time()
        work(*arguments)
        taken.append(time.process_time() - begun)
    return statistics.median(taken)


def packed(rng: np.random.Generator, events: int) -> bytes:
    """A pane of this number of events, as the table holds it."""
    scores = rng.beta(2, 5, max(1, events)).tolist()
    counts = PaneCounts.of(["late" if score > 0.3 else "on time" for score in scores], scores)
    return ChunkedSum((counts.pack(),)).pack()


def a_model(events_an_hour: int, different_panes: int = HOURS) -> OwnedModel:
    """A model with eight days of panes; of many events each, some panes are used more than once."""
    rng, model = np.random.default_rng(1), OwnedModel(0)
    coarse = [packed(rng, events_an_hour) for _ in range(different_panes)]
    fine = [packed(rng, events_an_hour // 60) for _ in range(min(120, different_panes))]
    last_coarse, last_fine = GRID.pane_of(END, Resolution.COARSE), GRID.pane_of(END, Resolution.FINE)
    for number in range(HOURS + 1):
        model.sums[pane_of(Kind.COARSE, last_coarse - number)] = coarse[number % len(coarse)]
    for number in range(120):
        model.sums[pane_of(Kind.FINE, last_fine + 60 - number)] = fine[number % len(fine)]
    long_ago = END - 30 * 86_400
    facts = ModelFacts(first_seen=long_ago, first_score=long_ago, last_seen=END)
    model.sums[FACTS] = ChunkedSum((facts.pack(),)).pack()
    return model


def a_reference() -> Reference:
    """What was normal: as many events as in both windows, and finer than most."""
    rng = np.random.default_rng(3)
    scores = rng.beta(2, 5, HOURS * 60).tolist()
    counts = PaneCounts.of(["late" if score > 0.3 else "on time" for score in scores], scores)
    return Reference(
        reference_id=REFERENCE_ID,
        model_id=MONITOR.model_id,
        source=ReferenceSource.UPLOAD,
        made_at=datetime.fromtimestamp(END, UTC),
        events=counts.total,
        counts=b64encode(counts.pack()).decode(),
    )


REFERENCE = a_reference()


def evaluate_at(model: OwnedModel, at: float) -> float:
    """One evaluation, as the evaluator makes it, slow drift once an hour; returns the PSI of the score."""
    facts = model.facts()
    plan = plan_evaluation(GRID, MONITOR, at, facts.first_seen or at, at)
    slow = partial(with_slow_drift, reference=REFERENCE) if compares_slowly(GRID, MONITOR, at) else None
    found = evaluate_model(GRID, MONITOR, model, model.windows, at, plan, slow, facts)
    return found.signals[0].psi or 0.0


def evaluate_all(models: list[OwnedModel], at: float) -> float:
    """A round; returns the CPU seconds of the longest evaluation: for so long the event loop is held."""
    longest = 0.0
    for model in models:
        begun = time.thread_time()
        evaluate_at(model, at)
        longest = max(longest, time.thread_time() - begun)
    return longest


def steps(model: OwnedModel) -> float:
    """CPU seconds of one step, over the hour after the first evaluation: the median, and so without the hour's
    change. The least of some hours, since other work on the machine only adds to it."""
    hours = []
    for _ in range(REPEATED):
        evaluate_at(model, END)
        times = iter([END + 300.0 * number for number in range(1, STEPS)])
        hours.append(cpu(lambda times=times: evaluate_at(model, next(times)), times=STEPS - 1))
    return min(hours)


def scan_numpy(baseline: NDArray[np.float64], current: NDArray[np.float64]) -> float:
    """PSI over deciles of the baseline, from raw scores."""
    edges = np.quantile(baseline, np.linspace(0, 1, 11)[1:-1])
    p = np.bincount(np.searchsorted(edges, baseline, side="right"), minlength=10) + 0.5
    q = np.bincount(np.searchsorted(edges, current, side="right"), minlength=10) + 0.5
    p, q = p / p.sum(), q / q.sum()
    return float(((q - p) * np.log(q / p)).sum())


def scan_python(baseline: list[float], current: list[float]) -> float:
    """The same without numpy."""
    ordered = sorted(baseline)
    edges = [ordered[len(ordered) * tenth // 10] for tenth in range(1, 10)]

    def shares(scores: Iterable[float], total: int) -> list[float]:
        counts = [0.5] * 10
        for score in scores:
            counts[bisect.bisect_right(edges, score)] += 1
        return [count / (total + 5) for count in counts]

    pairs = zip(shares(baseline, len(baseline)), shares(current, len(current)), strict=True)
    return math.fsum((q - p) * math.log(q / p) for p, q in pairs)


def report_of_evidently(events: int) -> float:
    """CPU seconds of a report by Evidently, in an environment of its own (`make bench-drift` installs it)."""
    script = Path(__file__).parents[1] / "rivals" / "evidently_psi.py"
    return float(subprocess.run([RIVALS_PYTHON, script, str(events)], check=True, stdout=subprocess.PIPE).stdout)


def measure_evaluation() -> list[Figure]:
    """An evaluation at 10⁴ to 10⁷ events a window, beside the scans."""
    figures, first = [], None
    for events in (10_000, 100_000, 1_000_000, 10_000_000):
        ours = steps(a_model(events // 168, different_panes=24 if events > 1_000_000 else HOURS))
        first = first or ours
        say(f"{events:,} events a window: {ours * 1000:.2f} ms")
        figures.append(Figure(f"evaluation at {events:,}: ms, beside 10,000", ours * 1000, first * 1000, ours / first))
        rng = np.random.default_rng(2)
        baseline, current = rng.beta(2, 5, events), rng.beta(2, 5, events // 7)
        scanned = cpu(scan_numpy, baseline, current)
        figures.append(Figure(f"evaluation at {events:,}: ms, beside a scan in numpy", ours * 1000, scanned * 1000,
                              scanned / ours))  # fmt: skip
        reported = report_of_evidently(events)
        figures.append(Figure(f"evaluation at {events:,}: ms, beside Evidently", ours * 1000, reported * 1000,
                              reported / ours))  # fmt: skip
        if events <= 1_000_000:
            scanned = cpu(scan_python, baseline.tolist(), current.tolist())
            figures.append(Figure(f"evaluation at {events:,}: ms, beside a scan in Python", ours * 1000, scanned * 1000,
                                  scanned / ours))  # fmt: skip
    return figures


def measure_rounds() -> list[Figure]:
    """A round over many models at 60 events an hour, each with eight days of panes and a reference: the first
    evaluation; ordinary steps; and the one with which an hour has passed: a coarse pane leaves each window, and slow
    drift is evaluated."""
    figures = []
    for models in (1_000, 10_000):
        owned = []
        for number in range(models):
            owned.append(_own_panes(a_model(60, different_panes=24), number))
            if number % 1000 == 999:
                say(f"{number + 1:,} models made")
        for minutes, what in ((0, "first round"), (5, "a step"), (10, "another step"), (60, "an hour has passed")):
            begun = time.process_time()
            longest = evaluate_all(owned, END + 60 * minutes)
            taken = time.process_time() - begun
            figures.append(Figure(f"{models:,} models, {what}: s", taken))
            figures.append(Figure(f"{models:,} models, {what}: ms of the longest evaluation", longest * 1000))
            say(f"{models:,} models, {what}: {taken:.1f} s, the longest {longest * 1000:.1f} ms")
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    figures.append(Figure("10,000 models with panes and kept sums: MB of the process at its peak", peak))
    return figures


def _own_panes(model: OwnedModel, number: int) -> OwnedModel:
    """Give a model bytes of its own, as those of a table are."""
    model.sums = {pane: bytes(bytearray(value)) for pane, value in model.sums.items()}
    model.partition = number % 4
    return model


def measure_partials() -> list[Figure]:
    """Partials a second that the processor unpacks, merges and packs, in records of 200."""
    rng, count = Random(1), 4_000
    partials = [
        Partial(
            Target(f"model-{number % 500}", Kind.FINE if number % 2 else Kind.COARSE, 1),
            Label(0, 1, 0, number, final=False),
            PaneCounts.of(["late"] * 3, [rng.random() for _ in range(3)]).pack(),
        )
        for number in range(count)
    ]
    records = [b"\x01" + b"".join(map(pack, partials[first : first + 200])) for first in range(0, count, 200)]

    def work() -> None:
        sums = {}
        for record in records:
            for each in unpack_record(record):
                sums[each.target] = add_partial(sums.get(each.target, NOTHING), each)
        for known in sums.values():
            known.pack()

    rate = count / cpu(work, times=5)
    say(f"partials: {rate:,.0f} a second")
    return [Figure("processor: partials/s/core, unpacked, merged and packed", rate)]
