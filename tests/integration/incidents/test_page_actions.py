"""What people do to an incident on its page, through the real application on a real PostgreSQL."""

from __future__ import annotations

import httpx
import pytest

from tests.integration.incidents.conftest import Life, StillClock
from tests.integration.incidents.test_pages import text_of
from tests.support.signing_in import SAME_ORIGIN, submit
from tests.unit.incidents.builders import at

PAGE = "/incidents/1"


async def test_who_may_act_finds_buttons_and_others_read_why_not(
    ana: httpx.AsyncClient, reader: httpx.AsyncClient, life: Life
) -> None:
    await life.sees("warn")
    offered = text_of(await ana.get(PAGE))
    assert (
        "Acknowledge Says that you have seen it. It does not mute alerts: you are notified again when it gets "
        "worse" in offered
    )
    page = await reader.get(PAGE)
    assert "Acknowledging, closing and writing notes is for responders; an admin can make you one." in text_of(page)
    assert "formaction" not in page.text


async def test_an_incident_is_acknowledged_closed_and_noted_under_ones_name(
    ana: httpx.AsyncClient, api: httpx.AsyncClient, life: Life, clock: StillClock
) -> None:
    await life.sees("critical")
    clock.now = at(5)
    await submit(ana, PAGE, f"{PAGE}/acknowledge", seen='"v1"', note="  on it\r\nnow ")
    await submit(ana, PAGE, f"{PAGE}/unacknowledge", seen='"v2"')
    await submit(ana, PAGE, f"{PAGE}/acknowledge", seen='"v3"')
    await submit(ana, PAGE, f"{PAGE}/close", seen='"v4"')
    page = await submit(ana, PAGE, f"{PAGE}/note", seen='"v5"', note="it was the weather")
    assert page.status_code == 200
    assert "by ana; now closed, critical" in text_of(page)
    steps = (await api.get(f"/v1{PAGE}/timeline")).json()["items"]
    assert [step["kind"] for step in steps] == [
        "opened", "acknowledged", "unacknowledged", "acknowledged", "closed", "noted",
    ]  # fmt: skip
    assert [steps[1]["note"], steps[-1]["note"]] == ["on it\nnow", "it was the weather"]
    assert (steps[1]["actor"]["type"], steps[1]["actor"]["name"]) == ("user", "ana")
    assert not any(step["alert"] for step in steps[1:])


async def test_an_incident_that_has_moved_on_is_shown_as_it_is_and_the_note_is_kept(
    ana: httpx.AsyncClient, api: httpx.AsyncClient, life: Life
) -> None:
    await life.sees("warn")
    await life.sees("critical")
    data = {"seen": '"v1"', "note": "a <long> note"}
    answer = await ana.post(f"{PAGE}/acknowledge", data=data, headers=SAME_ORIGIN)
    assert answer.status_code == 412
    assert "The incident has changed since you opened it, and nothing was done." in text_of(answer)
    assert "a &lt;long&gt; note</textarea>" in answer.text
    assert 'value="&#34;v2&#34;"' in answer.text or 'value="&quot;v2&quot;"' in answer.text
    assert (await api.get(f"/v1{PAGE}")).json()["state"] == "open"


@pytest.mark.parametrize(
    ("action", "note", "status", "says"),
    [
        ("close", "", 409, "Incident 1 is open: close is not allowed; acknowledge it first."),
        ("note", "  ", 422, "Write the note first."),
        ("note", "x" * 4001, 422, "A note has at most 4000 characters of text."),
        ("note", "a\x00b", 422, "A note has at most 4000 characters of text."),
    ],
)
async def test_what_is_not_allowed_is_said_on_the_page(
    ana: httpx.AsyncClient, api: httpx.AsyncClient, life: Life, action: str, note: str, status: int, says: str
) -> None:
    await life.sees("critical")
    answer = await submit(ana, PAGE, f"{PAGE}/{action}", seen='"v1"', note=note)
    assert answer.status_code == status
    assert says in text_of(answer)
    assert "flights-delay has been drifting critically" in text_of(answer)
    assert len((await api.get(f"/v1{PAGE}/timeline")).json()["items"]) == 1


async def test_links_of_a_page_that_answers_a_form_are_right_too(ana: httpx.AsyncClient, life: Life) -> None:
    await life.sees("warn", "ok")
    life.minute += 61
    await life.sees("critical")
    answer = await submit(ana, "/incidents/2", "/incidents/2/close", seen='"v1"')
    assert answer.status_code == 409
    assert 'href="../../incidents/1"' in answer.text
    assert 'href="../../static/app.' in answer.text


@pytest.mark.parametrize("data", [{}, {"seen": "*"}, {"seen": '"v1", "v2"'}])
async def test_one_acts_only_on_what_one_has_seen(ana: httpx.AsyncClient, life: Life, data: dict[str, str]) -> None:
    await life.sees("critical")
    assert (await submit(ana, PAGE, f"{PAGE}/acknowledge", **data)).status_code == 422
