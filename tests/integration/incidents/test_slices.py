"""Versions and segments, from an evaluation to the pages, the API and what is published."""

from __future__ import annotations

from collections.abc import Iterable

import httpx
import orjson

from sentryml_common.contracts.evaluation import Evaluation, SliceEvaluation, Slicing
from sentryml_common.postgres.pool import Pool, transaction
from sentryml_incidents.store.evaluations.evaluations import list_evaluations
from tests.integration.incidents.conftest import Life, StillClock
from tests.integration.incidents.test_pages import text_of
from tests.unit.incidents.builders import MODEL, an_evaluation, at
from tests.unit.incidents.test_slice_text import a_segment, a_slice

SENTENCE = "version “2.3” began 2 min before; among its predictions PSI 0.61, among the others PSI 0.02"
STRANGE = "\u202eeu\ufeff<b>"


def sliced(minute: float, grade: str, slices: Iterable[SliceEvaluation]) -> Evaluation:
    return an_evaluation(grade, at(minute)).model_copy(update={"slices": tuple(slices)})


async def a_new_version(life: Life) -> None:
    """Ten minutes of 2.2, then 2.3 beside it, with which predictions drift."""
    for minute in range(1, 11):
        await life.take(sliced(minute, "ok", [a_slice("2.2", 0.01, None, share=1.0), a_segment(STRANGE, 0.01, None)]))
    for minute in (12, 13):
        new = a_slice("2.3", 0.61, 0.02, began=minute - 2, share=0.2 * (minute - 11))
        slices = [a_slice("2.2", 0.02, 0.61, share=0.8), new, a_segment(STRANGE, 0.61, 0.02)]
        await life.take(sliced(minute, "critical", slices))


async def test_the_page_of_a_model_shows_versions_segments_and_where_one_begins(
    reader: httpx.AsyncClient, life: Life, clock: StillClock
) -> None:
    await a_new_version(life)
    clock.now = at(14)
    page = await reader.get(f"/models/{MODEL}")
    text = text_of(page)
    assert SENTENCE in text
    assert "Version “2.3” begins" in text
    assert "a version begins" in text
    assert "Versions and segments" in text
    assert "2.3 40 %" in text
    assert "0.61 moved 0.02" in text
    assert "others, or none 50 %" in text, "of the segments"
    assert text.count("others, or none") == 1
    assert "[U+202E]eu[U+FEFF]&lt;b&gt;" in page.text
    assert STRANGE not in page.text


async def test_the_page_of_an_incident_and_its_timeline_say_it_in_the_same_words(
    reader: httpx.AsyncClient, api: httpx.AsyncClient, life: Life, clock: StillClock
) -> None:
    await a_new_version(life)
    clock.now = at(14)
    text = text_of(await reader.get("/incidents/1"))
    assert SENTENCE in text
    assert "Version “2.3” begins" in text
    assert "2.3 40 %" in text
    [opened] = (await api.get("/v1/incidents/1/timeline")).json()["items"]
    assert opened["why"][0]["slices"][0]["text"] == SENTENCE
    assert opened["why"][0]["slices"][0]["value"] == "2.3"


async def test_evaluations_keep_shares_and_with_their_bins_how_far_each_differs(
    api: httpx.AsyncClient, life: Life, pool: Pool
) -> None:
    await a_new_version(life)
    items = (await api.get(f"/v1/models/{MODEL}/evaluations")).json()["items"]
    assert [each["value"] for each in items[0]["slices"]] == ["2.2", "2.3", STRANGE]
    assert items[0]["slices"][1]["signals"][0]["psi"] == 0.61
    thin = items[2]["slices"]
    assert [(each["share"], each["signals"]) for each in thin] == [(1.0, []), (0.5, [])]
    async with transaction(pool) as connection:
        kept = await list_evaluations(connection, MODEL, None, 50)
    assert [len(each.slices) for each in kept] == [3, 3, *[2] * 10]


async def test_a_model_without_slices_says_nothing_of_them(
    reader: httpx.AsyncClient, api: httpx.AsyncClient, life: Life
) -> None:
    await life.sees("ok", "critical")
    for path in (f"/models/{MODEL}", "/incidents/1"):
        text = text_of(await reader.get(path))
        assert "Versions" not in text
        assert "a version begins" not in text
    answer = await api.get(f"/v1/models/{MODEL}/evaluations")
    assert all("slices" not in each for each in orjson.loads(answer.content)["items"])


async def test_a_page_shows_segments_alone(reader: httpx.AsyncClient, life: Life, clock: StillClock) -> None:
    await life.take(sliced(1, "ok", [a_slice("eu", None, None, Slicing.SEGMENT, share=0.5)]))
    clock.now = at(2)
    text = text_of(await reader.get(f"/models/{MODEL}"))
    assert "Segments Segment Share Share over time" in text
    assert "eu 50 % 500 was there before – – others, or none 50 %" in text
