"""Markers: over the API and on pages, on the curves of a model and of its incidents, and on their timelines."""

from __future__ import annotations

import re
from urllib.parse import urljoin

import httpx
import pytest

from sentryml_common.http.problems import MEDIA_TYPE
from sentryml_common.postgres.pool import Pool
from sentryml_incidents.domain.roles import Role
from sentryml_incidents.usecases import markers as usecase
from tests.integration.incidents.conftest import Life, SignedIn, StillClock
from tests.integration.incidents.test_pages import text_of
from tests.support.signing_in import SAME_ORIGIN
from tests.unit.incidents.builders import MODEL, at

PATH = f"/v1/models/{MODEL}/markers"


async def add(api: httpx.AsyncClient, text: str = "deployed 2.3", minute: float | None = 1) -> httpx.Response:
    when = {} if minute is None else {"at": at(minute).isoformat()}
    return await api.post(PATH, json={"text": text, **when})


async def test_a_marker_is_added_listed_and_deleted(api: httpx.AsyncClient, life: Life, clock: StillClock) -> None:
    clock.now = at(5)
    first, second = (await add(api)).json(), (await add(api, "holiday", None)).json()
    assert (first["text"], first["at"], first["made_by"]["type"]) == ("deployed 2.3", "2026-11-23T09:16:00Z", "api_key")
    assert second["at"] == "2026-11-23T09:20:00Z"
    assert (await api.get(PATH)).json() == {"items": [second, first], "next_cursor": None}
    page = (await api.get(PATH, params={"limit": 1})).json()
    rest = (await api.get(PATH, params={"limit": 1, "cursor": page["next_cursor"]})).json()
    assert [*page["items"], *rest["items"]] == [second, first]
    assert (await api.delete(f"{PATH}/{first['marker_id']}")).status_code == 204
    gone = await api.delete(f"{PATH}/{first['marker_id']}")
    assert (gone.status_code, gone.json()["type"]) == (404, "urn:sentryml:problem:unknown-marker")
    assert (await api.get(PATH)).json()["items"] == [second]


async def test_the_same_text_at_the_same_time_is_the_same_marker(api: httpx.AsyncClient, life: Life) -> None:
    first, again = await add(api), await add(api)
    assert (again.status_code, again.json()) == (201, first.json())
    assert (await add(api, "deployed 2.4")).json()["marker_id"] != first.json()["marker_id"]
    assert len((await api.get(PATH)).json()["items"]) == 2


@pytest.mark.parametrize(
    "body",
    [
        {}, {"text": ""}, {"text": "  "}, {"text": "x" * 201}, {"text": "a\0b"}, {"text": "a\nb"}, {"text": 5},
        {"text": "x", "at": "2026-11-23T09:15:00"}, {"text": "x", "at": 5}, {"text": "x", "severity": "high"},
    ],
    ids=str,
)  # fmt: skip
async def test_what_is_no_marker_is_refused(api: httpx.AsyncClient, life: Life, body: object) -> None:
    answer = await api.post(PATH, json=body)
    assert (answer.status_code, answer.headers["Content-Type"]) == (422, MEDIA_TYPE)


