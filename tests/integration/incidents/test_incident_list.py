"""The list of incidents as people read it, and what they do to many at once. On a real PostgreSQL."""

from __future__ import annotations

import re
from html import unescape
from uuid import UUID

import httpx
import pytest

from sentryml_common.postgres.pool import Pool
from tests.integration.incidents.conftest import Life, StillClock, register
from tests.integration.incidents.test_delivery_pages import tell
from tests.integration.incidents.test_pages import numbers_of, text_of
from tests.support.signing_in import submit
from tests.unit.incidents.builders import at, quick

LIST, BULK = "/incidents", "/incidents/bulk"


async def live(pool: Pool, model_id: str, *grades: str, minute: float = 0, psi: float | None = None) -> Life:
    """A model that has lived through some evaluations."""
    await register(pool, model_id, quick())
    found = Life(pool, model_id=model_id, minute=minute)
    await found.sees(*grades, psi=psi)
    return found


def link_of(page: httpx.Response, text: str) -> str | None:
    """Where the link with this text leads."""
    found = re.search(rf'href="\.([^"]+)"[^>]*>{re.escape(text)}', page.text)
    return unescape(found[1]) if found else None


async def walk(reader: httpx.AsyncClient, path: str, way: str) -> list[httpx.Response]:
    """The pages from one on, by the link that says `way`."""
    pages = [await reader.get(path)]
    while (link := link_of(pages[-1], way)) is not None:
        pages.append(await reader.get(link))
    return pages


async def test_every_order_goes_on_page_by_page_and_back_again(reader: httpx.AsyncClient, pool: Pool) -> None:
    models = {number: f"m{number * 37 % 103:03}" for number in range(1, 104)}
    peaks = {number: 0.3 + number * 11 % 7 / 100 for number in models}
    for number, model_id in models.items():
        await live(pool, model_id, "critical", psi=peaks[number])
    orders = {
        "newest": sorted(models, reverse=True),
        "oldest": sorted(models),
        "peak": sorted(models, key=lambda number: (peaks[number], number), reverse=True),
        "model": sorted(models, key=lambda number: models[number]),
    }
    for order, expected in orders.items():
        pages = await walk(reader, f"{LIST}?order={order}&state=open", "More incidents")
        assert [len(numbers_of(page)) for page in pages] == [50, 50, 3]
        assert [number for page in pages for number in numbers_of(page)] == expected, order
        back = await walk(reader, str(pages[-1].request.url.raw_path, "ascii"), "← Previous incidents")
        assert [numbers_of(page) for page in back] == [numbers_of(page) for page in reversed(pages)], order
        assert "103 open incidents" in text_of(pages[1])


async def test_the_first_page_is_whole_also_when_one_goes_back_to_it(reader: httpx.AsyncClient, pool: Pool) -> None:
    for number in range(53):
        await live(pool, f"m{number}", "critical")
    second = link_of(await reader.get(f"{LIST}?order=oldest"), "More incidents")
    assert second is not None
    back = link_of(await reader.get(second), "← Previous incidents")
    assert back is not None
    await pool.execute("UPDATE incident SET opened_at = opened_at - interval '1 year' WHERE incident_number < 9")
    shown = numbers_of(await reader.get(f"{back}&from=2026-11-01"))
    assert shown == list(range(9, 54)), "eight of what was before are left out now"


@pytest.fixture
async def zoo(pool: Pool, clock: StillClock) -> None:
    """Incidents of all kinds: 1 is critical, 2 de-escalated to warning, 3 was critical and is over, 4 was never
    critical, 5 is acknowledged, 6 is of the next day."""
    await live(pool, "churn-a", "critical")
    await live(pool, "churn-b", "critical", "warn")
    await live(pool, "fraud-a", "critical", "warn", "ok")
    await live(pool, "fraud-b", "warn", "ok")
    await live(pool, "churn-c", "warn")
    await live(pool, "late", "critical", minute=1440)
    clock.now = at(1500)


