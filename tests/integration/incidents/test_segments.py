"""Segments that are evaluated by themselves, from an evaluation to the incident, its text, the API and the pages."""

from __future__ import annotations

from html import unescape

import httpx

from sentryml_common.contracts.evaluation import Evaluation
from sentryml_common.postgres.pool import Pool, transaction
from sentryml_incidents.consumers.evaluations import ActivityConsumer
from sentryml_incidents.store.evaluations.evaluations import list_evaluations
from tests.integration.incidents.conftest import Life, StillClock
from tests.integration.incidents.test_pages import text_of
from tests.unit.incidents.builders import MODEL, an_activity, an_evaluation, at, quick, segmented

STRANGE = "e\u0000u\u202e<b>"


def found(minute: float, **psi: float | None) -> Evaluation:
    """An evaluation of the model and some segments; the first one has a name that a sender may choose."""
    evaluation = segmented(an_evaluation("ok", at(minute)), **psi)
    renamed = (
        each.model_copy(update={"segment": STRANGE if each.segment == "eu" else each.segment})
        for each in evaluation.segments
    )
    return evaluation.model_copy(update={"segments": tuple(renamed)})


async def test_a_segment_opens_worsens_and_resolves_one_incident_that_names_it(
    reader: httpx.AsyncClient, api: httpx.AsyncClient, life: Life, clock: StillClock
) -> None:
    await life.take(found(1, eu=0.02, us=0.01, asia=None))
    await life.take(found(2, eu=0.61, us=0.02, asia=None))
    await life.take(found(3, eu=0.61, us=0.31, asia=None))
    clock.now = at(4)
    steps = (await api.get("/v1/incidents/1/timeline")).json()["items"]
    assert [(each["kind"], each["cause"], each["alert"]) for each in steps] == [
        ("opened", "psi_above_critical", True),
        ("worsened", "another_signal", True),
    ]
    assert [each["segment"] for each in steps[1]["why"]] == ["us", STRANGE]
    assert steps[0]["text"]["title"] == "CRITICAL drift in segment “e[U+0000]u[U+202E]<b>” · flights-delay"
    incidents = (await api.get("/v1/incidents")).json()["items"]
    assert [(each["model_id"], each["psi"]) for each in incidents] == [(MODEL, 0.61)]
    page = await reader.get("/incidents/1")
    assert "has been drifting critically in segments “e[U+0000]u[U+202E]&lt;b&gt;” and “us”" in page.text
    assert "Score of segment “us”: PSI 0.31, critical from 0.20" in text_of(page)
    text, model = text_of(page), text_of(await reader.get(f"/models/{MODEL}"))
    for shown in (text, model):
        assert "2 of 3 segments are evaluated; 2 drift." in shown
        assert "<b> 0.61 ▲ critical warning from 0.10 2,786 25,981 us 0.31 ▲ critical" in unescape(shown)
        assert "asia not evaluated: too few events" in shown
    assert text.index("current: score of segment “us” PSI 0.310") < text.index("current: score PSI 0.020, ok")
    assert "PSI of the segment that drifts most" in text
    assert "\u0000" not in page.text
    for minute in (10, 80, 150, 180):
        await life.take(found(minute, us=0.01))
    steps = (await api.get("/v1/incidents/1/timeline")).json()["items"]
    assert (steps[-1]["kind"], steps[-1]["cause"]) == ("resolved", "data_returned_to_normal")


async def test_stored_evaluations_have_what_was_found_of_segments(
    api: httpx.AsyncClient, life: Life, pool: Pool
) -> None:
    for minute in range(1, 5):
        await life.take(found(minute, eu=0.61 if minute > 2 else 0.02, us=0.01, asia=None))
    items = (await api.get(f"/v1/models/{MODEL}/evaluations")).json()["items"]
    assert items[0]["level"] == "critical"
    assert [(each["segment"], each["psi"], each.get("reason")) for each in items[0]["segments"]] == [
        (STRANGE, 0.61, None),
        ("us", 0.01, None),
        ("asia", None, "too_few_samples"),
    ]
    async with transaction(pool) as connection:
        kept = await list_evaluations(connection, MODEL, None, 50)
    assert [[each.segment for each in evaluation.segments] for evaluation in kept[:3]] == [
        [STRANGE, "us", "asia"],
        [STRANGE],
        [],
    ]


async def test_a_window_that_segments_cannot_be_compared_in_is_refused(
    api: httpx.AsyncClient, life: Life, pool: Pool
) -> None:
    await ActivityConsumer(pool, quick()).take_all([an_activity()])
    await life.sees("ok")
    body = {"evaluate_segments": True, "current_seconds": 1800, "baseline_seconds": 7200}
    refused = await api.put(f"/v1/models/{MODEL}/monitor", json=body)
    assert refused.status_code == 422
    assert "segments are counted by coarse panes of that length" in refused.text


async def test_previews_and_advice_say_that_segments_are_left_out_where_they_are_evaluated(
    api: httpx.AsyncClient, life: Life
) -> None:
    path = f"/v1/models/{MODEL}/monitor"
    for body in ({"warn": 0.15}, {"evaluate_segments": True}):
        preview = (await api.post(f"{path}:preview", json=body)).json()
        said = preview["segments_left_out"]
        assert [note for note in preview["notes"] if "egments" in note] == ([said] if said else [])
        assert (said is not None) is ("evaluate_segments" in body)
    assert (await api.get(f"{path}/advice")).json()["segments_left_out"] is None
    taken = await api.put(path, json={"evaluate_segments": True})
    assert taken.json()["evaluate_segments"] is True
    assert (await api.post(f"{path}:preview", json={"warn": 0.15})).json()["segments_left_out"] == said
    assert (await api.get(f"{path}/advice")).json()["segments_left_out"] == said
    assert said.startswith("Segments are left out: these are the incidents that all predictions together")


async def test_the_page_of_a_model_says_why_no_segment_is_evaluated(
    reader: httpx.AsyncClient, api: httpx.AsyncClient, life: Life, clock: StillClock
) -> None:
    await life.sees("ok")
    clock.now = at(2)
    assert "evaluated by themselves" not in text_of(await reader.get(f"/models/{MODEL}"))
    await api.put(f"/v1/models/{MODEL}/monitor", json={"evaluate_segments": True})
    assert "None is evaluated: no predictions that are kept name a segment" in text_of(
        await reader.get(f"/models/{MODEL}")
    )
    life.version = 2
    await life.sees("insufficient")
    assert "None is evaluated while the model itself has too little" in text_of(await reader.get(f"/models/{MODEL}"))
