"""Which subscribers get what, from which moment on, and how many there may be."""

from __future__ import annotations

import pytest

from sentryml_incidents.streaming import hub as module
from sentryml_incidents.streaming.events import Event, EventKind
from sentryml_incidents.streaming.hub import Hub
from sentryml_incidents.streaming.subscribers import Page, Shown, Subject

OVERVIEW, FLIGHTS = Subject(Shown.OVERVIEW), Subject(Shown.MODEL, "flights")


def happening(kind: str, model_id: str) -> Event:
    return Event(EventKind(kind), model_id, "{}")


def watch(hub: Hub, subject: Subject, since: str | None = None, session: str = "one") -> Page:
    page = hub.follow_page(session, subject, hub.now if since is None else since)
    assert page is not None
    return page


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
async def test_a_page_changes_by_what_it_shows(subject: Subject, kinds: set[str]) -> None:
    hub = Hub("")
    page = watch(hub, subject)
    for model_id, changing in (("flights", kinds), ("other", kinds if subject.model_id is None else ())):
        for kind in EventKind:
            hub.publish(happening(kind, model_id))
            assert await page.take(0) is (kind in changing), (kind, model_id)


async def test_changes_gather_while_nobody_takes_them() -> None:
    hub = Hub("")
    page = watch(hub, FLIGHTS)
    for _ in range(3):
        hub.publish(happening("transition", "flights"))
    hub.publish(happening("transition", "other"))
    assert await page.take(60)
    assert not await page.take(0)


async def test_what_happened_between_a_page_and_its_stream_changes_it() -> None:
    hub = Hub("")
    before = hub.now
    hub.publish(happening("transition", "other"))
    assert not await watch(hub, FLIGHTS, before).take(0)
    hub.publish(happening("transition", "flights"))
    assert await watch(hub, FLIGHTS, before).take(0)
    assert not await watch(hub, FLIGHTS, hub.now).take(0)


@pytest.mark.parametrize("since", ["", "x", "0.0", "00000000.1", "x.-1"])
async def test_a_moment_that_is_not_known_here_counts_as_before_everything(since: str) -> None:
    """A page that another process has made, or this one before it was restarted."""
    assert await watch(Hub(""), FLIGHTS, since).take(0)


async def test_a_moment_long_ago_is_still_known() -> None:
    hub = Hub("")
    before = hub.now
    for _ in range(10_000):
        hub.publish(happening("model", "other"))
    assert not await watch(hub, FLIGHTS, before).take(0)
    hub.publish(happening("evaluation", "flights"))
    assert await watch(hub, FLIGHTS, before).take(0)


async def test_clients_get_each_event_and_pages_one_change() -> None:
    hub = Hub("")
    client, page = hub.follow("key", lambda event: event.model_id == "flights"), watch(hub, FLIGHTS)
    events = [happening("transition", "flights"), happening("transition", "other"), happening("model", "flights")]
    for event in events:
        hub.publish(event)
    assert await client.take(60) == [events[0], events[2]]
    assert await client.take(0) == []
    assert (await page.take(60), await page.take(0)) == (True, False)


async def test_where_something_may_have_been_missed_all_pages_change() -> None:
    hub = Hub("")
    before = hub.now
    page = watch(hub, FLIGHTS)
    hub.lose_track()
    assert await page.take(0)
    assert await watch(hub, FLIGHTS, before).take(0)


async def test_no_session_opens_too_many_and_all_together_neither(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "PAGES_OF_SESSION_MAX", 2)
    monkeypatch.setattr(module, "PAGES_MAX", 3)
    hub = Hub("")
    first = watch(hub, OVERVIEW)
    watch(hub, OVERVIEW)
    assert hub.follow_page("one", OVERVIEW, hub.now) is None
    watch(hub, OVERVIEW, session="two")
    assert hub.follow_page("three", OVERVIEW, hub.now) is None
    hub.leave(first)
    assert hub.follow_page("three", OVERVIEW, hub.now) is not None


async def test_closing_ends_what_is_open_and_what_comes() -> None:
    hub = Hub("")
    page = watch(hub, OVERVIEW)
    hub.close()
    for each in (page, watch(hub, OVERVIEW)):
        assert each.ended
        assert not each.revoked
        assert not await each.take(60)
        await each.pause()
