"""The pages as a browser gets them, through the real application on a real PostgreSQL."""

from __future__ import annotations

import re

import httpx
import pytest

from sentryml_common.postgres.pool import Pool
from tests.integration.incidents.conftest import Life, MakeBrowser, StillClock, register
from tests.unit.incidents.builders import IDS, MODEL, a_categorical_bin, at, quick


def text_of(answer: httpx.Response) -> str:
    """What is read on a page, tags left out."""
    return " ".join(re.sub(r"<[^>]+>", " ", answer.text).split())


def numbers_of(answer: httpx.Response) -> list[int]:
    """The numbers of the incidents that a list shows, in its order."""
    return [int(number) for number in re.findall(r'<a href="[^"]*incidents/\d+">#(\d+)', answer.text)]


async def test_the_start_leads_to_the_overview(anonymous: httpx.AsyncClient) -> None:
    answer = await anonymous.get("/")
    assert (answer.status_code, answer.headers["location"]) == (302, "models")


async def test_an_empty_list_says_what_will_be_here(reader: httpx.AsyncClient) -> None:
    assert "No incident yet. One is opened here when" in text_of(await reader.get("/incidents"))
    assert "No incident yet." in text_of(await reader.get("/incidents?state=resolved"))


async def test_the_list_shows_severity_state_model_and_psi_in_words(
    reader: httpx.AsyncClient, life: Life, clock: StillClock
) -> None:
    await life.sees("warn", "critical")
    clock.now = at(121)
    answer = await reader.get("/incidents")
    why = "Scores higher than in the baseline; scores from 0.92 up: 4.0 % → 19 %"
    assert f"#1 flights-delay {why} ▲ critical open 2 h ago 0.50 0.50" in text_of(answer)
    assert 'href="./incidents/1"' in answer.text
    assert 'title="2026-11-23 09:16:00 UTC"' in answer.text


async def test_an_incident_says_what_why_since_when_and_what_next(
    reader: httpx.AsyncClient, life: Life, clock: StillClock
) -> None:
    await life.sees("warn", "critical")
    clock.now = at(91)
    text = text_of(await reader.get("/incidents/1"))
    assert "flights-delay has been drifting critically for 1 h 30 min; latest PSI 0.50." in text
    assert "scores from 0.92 up: 4.0 % → 19 %" in text
    assert "Acknowledging says that you have seen it. It does not mute alerts." in text
    assert "It resolves by itself after one clean evaluation" in text
    assert (
        "Escalated to critical The drift of flights-delay got worse: PSI is above the critical threshold. by SentryML"
        in text
    )
    timeline = text.rpartition("Timeline")[2]
    assert timeline.index("Escalated to critical") < timeline.index("Opened as warning"), "newest first"


async def test_an_incident_shows_its_psi_and_the_bins_that_moved_as_pictures(
    reader: httpx.AsyncClient, life: Life, clock: StillClock
) -> None:
    await life.sees("ok", "warn", "critical", "ok")
    clock.now = at(20)
    answer = await reader.get("/incidents/1")
    assert 'aria-label="PSI from before the incident on, at most 0.50"' in answer.text
    for step in ("Opened as warning", "Escalated to critical", "Resolved"):
        assert re.search(rf"<title>{step}: [^<]+</title>", answer.text), step
    assert "4.0\u00a0% → 19\u00a0%" in answer.text, "a figure and its unit stay on one line"
    for kind in ("score", "warn", "critical", "noise"):
        assert f'class="line line-{kind}"' in answer.text
    assert 'class="bin bin-moved"' in answer.text


async def test_every_turning_point_can_be_shown(reader: httpx.AsyncClient, life: Life, clock: StillClock) -> None:
    await life.sees("warn", "critical", "warn", "ok", psi=None)
    clock.now = at(20)
    page = await reader.get("/incidents/1")
    links = re.findall(r'href="\.\.(/incidents/1\?evaluation=[^"#]+)#evidence"[^>]*>([a-z, -]+) <span', page.text)
    assert [called for _, called in links] == ["opened", "escalated, peak", "de-escalated", "resolved"]
    assert 'aria-current="true">escalated, peak' in page.text, "the worst, unless another is asked for"
    for (link, called), (when, psi) in zip(
        links,
        (("When it opened", 0.15), ("When it got critical, at its worst", 0.5),
         ("When it de-escalated to warning", 0.15), ("When it resolved", 0.02)),
        strict=True,
    ):  # fmt: skip
        shown = await reader.get(link)
        assert f'aria-current="true">{called}' in shown.text
        assert f"{when}: 22 Nov 2026" in text_of(shown)
        assert f"Score: PSI {psi:.2f}" in text_of(shown)
    timeline = page.text.partition('id="timeline"')[2]
    assert [link for link, _ in links][::-1] == re.findall(
        r'"\.\.(/incidents/1\?evaluation=[^"#]+)#evidence"', timeline
    )


async def test_a_live_incident_shows_the_last_evaluation_while_that_drifts(
    reader: httpx.AsyncClient, life: Life
) -> None:
    await life.sees("critical", "critical")
    page = await reader.get("/incidents/1")
    assert 'aria-current="true">latest evaluation' in page.text
    assert (await reader.get(f"/incidents/1?evaluation={IDS}")).status_code == 404
    assert "This incident keeps no such evaluation." in text_of(await reader.get(f"/incidents/1?evaluation={IDS}"))
    assert (await reader.get("/incidents/1?evaluation=odd")).status_code == 422