FILTERS = (
    ("", [6, 5, 4, 3, 2, 1], "6 incidents."),
    ("state=&severity=&model=&within=&from=&to=&order=newest", [6, 5, 4, 3, 2, 1], "6 incidents."),
    ("state=live", [6, 5, 2, 1], "4 live incidents."),
    ("state=resolved", [4, 3], "2 resolved incidents."),
    ("state=closed", [], "No closed incidents."),
    ("severity=critical", [6, 3, 1], "3 critical incidents."),
    ("severity=warn", [5, 4, 2], "3 warn incidents."),
    ("model=churn-*&severity=critical", [1], "1 critical incident of models matching churn-*."),
    ("model=-a", [3, 1], "2 incidents of models with “-a” in their name."),
    ("model=churn-[ac]&order=oldest", [1, 5], "2 incidents of models matching churn-[ac], the oldest first."),
    ("model=CHURN", [], "No incidents of models with “CHURN” in their name."),
    ("model=%5B%5C%28.%2B", [], "No incidents of models matching [\\(.+."),
    ("within=day", [6], "1 incident opened in the last 24 hours."),
    ("from=2026-11-24", [6], "1 incident opened from 24 Nov 2026 (UTC)."),
    ("to=2026-11-23", [5, 4, 3, 2, 1], "5 incidents opened to 23 Nov 2026 (UTC)."),
    ("undeliverable=true", [], "No incidents with an undeliverable message. No message is undeliverable."),
)


async def test_filters_leave_what_they_say(zoo: None, reader: httpx.AsyncClient) -> None:
    for query, numbers, text in FILTERS:
        answer = await reader.get(f"{LIST}?{query}")
        assert numbers_of(answer) == numbers, query
        assert text in text_of(answer), query
        assert numbers or "Remove a filter, or see all incidents ." in text_of(answer)


async def test_each_filter_can_be_taken_away_and_the_form_keeps_what_was_asked(
    zoo: None, reader: httpx.AsyncClient
) -> None:
    answer = await reader.get(f"{LIST}?state=live&severity=critical&model=churn-*&to=2026-11-23&order=oldest")
    for chip, numbers in (
        ("live", [1]), ("critical", [1, 2, 5]), ("models matching churn-*", [1]), ("opened to 23 Nov 2026 (UTC)", [1]),
    ):  # fmt: skip
        link = link_of(answer, f"{chip} <span")
        assert link is not None, chip
        assert numbers_of(await reader.get(link)) == numbers, chip
        assert "order=oldest" in link
    for kept in ('value="live"', "<option selected>critical", 'value="churn-*"', 'value="2026-11-23"'):
        assert kept in answer.text, kept
    assert numbers_of(await reader.get("/incidents")) == [6, 5, 4, 3, 2, 1]


async def test_a_row_says_how_bad_it_is_and_was_who_knows_and_what_went_wrong(
    zoo: None, ana: httpx.AsyncClient, pool: Pool
) -> None:
    await submit(ana, "/incidents/5", "/incidents/5/acknowledge", seen='"v1"')
    await tell(pool, "parked", number=1)
    await tell(pool, "no_route", number=2, sequence=1)
    text = text_of(await ana.get(LIST))
    assert "△ warn acknowledged by ana 1 d ago" in text
    assert "△ warn ▲ was critical open 1 d ago" in text
    assert "▲ was critical resolved 1 d ago , lasted 2 min" in text
    assert "△ was warn resolved" in text
    assert "#1 churn-a ✕ 1 message undeliverable" in text
    assert "#2 churn-b ✕ 1 alert had no route" in text
    assert "(3 open) Incidents" in text
    assert "all live 4 open 3 acknowledged 1 resolved closed" in text


@pytest.mark.parametrize(
    "query",
    ["state=odd", "severity=odd", "order=odd", "from=soon", "model=%00", "after=odd", "order=peak&after=WzFd",
     "model=" + "x" * 129, "order=model&before=WyJcdTAwMDAiLDFd", "group=7"],
)  # fmt: skip
async def test_what_cannot_be_asked_for_is_a_page_that_says_so(reader: httpx.AsyncClient, query: str) -> None:
    answer = await reader.get(f"{LIST}?{query}")
    assert answer.status_code == 422
    assert "Sign out" in answer.text


