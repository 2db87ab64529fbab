"""Which open pages are told of what, from which moment on, and how many there may be."""

from __future__ import annotations

import pytest

from sentryml_incidents.streaming import pages as module
from sentryml_incidents.streaming.pages import Live, Shown, Subject, Watcher

OVERVIEW, FLIGHTS = Subject(Shown.OVERVIEW), Subject(Shown.MODEL, "flights")


def watch(live: Live, subject: Subject, since: str | None = None, session: str = "one") -> Watcher:
    watcher = live.watch(session, subject, live.now if since is None else since)
    assert watcher is not None
    return watcher


@pytest.mark.parametrize(
    ("subject", "kinds"),
    [
        (OVERVIEW, {"transition", "model"}),
        (Subject(Shown.INCIDENTS), {"transition", "delivery"}),
        (FLIGHTS, {"transition", "evaluation"}),
        (Subject(Shown.INCIDENT, "flights"), {"transition", "evaluation", "delivery"}),
        (Subject(Shown.ALERTS), {"delivery"}),
    ],
)
def test_a_page_changes_by_what_it_shows(subject: Subject, kinds: set[str]) -> None:
    every = ("transition", "evaluation", "model", "delivery")
    assert {kind for kind in every if subject.changed_by(kind, "flights")} == kinds
    assert any(subject.changed_by(kind, "other") for kind in every) is (subject.model_id is None)


async def test_changes_gather_while_nobody_takes_them() -> None:
    live = Live()
    page = watch(live, FLIGHTS)
    for _ in range(3):
        live.note("transition", "flights")
    live.note("transition", "other")
    assert await page.take(60)
    assert not await page.take(0)


async def test_what_happened_between_a_page_and_its_stream_is_told() -> None:
    live = Live()
    before = live.now
    live.note("transition", "other")
    assert not await watch(live, FLIGHTS, before).take(0)
    live.note("transition", "flights")
    assert await watch(live, FLIGHTS, before).take(0)
    assert not await watch(live, FLIGHTS, live.now).take(0)


@pytest.mark.parametrize("since", ["", "x", "0.0", "00000000.1", "x.-1"])
async def test_a_moment_that_is_not_known_here_counts_as_before_everything(since: str) -> None:
    """A page that another process has made, or this one before it was started anew."""
    assert await watch(Live(), FLIGHTS, since).take(0)


async def test_a_moment_too_long_ago_counts_as_before_everything(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "REMEMBERED", 3)
    live = Live()
    before = live.now
    for number in range(4):
        assert await watch(live, FLIGHTS, before).take(0) is False, number
        live.note("model", "other")
    assert await watch(live, FLIGHTS, before).take(0)


async def test_where_something_may_have_been_missed_all_are_told() -> None:
    live = Live()
    before = live.now
    page = watch(live, FLIGHTS)
    live.lose_track()
    assert await page.take(0)
    assert await watch(live, FLIGHTS, before).take(0)


async def test_no_session_opens_too_many_and_all_together_neither(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "PAGES_OF_SESSION_MAX", 2)
    monkeypatch.setattr(module, "PAGES_MAX", 3)
    live = Live()
    first = watch(live, OVERVIEW)
    watch(live, OVERVIEW)
    assert live.watch("one", OVERVIEW, live.now) is None
    watch(live, OVERVIEW, session="two")
    assert live.watch("three", OVERVIEW, live.now) is None
    live.leave(first)
    assert live.watch("three", OVERVIEW, live.now) is not None


async def test_closing_ends_what_is_open_and_what_comes() -> None:
    live = Live()
    page = watch(live, OVERVIEW)
    live.close()
    for each in (page, watch(live, OVERVIEW)):
        assert each.ended
        assert not each.signed_out
        assert not await each.take(60)
        await each.pause()
