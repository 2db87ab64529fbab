"""History sent at once gives the same windows as the same events sent live.

What: eight days of one model, read once with each record's time that of its events, and once with all records of
the moment after the last event. How: both are evaluated over exactly the panes that their windows name.
"""

from __future__ import annotations

import random
from collections.abc import Callable
from datetime import UTC, datetime
from functools import cache

import pytest

from sentryml_common.contracts.evaluation import Evaluation
from sentryml_common.contracts.monitor import Monitor
from sentryml_common.contracts.prediction import EventRow
from sentryml_drift.domain.chunks import ChunkRules, OpenChunk
from sentryml_drift.domain.facts import ModelFacts
from sentryml_drift.domain.partials import Kind
from sentryml_drift.domain.rows import PaneRules
from sentryml_statistics.comparison.evaluation import Baseline, WindowCounts, evaluate
from sentryml_statistics.histograms.pane_counts import PaneCounts, merge_panes
from sentryml_statistics.time.panes import PaneGrid, Resolution
from sentryml_statistics.time.windows import WindowPlan, windows_at

HOUR, DAY = 3600.0, 86_400.0
GRID = PaneGrid(60)
RULES = ChunkRules(PaneRules(GRID, 35 * DAY, 300), epoch=1)
END = datetime(2026, 11, 23, 12, 20, 30, tzinfo=UTC).timestamp()
"""Of the history: neither a whole hour nor a whole minute."""
KINDS = {Resolution.FINE: Kind.FINE, Resolution.COARSE: Kind.COARSE}


def history() -> list[EventRow]:
    """Eight days and a few hours in the order of time; the last three hours are dense, the last day is another."""
    rng = random.Random(8)
    sparse = [END - rng.random() * 8.2 * DAY for _ in range(2000)]
    times = sorted(sparse + [END - 3 * HOUR + 15.0 * step for step in range(720)])
    return [
        EventRow(
            model_id="model",
            prediction=rng.choice(("late", "on time") if at < END - DAY else ("late", "late", "early")),
            score=rng.betavariate(2, 5 if at < END - DAY else 3),
            timestamp=datetime.fromtimestamp(at, UTC),
        )
        for at in times
    ]


def time_of(event: EventRow) -> float:
    assert event.timestamp is not None
    return event.timestamp.timestamp()


class Counted:
    """What a reading of the events has left: panes and facts, as the processor keeps them."""

    def __init__(self, events: list[EventRow], record_time: Callable[[EventRow], float]) -> None:
        chunk = OpenChunk(0, 0, 0, RULES)
        for offset, event in enumerate(events):
            chunk.add(offset, [event], record_time(event))
        while chunk.waiting:
            chunk.count()
        partials = [*chunk.take_live(), *chunk.take_backfilled(chunk.backfilled)]
        self.facts = next(ModelFacts.unpack(p.payload) for p in partials if p.target.kind is Kind.FACTS)
        self.panes = {
            (p.target.kind, p.target.pane): PaneCounts.unpack(p.payload)
            for p in partials
            if p.target.kind is not Kind.FACTS
        }

    def of_kind(self, kind: Kind) -> dict[int, PaneCounts]:
        return {pane: counts for (of, pane), counts in self.panes.items() if of is kind}

    def evaluation(self, monitor: Monitor, evaluated_at: float, now: float) -> Evaluation:
        """As the evaluator makes one at `now` that was due at `evaluated_at`."""
        baseline, current = windows_at(GRID, monitor, evaluated_at, now=now)
        return evaluate(
            "model",
            monitor,
            datetime.fromtimestamp(evaluated_at, UTC),
            Baseline(baseline, self._in(baseline), 1.0),
            WindowCounts(current, self._in(current), 1.0),
        )

    def _in(self, plan: WindowPlan) -> PaneCounts:
        places = [(KINDS[each.resolution], pane) for each in plan.cover.ranges for pane in range(each.first, each.end)]
        return merge_panes([self.panes[place] for place in places if place in self.panes])


EVENTS = history()
MONITOR = Monitor(model_id="model", version=1)
SHORT = Monitor(model_id="model", version=1, baseline_seconds=HOUR, current_seconds=0.5 * HOUR, min_samples=1)


@cache
def live() -> Counted:
    return Counted(EVENTS, time_of)


@cache
def sent_at_once(at: float) -> Counted:
    """The same events in another order, in records of one moment."""
    return Counted(random.Random(1).sample(EVENTS, len(EVENTS)), lambda _: at)


def assert_counts_what_it_names(found: Evaluation) -> None:
    for window, counted in ((found.baseline, "baseline_count"), (found.current, "current_count")):
        held = sum(window.start.timestamp() <= time_of(each) < window.end.timestamp() for each in EVENTS)
        assert {getattr(signal, counted) for signal in found.signals} == {held}


@pytest.mark.parametrize("monitor", [MONITOR, SHORT], ids=["8 days", "90 minutes"])
@pytest.mark.parametrize("delay", [0.0, 45.0, HOUR, DAY])
def test_history_sent_at_once_is_evaluated_as_if_it_had_come_live(monitor: Monitor, delay: float) -> None:
    sent, evaluated_at = END + delay, END + delay - 30
    found = sent_at_once(sent).evaluation(monitor, evaluated_at, now=sent)
    assert found == live().evaluation(monitor, evaluated_at, now=sent)
    assert_counts_what_it_names(found)


def test_the_evaluation_compared_is_one_that_says_something() -> None:
    found = sent_at_once(END).evaluation(MONITOR, END - 30, now=END)
    assert found.reason is None
    assert all(signal.psi is not None and signal.psi > 0.05 for signal in found.signals)
    assert (found.baseline.end, found.current.end) == (
        datetime(2026, 11, 22, 12, tzinfo=UTC),  # old: a whole hour
        datetime(2026, 11, 23, 12, 20, tzinfo=UTC),  # young: a whole minute
    )


def test_only_fine_panes_that_no_window_asks_for_any_more_are_missing() -> None:
    came_live, came_late = live(), sent_at_once(END)
    assert came_late.facts == came_live.facts
    assert came_late.of_kind(Kind.COARSE) == came_live.of_kind(Kind.COARSE)
    fine_live, fine_late = came_live.of_kind(Kind.FINE), came_late.of_kind(Kind.FINE)
    first_whole = GRID.first_live_fine(END)
    differing = {pane for pane in fine_live if fine_live[pane] != fine_late.get(pane)}
    assert differing == {pane for pane in fine_live if pane < first_whole}
    assert min(fine_late) == first_whole - 1, "what lies in the middle of a pane when the fine panes' life ends"
    assert 0 < fine_late[first_whole - 1].total < fine_live[first_whole - 1].total
    _, current = windows_at(GRID, SHORT, END)
    assert all(part.first >= first_whole for part in current.cover.ranges if part.resolution is Resolution.FINE)


def test_late_and_future_are_judged_by_the_records_own_time_whenever_it_is_read() -> None:
    ahead, too_far_ahead = END + 299, END + 301
    events = [
        EventRow(model_id="model", prediction=1.0, timestamp=datetime.fromtimestamp(at, UTC))
        for at in (END - 35 * DAY - 1, END - 35 * DAY, END, ahead, too_far_ahead)
    ]
    sent_together = Counted(events, lambda _: END).facts
    assert (sent_together.late, sent_together.future) == (1, 1)
    assert (sent_together.first_seen, sent_together.last_seen) == (END - 35 * DAY, ahead)
    sent_in_their_time = Counted(events, time_of).facts
    assert (sent_in_their_time.late, sent_in_their_time.future) == (0, 0)