def boxes(page: httpx.Response, name: str) -> list[str]:
    """The values of a form's boxes."""
    return re.findall(rf'name="{name}" value="([^"]+)"', page.text)


async def states(api: httpx.AsyncClient) -> list[str]:
    items = (await api.get("/v1/incidents")).json()["items"]
    return [item["state"] for item in reversed(items)]


async def test_ticked_incidents_are_acknowledged_under_ones_name_and_the_list_says_so(
    zoo: None, ana: httpx.AsyncClient, api: httpx.AsyncClient
) -> None:
    page = await ana.get(f"{LIST}?state=open")
    assert boxes(page, "picked") == ["6 v1", "5 v1", "2 v2", "1 v1"]
    answer = await submit(
        ana, LIST, f"{BULK}?state=open", do="acknowledge", picked=["5 v1", "1 v1"], note=" on  it "
    )  # fmt: skip
    assert answer.status_code == 200
    assert "2 acknowledged. Acknowledging does not mute alerts." in text_of(answer)
    assert numbers_of(answer) == [6, 2], "the filter is kept"
    assert await states(api) == ["acknowledged", "open", "resolved", "resolved", "acknowledged", "open"]
    step = (await api.get("/v1/incidents/1/timeline")).json()["items"][-1]
    assert (step["kind"], step["actor"]["name"], step["note"], step["alert"]) == (
        "acknowledged",
        "ana",
        "on  it",
        False,
    )


async def test_all_open_ones_of_a_page_are_acknowledged_without_a_tick(
    zoo: None, ana: httpx.AsyncClient, api: httpx.AsyncClient
) -> None:
    page = await ana.get(f"{LIST}?model=churn")
    assert "Acknowledge all 3 open here" in text_of(page)
    data = {"do": "acknowledge-shown", "shown": boxes(page, "shown"), "picked": ["6 v1"]}
    assert "3 acknowledged." in text_of(await submit(ana, LIST, f"{BULK}?model=churn", **data))
    assert await states(api) == ["acknowledged", "acknowledged", "resolved", "resolved", "acknowledged", "open"]
    close = {"do": "close", "picked": ["1 v2", "3 v3"]}
    assert "2 closed. Those that still drift stay quiet" in text_of(await submit(ana, LIST, BULK, **close))
    back = {"do": "unacknowledge", "picked": ["2 v3"]}
    assert "1 taken back: open again." in text_of(await submit(ana, LIST, BULK, **back))
    assert await states(api) == ["closed", "open", "closed", "resolved", "acknowledged", "open"]


async def test_the_incidents_of_an_alert_group_are_listed_and_acknowledged_together(
    zoo: None, ana: httpx.AsyncClient, api: httpx.AsyncClient, pool: Pool
) -> None:
    group = UUID(int=7)
    for number in (1, 2, 5):
        await tell(pool, number=number, group_id=group, group_number=7)
    await tell(pool, number=6, channel="ops", group_id=UUID(int=8), group_number=8)
    page = await ana.get("/incidents/1")
    assert "delivered after 1.2 s, in alert group 7" in text_of(page)
    assert link_of(page, "Alerted together with 2 others") == f"./incidents?group={group}"
    assert "Alerted together" not in text_of(await ana.get("/incidents/6"))
    overview = await ana.get("/models")
    assert re.search(r"3 models drift since .*?▲ 1 critical △ 2 warn 3 open alert group 7", text_of(overview)), text_of(
        overview
    )
    shared = "In common: more nulls in the score: all 3; models named churn-…: all 3"
    assert shared in text_of(overview)
    assert f'href="./incidents?group={group}"' in overview.text
    assert "alert group 8" not in text_of(overview), "the same on another channel"

    listed = await ana.get(f"{LIST}?group={group}")
    assert numbers_of(listed) == [5, 2, 1]
    assert f"3 incidents of one alert group. 3 models drift. {shared}." in text_of(listed)
    assert "Acknowledge all 3 open incidents of this alert group" in text_of(listed)
    data = {"do": "acknowledge-shown", "shown": boxes(listed, "shown")}
    assert "3 acknowledged." in text_of(await submit(ana, LIST, f"{BULK}?group={group}", **data))
    assert "all acknowledged alert group 7" in text_of(await ana.get("/models"))
    assert await states(api) == ["acknowledged", "acknowledged", "resolved", "resolved", "acknowledged", "open"]