async def test_an_incident_that_is_over_is_shown_as_bad_as_it_was(reader: httpx.AsyncClient, life: Life) -> None:
    await life.sees("critical", "warn")
    assert "△ warn open ▲ was critical" in text_of(await reader.get("/incidents/1"))
    await life.sees("ok")
    page = text_of(await reader.get("/incidents/1"))
    assert page.startswith("#1 resolved, was critical: flights-delay · SentryML")
    assert "resolved ▲ was critical" in page
    assert "drifted for 2 min, critically at its worst, up to a PSI of 0.50; the incident is resolved." in page


async def test_an_incident_leads_to_those_before_and_after_it_and_to_what_judged_it(
    reader: httpx.AsyncClient, life: Life
) -> None:
    for _ in range(3):
        await life.sees("warn", "ok")
        life.minute += 61
    text = text_of(await reader.get("/incidents/2"))
    assert "Other incidents of this model ← #1 before, #3 → after" in text.replace(" ,", ",")
    assert "Evaluated with version 1 of its monitor ." in text
    assert "#1 before" not in text_of(await reader.get("/incidents/1"))
    assert "after" not in text_of(await reader.get("/incidents/3")).partition("Other incidents")[2].partition("Why")[0]


async def test_the_events_behind_each_evaluation_are_drawn(
    reader: httpx.AsyncClient, life: Life, clock: StillClock
) -> None:
    await life.sees("warn")
    life.minute += 4
    await life.sees("critical")
    clock.now = at(20)
    page = await reader.get("/incidents/1")
    assert "Events in the current window 2,786" in text_of(page)
    assert page.text.count('class="count"') == 2


async def test_pages_say_when_they_travel_unencrypted(
    reader: httpx.AsyncClient, browser_with: MakeBrowser, anonymous: httpx.AsyncClient
) -> None:
    says = "This connection is not encrypted."
    assert says in text_of(await reader.get("/incidents"))
    assert says in text_of(await anonymous.get("/sign-in"))
    for address in ("http://127.0.0.1:8080", "https://sentryml.test"):
        assert says not in text_of(await browser_with(public_url=address).get("/sign-in")), address


async def test_an_incident_is_found_by_its_id_too(
    reader: httpx.AsyncClient, api: httpx.AsyncClient, life: Life
) -> None:
    await life.sees("critical")
    incident_id = (await api.get("/v1/incidents/1")).json()["incident_id"]
    assert (await reader.get(f"/incidents/{incident_id}")).status_code == 200


@pytest.mark.parametrize("grades", [["warn", "ok"], ["warn", "insufficient"], ["critical", "warn", "hold"]])
async def test_every_state_has_a_page(
    reader: httpx.AsyncClient, api: httpx.AsyncClient, life: Life, clock: StillClock, grades: list[str]
) -> None:
    await life.sees(*grades)
    clock.now = at(5)
    for action in ("acknowledge", "close", "notes"):
        assert (await reader.get("/incidents/1")).status_code == 200
        await api.post(f"/v1/incidents/1/{action}", json={"note": "looking"})
    text = text_of(await reader.get("/incidents/1"))
    assert "the incident is closed." in text or "when the incident was closed." in text
    assert "Note ana's key added a note. looking by ana's key".replace("'", "&#39;") in text


async def test_what_strangers_wrote_is_text_never_markup(
    reader: httpx.AsyncClient, api: httpx.AsyncClient, life: Life
) -> None:
    attack = "<script>alert(1)</script>\"'><img src=x onerror=alert(1)>"
    await life.sees("critical", bins=(a_categorical_bin(attack, 0.1, 0.5),))
    await api.post("/v1/incidents/1/notes", json={"note": attack})
    answer = await reader.get("/incidents/1")
    assert "&lt;script&gt;alert(1)&lt;/script&gt;" in answer.text
    assert "<script>" not in answer.text
    assert "<img" not in answer.text
    assert "default-src 'none'" in answer.headers["Content-Security-Policy"]


@pytest.mark.parametrize("reference", ["2", "0", "nonsense", "9" * 40, "%00", "%3Cscript%3E"])
async def test_an_unknown_incident_is_a_page_that_says_so(
    reader: httpx.AsyncClient, life: Life, reference: str
) -> None:
    answer = await reader.get(f"/incidents/{reference}")
    assert answer.status_code == 404
    assert "There is no incident " in answer.text
    assert "<script>" not in answer.text


async def test_without_postgres_a_page_says_so(reader: httpx.AsyncClient, pool: Pool) -> None:
    await pool.close()
    for path in ("/incidents", "/incidents/1"):
        answer = await reader.get(path)
        assert answer.status_code == 503
        assert int(answer.headers["Retry-After"]) > 0
        assert "Nothing is lost" in answer.text


async def test_every_address_in_a_page_is_there(reader: httpx.AsyncClient, life: Life) -> None:
    await life.sees("warn", "ok")
    life.minute += 61
    await life.sees("critical")
    for path in ("/incidents", "/incidents/2"):
        page = await reader.get(path)
        for link in re.findall(r'(?:href|src)="([^"]+)"', page.text):
            target = httpx.URL(f"http://sentryml.test{path}").join(link.replace("&amp;", "&"))
            # There is no notifier here, and its page says so; test_alert_pages.py follows its links with one.
            there = 503 if target.path == "/alerts" else 200
            assert (await reader.get(str(target))).status_code == there, link


async def test_a_model_named_like_nothing_good_is_shown_as_it_is(reader: httpx.AsyncClient, pool: Pool) -> None:
    name = "a" * 128
    await register(pool, name, quick())
    await Life(pool, model_id=name).sees("critical")
    assert name in (await reader.get("/incidents/1")).text
    assert MODEL not in (await reader.get("/incidents")).text
