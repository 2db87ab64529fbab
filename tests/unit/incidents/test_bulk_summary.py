"""What came of one action on many incidents: everything is counted, and nothing is called done that was not."""

from __future__ import annotations

import pytest

from sentryml_common.contracts.transition import State
from sentryml_incidents.web.view.bulk_summary import MEANWHILE, Result, not_allowed, summarize
from sentryml_lifecycle.events.on_action import ALLOWED, Action

LATE = MEANWHILE[State.RESOLVED]


def test_what_was_done_is_counted_and_each_other_one_named() -> None:
    reported = summarize(Action.ACKNOWLEDGE, [*map(Result, range(1, 6)), Result(6, LATE)])
    assert reported.text == (
        "5 acknowledged; #6 was resolved meanwhile. Acknowledging does not mute alerts. Check the incidents "
        "that were skipped before you try again."
    )
    assert reported.refused == (6,)


def test_those_with_the_same_reason_are_named_together() -> None:
    reported = summarize(Action.CLOSE, [Result(1, LATE), Result(2, "does not exist"), Result(3, LATE)])
    assert reported.text == (
        "Nothing was done; #1, #3 each was resolved meanwhile; #2 does not exist. Check the incidents that were "
        "skipped before you try again."
    )
    assert reported.refused == (1, 2, 3)


def test_where_all_was_done_nothing_else_is_said() -> None:
    assert summarize(Action.ACKNOWLEDGE, [Result(1)]).text == "1 acknowledged. Acknowledging does not mute alerts."
    assert summarize(Action.NOTE, [Result(1)]).text == "1 given the note."


@pytest.mark.parametrize("action", [Action.ACKNOWLEDGE, Action.UNACKNOWLEDGE, Action.CLOSE])
def test_every_refusal_has_words_that_name_the_state(action: Action) -> None:
    for state in set(State) - {state for state, allowed in ALLOWED.items() if action in allowed}:
        assert not_allowed(action, state).startswith(f"is {state}")
    assert not_allowed(Action.CLOSE, State.OPEN) == "is open: acknowledge it before you close it"
    assert not_allowed(Action.UNACKNOWLEDGE, State.CLOSED) == "is closed, so it cannot be taken back"