async def test_only_the_newest_are_kept(
    api: httpx.AsyncClient, life: Life, clock: StillClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(usecase, "MOST_KEPT", 2)
    for minute in range(4):
        clock.now = at(10 + minute)
        await add(api, f"number {minute}", minute=-minute)
    assert [each["text"] for each in (await api.get(PATH)).json()["items"]] == ["number 2", "number 3"]


async def test_an_unknown_model_has_none(api: httpx.AsyncClient) -> None:
    for answer in (await api.get(PATH), await add(api)):
        assert (answer.status_code, answer.json()["type"]) == (404, "urn:sentryml:problem:unknown-model")


async def test_a_marker_is_on_both_curves_and_on_the_timeline_in_its_place(
    api: httpx.AsyncClient, reader: httpx.AsyncClient, life: Life, clock: StillClock
) -> None:
    await life.sees("ok", "ok", "critical", "critical")
    await add(api, "deployed \u202e2.3", minute=2.5)
    clock.now = at(5)
    model, incident = await reader.get(f"/models/{MODEL}"), await reader.get("/incidents/1")
    for page in (model, incident):
        assert 'class="event event-marker"><title>deployed [U+202E]2.3</title>' in page.text
        assert "a marker" in text_of(page)
    timeline = text_of(incident).partition("Timeline")[2]
    assert re.search(r"Opened as critical .* 09:17:30 UTC marker deployed \[U\+202E\]2\.3", timeline)


async def test_what_was_marked_in_the_current_window_before_is_in_the_alert_and_stays_when_it_is_deleted(
    api: httpx.AsyncClient, life: Life, clock: StillClock
) -> None:
    await life.sees("ok", "ok")
    for text, minute in (("long ago", -3 * 24 * 60), ("holiday", -30), ("deployed 2.3", 2.5), ("planned", 60)):
        added = await add(api, text, minute)
        assert added.status_code == 201
    await life.sees("critical", "ok")
    steps = (await api.get("/v1/incidents/1/timeline")).json()["items"]
    assert [(each["kind"], [marked["text"] for marked in each.get("markers", ())]) for each in steps] == [
        ("opened", ["deployed 2.3", "holiday"]),
        ("resolved", []),
    ]
    for each in (await api.get(PATH)).json()["items"]:
        await api.delete(f"{PATH}/{each['marker_id']}")
    assert (await api.get("/v1/incidents/1/timeline")).json()["items"] == steps


async def test_responders_add_and_delete_markers_on_the_page_and_viewers_see_them(
    signed_in: SignedIn, life: Life, clock: StillClock
) -> None:
    clock.now = at(5)
    responder, viewer = await signed_in("rosa", Role.RESPONDER), await signed_in("vera")
    form = {"text": " deployed  2.3 ", "at": "2026-11-23T09:16"}
    answer = await responder.post(f"/models/{MODEL}/markers", data=form, headers=SAME_ORIGIN)
    assert (answer.status_code, answer.headers["location"]) == (303, f"../../models/{MODEL}#markers")
    page = await viewer.get(f"/models/{MODEL}")
    assert "23 Nov 2026, 09:16:00 UTC : deployed 2.3" in text_of(page)
    assert "Add marker" not in page.text
    assert (await viewer.post(f"/models/{MODEL}/markers", data={"text": "x"}, headers=SAME_ORIGIN)).status_code == 403
    mine = await responder.get(f"/models/{MODEL}")
    [path] = re.findall(r'action="([^"]*/markers/[^"]*/delete)"', mine.text)
    for _ in range(2):
        assert (await responder.post(urljoin(str(mine.url), path), headers=SAME_ORIGIN)).status_code == 303
    assert "deployed 2.3</li>" not in (await viewer.get(f"/models/{MODEL}")).text


@pytest.mark.parametrize(
    ("form", "words"),
    [
        ({"text": " "}, "Say what happened"),
        ({"text": "x" * 201}, "at most 200 characters"),
        ({"text": "a\x01b"}, "one line of at most 200 characters"),
        ({"text": "x", "at": "yesterday"}, "must be like 2026-11-23T09:15"),
    ],
)
async def test_a_form_that_does_not_fit_is_refused_in_words(
    signed_in: SignedIn, life: Life, form: dict[str, str], words: str
) -> None:
    responder = await signed_in("rosa", Role.RESPONDER)
    answer = await responder.post(f"/models/{MODEL}/markers", data=form, headers=SAME_ORIGIN)
    assert answer.status_code == 422
    assert words in text_of(answer)


async def test_markers_are_deleted_with_their_model(api: httpx.AsyncClient, life: Life, pool: Pool) -> None:
    await add(api)
    offered = (await api.delete(f"/v1/models/{MODEL}")).json()["confirmation"]
    assert (await api.delete(f"/v1/models/{MODEL}", params={"confirmation": offered})).status_code == 204
    assert await pool.fetchval("SELECT count(*) FROM marker") == 0
