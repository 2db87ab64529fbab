"""The schedule: each model on its own grid, all models spread out."""

from __future__ import annotations

from collections import Counter
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sentryml_statistics.time.panes import PaneGrid, Resolution
from sentryml_statistics.time.schedule import delay_of, due_at, instants_back

MINUTES, SECONDS = PaneGrid(60), PaneGrid(1)
NOW = 1_795_435_200.0

models = st.text("abcdef0123456789-", min_size=1, max_size=20)


@given(models, st.sampled_from([60, 120, 300, 3600, 86_400]), st.floats(NOW, NOW + 1e6))
def test_due_instants_are_past_and_on_borders_of_panes(model_id: str, every: float, now: float) -> None:
    due = due_at(MINUTES, model_id, every, now)
    assert due <= now < due + every + 60
    assert due % 60 == 0


@given(models, st.sampled_from([1, 7, 60, 300]), st.floats(NOW, NOW + 1e5))
def test_the_next_instant_is_one_interval_later(model_id: str, every: float, now: float) -> None:
    assert due_at(SECONDS, model_id, every, now + every) == pytest.approx(due_at(SECONDS, model_id, every, now) + every)


@given(models, st.sampled_from([0.5, 1, 7, 60, 300]), st.floats(NOW, NOW + 1e5))
def test_looking_back_finds_the_instants_that_were_due(model_id: str, every: float, now: float) -> None:
    delay = delay_of(SECONDS, model_id, every)
    since = now - 20 * every
    found = [instant / 1e6 for instant in instants_back(SECONDS, model_id, every, since, now)]
    assert found[0] == due_at(SECONDS, model_id, every, now)
    assert since - 1e-6 <= found[-1] < since + 2 * every
    assert len(instants_back(SECONDS, model_id, every, now + 1e5, now)) == 1, "the newest in any case"
    for later, earlier in pairwise(found):
        assert due_at(SECONDS, model_id, every, earlier + delay) == earlier, "due when its delay is over, not before"
        assert due_at(SECONDS, model_id, every, earlier + delay - 1e-5) < earlier
        assert later - earlier == pytest.approx(every)


def test_a_model_keeps_its_grid_in_every_process() -> None:
    assert due_at(MINUTES, "flights-delay", 300, NOW) == 1_795_435_140.0


def test_with_an_interval_of_a_second_all_models_are_due_together() -> None:
    assert {due_at(SECONDS, f"model-{i}", 1, NOW + 0.25) for i in range(100)} == {NOW}
    assert due_at(PaneGrid(0.5), "model", 1, NOW + 0.75) == NOW


def test_six_hundred_models_take_turns() -> None:
    # Over one interval of 300 s the mean is 2 a second.
    seen = {f"model-{i}": due_at(MINUTES, f"model-{i}", 300, NOW) for i in range(600)}
    fired: Counter[int] = Counter()
    for second in range(1, 301):
        for model_id, before in seen.items():
            due = due_at(MINUTES, model_id, 300, NOW + second)
            fired[second] += due != before
            seen[model_id] = due
    assert sum(fired.values()) == 600
    assert max(fired.values()) <= 10


@pytest.mark.parametrize(("fine_seconds", "every"), [(60, 300), (1, 300), (300, 300), (3600, 3600)])
def test_of_ten_thousand_models_no_second_has_more_than_a_hundredth(fine_seconds: float, every: int) -> None:
    # Over one interval of 300 s the mean is 33 a second.
    models, grid = 10_000, PaneGrid(fine_seconds)
    fired = Counter(_second_of_firing(grid, f"model-{number}", every) for number in range(models))
    assert sum(fired.values()) == models
    assert max(fired.values()) < models / 100


def _second_of_firing(grid: PaneGrid, model_id: str, every: int) -> int:
    """The second of the interval after NOW in which the model's next instant becomes due."""
    before, late, early = due_at(grid, model_id, every, NOW), 0, every
    while early - late > 1:
        middle = (late + early) // 2
        late, early = (middle, early) if due_at(grid, model_id, every, NOW + middle) == before else (late, middle)
    return early


def test_instants_where_panes_do_not_divide_the_interval_still_lie_on_a_grid() -> None:
    due = [due_at(MINUTES, "model", 90, NOW + step) for step in range(0, 900, 10)]
    steps = {right - left for left, right in pairwise(due)}
    assert steps <= {0.0, 90.0}
    assert MINUTES.pane_of(due[0], Resolution.FINE) <= MINUTES.pane_of(NOW, Resolution.FINE)
