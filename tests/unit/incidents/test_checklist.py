"""The checklist of a new installation."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest

from sentryml_incidents.domain.first_steps import model_names
from sentryml_incidents.domain.first_steps.checklist import Baseline, ChannelState, Found, checklist
from tests.unit.incidents.builders import MONDAY

DAY = timedelta(days=1)
NOTHING = Found(models=0, tested=False, signed_in=1, invited=(), channels=ChannelState.NONE, baselines=())


def steps_of(days: float = 0.0, **changes: Any) -> list[tuple[bool, str]]:
    found = Found(**{field: getattr(NOTHING, field) for field in Found.__slots__} | changes)
    return [(each.done, each.text) for each in checklist(found, MONDAY + days * DAY)]


def a_baseline(model_id: str, coverage: float | None = None) -> Baseline:
    return Baseline(model_id, MONDAY, 7 * DAY, DAY, coverage)


def test_a_new_installation_is_told_what_to_do_first() -> None:
    assert [done for done, _ in steps_of()] == [False] * 4
    assert "sends a test event" in steps_of()[0][1]
    assert "test event was counted" in steps_of(tested=True)[0][1]
    assert steps_of(invited=("rosa",))[2] == (False, "rosa has an account, and has not signed in yet.")


def test_all_is_done_once_a_baseline_is_full() -> None:
    done = {"models": 2, "signed_in": 2, "channels": ChannelState.DELIVERS}
    assert [each for each, _ in steps_of(8, **done, baselines=[a_baseline("fraud", 1.0)])] == [True] * 4
    assert [each for each, _ in steps_of(8, **done, baselines=[a_baseline("fraud")])] == [True] * 4


@pytest.mark.parametrize("state", [each for each in ChannelState if each is not ChannelState.DELIVERS])
def test_a_channel_that_does_not_deliver_says_what_to_do(state: ChannelState) -> None:
    done, text = steps_of(channels=state)[1]
    assert not done
    assert text.endswith(".")


@pytest.mark.parametrize(
    ("days", "coverage", "text"),
    [
        (0, None, "fraud in 8 d"),
        (0.5, 0.0, "fraud in 7 d 12 h"),
        (5.8333, 0.69, "fraud in 2 d 4 h"),
        (8, 0.9, "fraud in 16 h 48 min"),
    ],
    ids=["new", "within its first window", "filling", "with gaps"],
)
def test_a_baseline_says_when_it_is_full(days: float, coverage: float | None, text: str) -> None:
    assert text in steps_of(days, baselines=[a_baseline("fraud", coverage)])[3][1]


def test_of_many_baselines_the_first_to_be_full_are_named() -> None:
    baselines = [a_baseline(f"m{number}", 0.5) for number in range(6)]
    assert "m0 in 8 d, m1 in 8 d, m2 in 8 d, and 3 more later." in steps_of(baselines=baselines)[3][1]


@pytest.mark.parametrize(
    ("patterns", "test", "example"),
    [
        ((), "sentryml-test", "my-model"),
        (("fraud-*",), "fraud-sentryml-test", "fraud-my-model"),
        (("*-prod*",), "sentryml-test-prod", "my-model-prod"),
        (("team-?", "fraud"), None, "fraud"),
        (("[ab]*",), None, "my-model"),
        (("x" * 126 + "*",), None, "my-model"),
    ],
)
def test_a_test_event_is_of_a_model_that_the_key_may_send_and_nothing_else_uses(
    patterns: tuple[str, ...], test: str | None, example: str
) -> None:
    assert model_names.test_model_for(patterns) == test
    assert model_names.example_model_for(patterns) == example
    assert test is None or model_names.TEST_MODEL in test