async def test_what_has_changed_since_the_list_was_made_is_left_alone(
    ana: httpx.AsyncClient, api: httpx.AsyncClient, pool: Pool
) -> None:
    recovers = await live(pool, "a", "critical")
    worsens = await live(pool, "b", "warn")
    await live(pool, "c", "critical")
    await ana.get(LIST)
    await recovers.sees("ok")
    await worsens.sees("critical")
    answer = await submit(ana, LIST, BULK, do="acknowledge", picked=["1 v1", "2 v1", "3 v1", "9 v1"])
    assert "1 acknowledged; #1 was resolved meanwhile; #2 changed meanwhile and is open; #9 does not exist." in text_of(
        answer
    )
    assert re.findall(r'value="(\d) v\d+"[^>]* checked', answer.text) == ["2", "1"], "as they stand now"
    assert await states(api) == ["resolved", "open", "acknowledged"]
    again = await submit(ana, LIST, BULK, do="close", picked=["2 v2"], note="why not")
    assert "Nothing was done; #2 is open: acknowledge it before you close it." in text_of(again)
    assert 'value="why not"' in again.text
    assert 'role="alert"' in again.text


async def test_a_form_sent_twice_does_its_work_once(ana: httpx.AsyncClient, api: httpx.AsyncClient, life: Life) -> None:
    await life.sees("critical")
    for _ in range(2):
        answer = await submit(ana, LIST, BULK, do="acknowledge", picked=["1 v1"])
        assert "1 acknowledged." in text_of(answer)
    assert len((await api.get("/v1/incidents/1/timeline")).json()["items"]) == 2


async def test_where_nothing_was_left_to_do_the_answer_says_so_and_keeps_the_note(
    ana: httpx.AsyncClient, api: httpx.AsyncClient, life: Life
) -> None:
    await life.sees("critical")
    await submit(ana, LIST, BULK, do="acknowledge", picked=["1 v1"])
    again = await submit(ana, LIST, BULK, do="acknowledge", picked=["1 v2"], note="mine")
    assert "Nothing was done; #1 was acknowledged by you before." in text_of(again)
    assert 'value="mine"' in again.text
    await submit(ana, LIST, BULK, do="close", picked=["1 v2"])
    again = await submit(ana, LIST, BULK, do="close", picked=["1 v3"])
    assert "Nothing was done; #1 was closed before." in text_of(again)
    assert len((await api.get("/v1/incidents/1/timeline")).json()["items"]) == 3


@pytest.mark.parametrize(
    ("data", "says"),
    [
        ({}, "Select at least one incident first."),
        ({"picked": ["1"]}, "This form is not valid: load the list again."),
        ({"picked": ["1 v1 v1"]}, "This form is not valid"),
        ({"picked": ["1 v1"], "note": "x" * 4001}, "A note has at most 4000 characters of text."),
        ({"picked": ["1 v1"], "do": "note"}, "do: Input should be"),
        ({"picked": ["1 v1"] * 51}, "picked: List should have at most 50 items"),
    ],
)
async def test_a_form_that_cannot_be_acted_on_changes_nothing(
    ana: httpx.AsyncClient, api: httpx.AsyncClient, life: Life, data: dict[str, str | list[str]], says: str
) -> None:
    await life.sees("critical")
    answer = await submit(ana, LIST, BULK, **({"do": "acknowledge"} | data))
    assert answer.status_code == 422
    assert says in text_of(answer)
    assert await states(api) == ["open"]


async def test_only_who_may_act_finds_boxes(life: Life, reader: httpx.AsyncClient, ana: httpx.AsyncClient) -> None:
    await life.sees("critical")
    assert boxes(await reader.get(LIST), "picked") == []
    assert "does not mute" not in text_of(await reader.get(LIST))
    assert boxes(await ana.get(LIST), "picked") == ["1 v1"]
    assert "Acknowledging does not mute alerts." in text_of(await ana.get(LIST))
    assert (await ana.get(BULK)).headers["location"] == "../incidents"
