"""The table of the state machine: every state with every event, at the limit of all counts."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from sentryml_lifecycle.events.on_action import Action
from tests.unit.incidents.builders import BEN, Story, quick, said, stands


def nothing() -> Story:
    return Story()


def opened(severity: str) -> Story:
    story = Story()
    story.sees(severity)
    return story


def acknowledged(severity: str) -> Story:
    story = opened(severity)
    story.asks(Action.ACKNOWLEDGE)
    return story


def latched(severity: str) -> Story:
    story = acknowledged(severity)
    story.asks(Action.CLOSE)
    return story


def latch_over() -> Story:
    story = latched("warn")
    story.minute += 24 * 60
    return story


def resolved() -> Story:
    story = opened("warn")
    story.sees("ok")
    return story


def resolved_before_reopen_window() -> Story:
    story = resolved()
    story.minute += 61
    return story


def closed() -> Story:
    story = resolved()
    story.asks(Action.CLOSE)
    return story


STATES: dict[str, Callable[[], Story]] = {
    "nothing": nothing,
    "closed": closed,
    "latched warn": lambda: latched("warn"),
    "latched critical": lambda: latched("critical"),
    "latch over": latch_over,
    "open warn": lambda: opened("warn"),
    "open critical": lambda: opened("critical"),
    "acknowledged warn": lambda: acknowledged("warn"),
    "acknowledged critical": lambda: acknowledged("critical"),
    "resolved": resolved,
    "resolved long": resolved_before_reopen_window,
}

EVENTS: dict[str, Callable[[Story], object]] = {
    "warn": lambda story: story.sees("warn"),
    "critical": lambda story: story.sees("critical"),
    "ok": lambda story: story.sees("ok"),
    "hold": lambda story: story.sees("hold"),
    "insufficient": lambda story: story.sees("insufficient"),
    "acknowledge": lambda story: story.asks(Action.ACKNOWLEDGE),
    "acknowledge other": lambda story: story.asks(Action.ACKNOWLEDGE, BEN),
    "unacknowledge": lambda story: story.asks(Action.UNACKNOWLEDGE),
    "close": lambda story: story.asks(Action.CLOSE),
    "note": lambda story: story.asks(Action.NOTE, note="looking"),
    "week": lambda story: story.waits(7 * 24 * 60),
    "disable": lambda story: story.changes_monitor(enabled=False),
    "thresholds": lambda story: story.changes_monitor(warn=0.12),
    "times": lambda story: story.changes_monitor(latch_seconds=60),
}

NOT_ALLOWED, UNCHANGED, APPLIED = "not_allowed", "unchanged", "applied"

# state: event → (what is said, its state)
CLOSED = {
    "warn": ("opened!", "open/warn"),
    "critical": ("opened!", "open/critical"),
    "ok": (APPLIED, "closed/warn"),
    "hold": (APPLIED, "closed/warn"),
    "insufficient": (APPLIED, "closed/warn"),
    "acknowledge": (NOT_ALLOWED, "closed/warn"),
    "acknowledge other": (NOT_ALLOWED, "closed/warn"),
    "unacknowledge": (NOT_ALLOWED, "closed/warn"),
    "close": (UNCHANGED, "closed/warn"),
    "note": ("noted", "closed/warn"),
    "week": (UNCHANGED, "closed/warn"),
    "disable": (APPLIED, "closed/warn"),
    "thresholds": (APPLIED, "closed/warn"),
    "times": (APPLIED, "closed/warn"),
}
RESOLVED = {
    "warn": ("reopened!", "open/warn"),
    "critical": ("reopened!", "open/critical"),
    "ok": (APPLIED, "resolved/warn"),
    "hold": (APPLIED, "resolved/warn"),
    "insufficient": (APPLIED, "resolved/warn"),
    "acknowledge": ("acknowledged", "resolved/warn"),
    "acknowledge other": ("acknowledged", "resolved/warn"),
    "unacknowledge": (NOT_ALLOWED, "resolved/warn"),
    "close": ("closed", "closed/warn"),
    "note": ("noted", "resolved/warn"),
    "week": ("closed", "closed/warn"),
    "disable": (APPLIED, "resolved/warn"),
    "thresholds": (APPLIED, "resolved/warn"),
    "times": (APPLIED, "resolved/warn"),
}
TABLE: dict[str, dict[str, tuple[str, str]]] = {
    "nothing": {
        "warn": ("opened!", "open/warn"),
        "critical": ("opened!", "open/critical"),
        "ok": (APPLIED, "-"),
        "hold": (APPLIED, "-"),
        "insufficient": (APPLIED, "-"),
        "acknowledge": (NOT_ALLOWED, "-"),
        "acknowledge other": (NOT_ALLOWED, "-"),
        "unacknowledge": (NOT_ALLOWED, "-"),
        "close": (NOT_ALLOWED, "-"),
        "note": (NOT_ALLOWED, "-"),
        "week": (UNCHANGED, "-"),
        "disable": (APPLIED, "-"),
        "thresholds": (APPLIED, "-"),
        "times": (APPLIED, "-"),
    },
    "closed": CLOSED,
    "latched warn": CLOSED | {"warn": (APPLIED, "closed/warn")},
    "latched critical": {
        "warn": (APPLIED, "closed/critical"),
        "critical": (APPLIED, "closed/critical"),
        "ok": (APPLIED, "closed/critical"),
        "hold": (APPLIED, "closed/critical"),
        "insufficient": (APPLIED, "closed/critical"),
        "acknowledge": (NOT_ALLOWED, "closed/critical"),
        "acknowledge other": (NOT_ALLOWED, "closed/critical"),
        "unacknowledge": (NOT_ALLOWED, "closed/critical"),
        "close": (UNCHANGED, "closed/critical"),
        "note": ("noted", "closed/critical"),
        "week": (UNCHANGED, "closed/critical"),
        "disable": (APPLIED, "closed/critical"),
        "thresholds": (APPLIED, "closed/critical"),
        "times": (APPLIED, "closed/critical"),
    },
    "latch over": CLOSED,
    "open warn": {
        "warn": (APPLIED, "open/warn"),
        "critical": ("escalated!", "open/critical"),
        "ok": ("resolved!", "resolved/warn"),
        "hold": (APPLIED, "open/warn"),
        "insufficient": ("evaluation_paused", "open/warn"),
        "acknowledge": ("acknowledged", "acknowledged/warn"),
        "acknowledge other": ("acknowledged", "acknowledged/warn"),
        "unacknowledge": (NOT_ALLOWED, "open/warn"),
        "close": (NOT_ALLOWED, "open/warn"),
        "note": ("noted", "open/warn"),
        "week": (UNCHANGED, "open/warn"),
        "disable": ("closed!", "closed/warn"),
        "thresholds": ("monitor_changed!", "open/warn"),
        "times": ("monitor_changed", "open/warn"),
    },
    "open critical": {
        "warn": ("deescalated", "open/warn"),
        "critical": (APPLIED, "open/critical"),
        "ok": ("resolved!", "resolved/critical"),
        "hold": ("deescalated", "open/warn"),
        "insufficient": ("evaluation_paused", "open/critical"),
        "acknowledge": ("acknowledged", "acknowledged/critical"),
        "acknowledge other": ("acknowledged", "acknowledged/critical"),
        "unacknowledge": (NOT_ALLOWED, "open/critical"),
        "close": (NOT_ALLOWED, "open/critical"),
        "note": ("noted", "open/critical"),
        "week": (UNCHANGED, "open/critical"),
        "disable": ("closed!", "closed/critical"),
        "thresholds": ("monitor_changed!", "open/critical"),
        "times": ("monitor_changed", "open/critical"),
    },
    "acknowledged warn": {
        "warn": (APPLIED, "acknowledged/warn"),
        "critical": ("escalated!", "open/critical"),
        "ok": ("resolved!", "resolved/warn"),
        "hold": (APPLIED, "acknowledged/warn"),
        "insufficient": ("evaluation_paused", "acknowledged/warn"),
        "acknowledge": (UNCHANGED, "acknowledged/warn"),
        "acknowledge other": ("acknowledged", "acknowledged/warn"),
        "unacknowledge": ("unacknowledged", "open/warn"),
        "close": ("closed", "closed/warn"),
        "note": ("noted", "acknowledged/warn"),
        "week": (UNCHANGED, "acknowledged/warn"),
        "disable": ("closed!", "closed/warn"),
        "thresholds": ("monitor_changed!", "acknowledged/warn"),
        "times": ("monitor_changed", "acknowledged/warn"),
    },
    "acknowledged critical": {
        "warn": ("deescalated", "acknowledged/warn"),
        "critical": (APPLIED, "acknowledged/critical"),
        "ok": ("resolved!", "resolved/critical"),
        "hold": ("deescalated", "acknowledged/warn"),
        "insufficient": ("evaluation_paused", "acknowledged/critical"),
        "acknowledge": (UNCHANGED, "acknowledged/critical"),
        "acknowledge other": ("acknowledged", "acknowledged/critical"),
        "unacknowledge": ("unacknowledged", "open/critical"),
        "close": ("closed", "closed/critical"),
        "note": ("noted", "acknowledged/critical"),
        "week": (UNCHANGED, "acknowledged/critical"),
        "disable": ("closed!", "closed/critical"),
        "thresholds": ("monitor_changed!", "acknowledged/critical"),
        "times": ("monitor_changed", "acknowledged/critical"),
    },
    "resolved": RESOLVED,
    "resolved long": RESOLVED
    | {"warn": ("closed opened!", "open/warn"), "critical": ("closed opened!", "open/critical")},
}


def test_the_table_has_every_pair() -> None:
    assert set(TABLE) == set(STATES)
    assert all(set(row) == set(EVENTS) for row in TABLE.values())


@pytest.mark.parametrize(("state", "event"), [(state, event) for state in STATES for event in EVENTS])
def test_every_state_with_every_event(state: str, event: str) -> None:
    story = STATES[state]()
    EVENTS[event](story)
    assert (said(story.decisions[-1]), stands(story.snapshot)) == TABLE[state][event]


@pytest.mark.parametrize("state", STATES)
@pytest.mark.parametrize("grade", ["ok", "hold", "warn", "critical", "insufficient"])
def test_below_the_limit_nothing_but_the_counts_moves(state: str, grade: str) -> None:
    """The same states, but three evaluations in a row are asked for: one changes neither state nor severity."""
    story = STATES[state]()
    patient = quick(
        confirm_warn=3, confirm_critical=3, confirm_deescalate=3, confirm_resolve=3, resolve_after_seconds=300
    )
    story.changes_monitor(**patient.model_dump())
    before = stands(story.snapshot)
    decision = story.sees(grade)
    assert stands(story.snapshot) == before
    assert said(decision) in {"applied", "evaluation_paused"}
