"""The pages of models: the overview and one model, through the real application on a real PostgreSQL."""

from __future__ import annotations

import re
from datetime import timedelta

import httpx
import pytest

from sentryml_common.contracts.activity import Activity, PaneCount, RecentEvent
from sentryml_common.postgres.pool import Pool, transaction
from sentryml_incidents.consumer import ActivityConsumer
from sentryml_incidents.store.monitors import register_model
from tests.integration.incidents.conftest import Life, StillClock, register
from tests.integration.incidents.test_pages import text_of
from tests.unit.incidents.builders import MODEL, MONDAY, at, quick


def an_activity(event_id: str) -> Activity:
    minute = timedelta(minutes=1)
    return Activity(
        model_id=MODEL, at=at(60), first_seen=MONDAY, last_seen=at(59), fine_pane_seconds=60, coarse_pane_seconds=3600,
        fine_panes=tuple(PaneCount(start=MONDAY + number * minute, count=10 * number) for number in range(60)),
        coarse_panes=(), late=3, future=1, signals=(),
        recent=(RecentEvent(timestamp=at(59), prediction="late", score=0.93, event_id=event_id),),
    )  # fmt: skip


async def test_without_models_the_overview_says_how_to_send_the_first_event(reader: httpx.AsyncClient) -> None:
    text = text_of(await reader.get("/models"))
    assert "No model yet" in text
    assert 'curl -X POST "$SENTRYML_INGEST_URL/v1/events"' in text


async def test_overview_shows_what_drifts_first_and_every_model_with_its_status(
    reader: httpx.AsyncClient, pool: Pool, life: Life, clock: StillClock
) -> None:
    for model_id in ("a-new-one", "churn", "starved"):
        await register(pool, model_id, quick())
    await Life(pool, "churn").sees("ok", "ok")
    await Life(pool, "starved").sees("insufficient")
    assert "Nothing drifts" in text_of(await reader.get("/models"))
    await life.sees("ok", "critical")
    clock.now = at(3)
    text = text_of(await reader.get("/models"))
    assert "Nothing drifts" not in text
    drifting, _, everything = text.partition("All models")
    assert re.findall(r"flights-delay ▲ critical 0\.50 .*? #1 ▲ critical open", drifting)
    assert "churn" not in drifting
    for row in ("a-new-one … new –", "churn ✓ ok", "flights-delay ▲ critical", "starved … no events –"):
        assert row in everything


async def test_overview_is_searched_and_paged_on_the_server(reader: httpx.AsyncClient, pool: Pool) -> None:
    for number in range(35):
        await register(pool, f"model-{number:02}", quick())
    await register(pool, "other", quick())
    first = await reader.get("/models?search=model-")
    assert re.findall(r'href="\./models/(model-\d\d)"', first.text) == [f"model-{number:02}" for number in range(30)]
    link = re.search(r'href="\./(models\?after=[^"]+)"', first.text)
    assert link is not None
    second = await reader.get("/" + link[1].replace("&amp;", "&"))
    assert re.findall(r'href="\./models/([\w-]+)"', second.text) == [f"model-{number:02}" for number in range(30, 35)]
    assert "No model begins with “x”" in text_of(await reader.get("/models?search=x"))


async def test_a_model_says_how_it_is_doing_what_is_compared_and_what_it_predicts(
    reader: httpx.AsyncClient, pool: Pool, life: Life, clock: StillClock
) -> None:
    await life.sees("ok", "warn", "critical")
    await ActivityConsumer(pool, quick()).take_all([an_activity("flight 17")])
    clock.now = at(60)
    answer = await reader.get(f"/models/{MODEL}")
    text = text_of(answer)
    for words in (
        "▲ critical Incident #1", "PSI is above the critical threshold.", "scores from 0.92 up: 4.0 % → 19 %",
        "Since the first event.", "Baseline against current: score", "What is compared",
        "Refused so far: 3 too late, 1 from the future", "flight 17", "up to a PSI of 0.50",
    ):  # fmt: skip
        assert words in text, words
    assert answer.text.count('class="line line-score"') == 1
    assert 'aria-label="PSI over a day, at most 0.50"' in answer.text
    assert "<title>Incident #1 opened</title>" in answer.text


@pytest.mark.parametrize("days", [1, 7, 30, 90])
async def test_the_curve_goes_back_as_far_as_asked_and_keeps_its_peaks(
    reader: httpx.AsyncClient, pool: Pool, days: int
) -> None:
    """One bad look among good ones is seen at every zoom, and not at the next smaller one."""
    begin = MONDAY - timedelta(days=200)
    async with transaction(pool) as connection:
        await register_model(connection, "old", quick(), first_seen=begin, last_seen=MONDAY)
    life = Life(pool, "old", minute=-days * 24 * 60 + 20)
    await life.sees("critical", *["ok"] * 20)
    assert "at most 0.50" in (await reader.get(f"/models/old?days={days}")).text
    if days > 1:
        assert "at most 0.50" not in (await reader.get("/models/old?days=1")).text


@pytest.mark.parametrize("path", ["/models/nobody", "/models/%00", "/models/%3Cscript%3E"])
async def test_an_unknown_model_is_a_page_that_says_so(reader: httpx.AsyncClient, path: str) -> None:
    answer = await reader.get(path)
    assert answer.status_code == 404
    assert "has been seen" in answer.text
    assert "<script>" not in answer.text


async def test_odd_questions_are_answered_in_words(reader: httpx.AsyncClient, life: Life) -> None:
    for query in ("days=2", "days=x"):
        answer = await reader.get(f"/models/{MODEL}?{query}")
        assert answer.status_code == 422
        assert "days" in answer.text
    assert (await reader.get("/models?after=%00")).status_code == 422


async def test_what_strangers_wrote_is_text_never_markup(
    reader: httpx.AsyncClient, pool: Pool, life: Life, clock: StillClock
) -> None:
    await ActivityConsumer(pool, quick()).take_all([an_activity("<script>alert(1)</script>")])
    answer = await reader.get(f"/models/{MODEL}")
    assert "&lt;script&gt;" in answer.text
    assert "<script>" not in answer.text


async def test_models_need_a_sign_in(anonymous: httpx.AsyncClient) -> None:
    for path in ("/models", f"/models/{MODEL}"):
        assert (await anonymous.get(path)).status_code == 303
