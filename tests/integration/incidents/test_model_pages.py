"""The pages of models: the overview and one model, through the real application on a real PostgreSQL."""

from __future__ import annotations

import re
from datetime import timedelta

import httpx
import pytest
from prometheus_client import REGISTRY

from sentryml_common.contracts.activity import Activity, PaneCount, RecentEvent
from sentryml_common.postgres.pool import Pool, transaction
from sentryml_incidents.consumers.evaluations import ActivityConsumer
from sentryml_incidents.domain.roles import Role
from sentryml_incidents.store.evaluations.evaluations import list_evaluations
from sentryml_incidents.store.models import find_model
from sentryml_incidents.store.monitors import register_model
from sentryml_incidents.timer import Timer
from tests.integration.incidents.conftest import Life, SignedIn, StillClock, register
from tests.integration.incidents.test_pages import text_of
from tests.support.signing_in import SAME_ORIGIN
from tests.unit.incidents.builders import MODEL, MONDAY, an_evaluation, at, hearing, quick


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


async def test_an_admin_sees_what_a_new_installation_still_needs_until_it_is_hidden(
    signed_in: SignedIn, reader: httpx.AsyncClient, pool: Pool
) -> None:
    admin = await signed_in("ana", Role.ADMIN)
    text = text_of(await admin.get("/models"))
    assert "First steps 0 of 4 done" in text
    assert "The notifier does not answer" in text
    assert "vera has an account, and has not signed in yet." in text
    assert "First steps" not in text_of(await reader.get("/models"))
    await register(pool, "fraud", quick())
    await pool.execute("UPDATE app_user SET last_signed_in_at = $1", MONDAY)
    text = text_of(await admin.get("/models"))
    assert "First steps 2 of 4 done" in text
    assert "1 model sends predictions." in text
    assert "fraud in " in text
    hidden = await admin.post("/models/checklist/hide", headers=SAME_ORIGIN)
    assert (hidden.status_code, hidden.headers["location"]) == (303, "../../models")
    assert "First steps" not in text_of(await admin.get("/models"))
    assert "You have hidden the list of first steps" in text_of(await admin.get("/account"))
    await admin.post("/models/checklist/show", headers=SAME_ORIGIN)
    assert "First steps 2 of 4 done" in text_of(await admin.get("/models"))


async def test_overview_shows_the_worst_first_and_every_model_with_its_status(
    reader: httpx.AsyncClient, pool: Pool, life: Life, clock: StillClock
) -> None:
    for model_id in ("a-new-one", "churn", "starved", "b-warned"):
        await register(pool, model_id, quick())
    await Life(pool, "churn").sees("ok", "ok")
    await Life(pool, "starved").sees("insufficient")
    assert "Nothing drifts" in text_of(await reader.get("/models"))
    await life.sees("ok", "critical")
    await Life(pool, "b-warned").sees("warn")
    clock.now = at(3)
    text = text_of(await reader.get("/models"))
    assert "Nothing drifts" not in text
    assert "5 models 2 drifting 2 not compared yet 1 ok Name contains" in text
    drifting, rest = text.split("Drifting")[1].split("Not compared yet")
    assert re.findall(r"flights-delay ▲ critical 0\.50 .*? #1 ▲ critical open b-warned △ warn", drifting)
    waiting, fine = rest.split(" Ok ")
    assert re.findall(r"a-new-one … new – .*? starved … no events –", waiting)
    assert "churn ✓ ok" in fine


async def test_a_count_shows_its_models_alone(reader: httpx.AsyncClient, pool: Pool, life: Life) -> None:
    await register(pool, "churn", quick())
    await life.sees("critical")
    drifting = await reader.get("/models?show=drifting")
    assert re.findall(r'href="\./models/([\w-]+)"', drifting.text) == [MODEL]
    assert 'href="./models?show=not-compared"' in drifting.text
    assert "No model is silent." in text_of(await reader.get("/models?show=silent"))
    assert "No silent model’s name contains “x”." in text_of(await reader.get("/models?show=silent&search=x"))
    assert (await reader.get("/models?show=odd")).status_code == 422


async def test_a_silent_model_comes_first_and_says_since_when_until_predictions_come_again(
    reader: httpx.AsyncClient, pool: Pool, life: Life, clock: StillClock
) -> None:
    clock.now = at(41)
    evaluation = hearing(an_evaluation("ok", at(40)), "warn", 10, volume_ratio=0.25)
    await life.take(evaluation)
    overview = text_of(await reader.get("/models"))
    assert "1 model 1 silent" in overview
    assert re.findall(r"flights-delay △ no predictions .*? #1 △ warn open", overview), overview
    page = text_of(await reader.get(f"/models/{MODEL}"))
    assert "No predictions since 23 Nov 2026, 09:25:00 UTC" in page
    assert "volume: 25 % as many predictions as at the same time last week" in page
    incident = text_of(await reader.get("/incidents/1"))
    assert (
        "No predictions have come from flights-delay since 09:25:00 UTC; usually 1,000 an hour at this time."
        in incident
    )
    async with transaction(pool) as connection:
        model = await find_model(connection, MODEL)
        (kept,) = await list_evaluations(connection, MODEL, None, 5)
    assert model is not None
    assert model.silent_since == at(10)
    assert kept.activity == evaluation.activity
    await life.take(hearing(an_evaluation("ok", at(45)), "ok", 44))
    assert "Nothing drifts" in text_of(await reader.get("/models"))
    assert "Predictions come from flights-delay again." in text_of(await reader.get("/incidents/1"))


async def test_model_whose_evaluations_are_missing_says_since_when_and_why(
    reader: httpx.AsyncClient, api: httpx.AsyncClient, pool: Pool, life: Life, clock: StillClock
) -> None:
    await life.sees("ok", "ok")
    clock.now = at(18)
    assert "not evaluated" not in text_of(await reader.get("/models"))
    clock.now = at(19)
    overview = text_of(await reader.get("/models"))
    assert "△ not evaluated since 09:17:00 UTC" in overview
    assert "1 not evaluated" in overview
    assert "Nothing drifts" not in overview, "nobody knows"
    assert "Its /readyz says what it waits for. Since 23 Nov 2026, 09:17:00 UTC ." in overview
    page = text_of(await reader.get(f"/models/{MODEL}"))
    assert "Not evaluated since 23 Nov 2026, 09:17:00 UTC . No model is evaluated: is a drift processor running" in page
    shown = (await api.get(f"/v1/models/{MODEL}")).json()
    assert shown["not_evaluated_since"] == "2026-11-23T09:17:00Z"
    assert shown["not_evaluated_because"].startswith("No model is evaluated")
    assert (await api.get("/v1/models")).json()["items"][0]["not_evaluated_since"] == "2026-11-23T09:17:00Z"
    await Timer(pool, 90, clock).tick()
    assert REGISTRY.get_sample_value("sentryml_models_not_evaluated") == 1
    for other in ("churn", "fraud"):
        await register(pool, other, quick())
        other_life = Life(pool, other)
        other_life.minute = 18
        await other_life.sees("ok")
    overview = text_of(await reader.get("/models"))
    assert "1 of 3 models is not evaluated: a drift processor may have lost its part of the models." in overview
    assert "Its log says why. Which: flights-delay" in overview
    life.minute = 18
    await life.sees("ok")
    assert "not evaluated" not in text_of(await reader.get("/models")).lower()


async def test_overview_says_until_when_predictions_have_been_counted(
    reader: httpx.AsyncClient, life: Life, clock: StillClock
) -> None:
    clock.now = at(20)
    await life.take(hearing(an_evaluation("ok", at(20)), "ok", 9, read_until=at(9)))
    text = text_of(await reader.get("/models"))
    assert "What is sent is not counted: is a combiner running" in text
    assert "Since 23 Nov 2026, 09:24:00 UTC" in text
    await life.take(hearing(an_evaluation("ok", at(25)), "ok", 25))
    clock.now = at(25)
    assert "not counted" not in text_of(await reader.get("/models"))


async def test_overview_is_searched_and_paged_on_the_server(reader: httpx.AsyncClient, pool: Pool) -> None:
    for number in range(55):
        await register(pool, f"model-{number:02}", quick())
    await register(pool, "other", quick())
    first = await reader.get("/models?search=ODEL-")
    assert re.findall(r'href="\./models/(model-\d\d)"', first.text) == [f"model-{number:02}" for number in range(50)]
    link = re.search(r'rel="next" href="\./(models\?[^"]+)"', first.text)
    assert link is not None
    second = await reader.get("/" + link[1].replace("&amp;", "&"))
    assert re.findall(r'href="\./models/([\w-]+)"', second.text) == [f"model-{number:02}" for number in range(50, 55)]
    assert 'rel="prev" href="./models?search=ODEL-"' in second.text
    assert "There are no more models." in text_of(await reader.get("/models?page=9"))
    assert "No model’s name contains “x”" in text_of(await reader.get("/models?search=x"))


async def test_a_model_says_how_it_is_doing_what_is_compared_and_what_it_predicts(
    reader: httpx.AsyncClient, pool: Pool, life: Life, clock: StillClock
) -> None:
    await life.sees("ok", "warn", "critical")
    await ActivityConsumer(pool, quick()).take_all([an_activity("flight 17")])
    clock.now = at(18)
    answer = await reader.get(f"/models/{MODEL}")
    shown = text_of(answer)
    for text in (
        "▲ critical Incident #1", "PSI is above the critical threshold.", "scores from 0.92 up: 4.0 % → 19 %",
        "Since the first event.", "Baseline against current: score", "What is compared",
        "Rejected: too late 3 Rejected: from the future 1", "Recent rate 5 per second",
        "flight 17", "up to a PSI of 0.50",
    ):  # fmt: skip
        assert text in shown, text
    assert answer.text.count('class="line line-score"') == 1
    assert 'aria-label="PSI over a day, at most 0.50"' in answer.text
    assert "<title>Incident #1 opened</title>" in answer.text


@pytest.mark.parametrize("days", [1, 7, 30, 90])
async def test_the_curve_goes_back_as_far_as_asked_and_keeps_its_peaks(
    reader: httpx.AsyncClient, pool: Pool, days: int
) -> None:
    """One bad evaluation among good ones is seen at every zoom, and not at the next smaller one."""
    begin = MONDAY - timedelta(days=200)
    async with transaction(pool) as connection:
        await register_model(connection, "old", quick(), first_seen=begin, last_seen=MONDAY)
    life = Life(pool, "old", minute=-days * 24 * 60 + 20)
    await life.sees("critical", *["ok"] * 20)
    assert "at most 0.50" in (await reader.get(f"/models/old?days={days}")).text
    if days > 1:
        assert "at most 0.50" not in (await reader.get("/models/old?days=1")).text


def links_of(page: httpx.Response) -> dict[str, str]:
    """Where the links beside the curve lead, by their words."""
    found = re.findall(r'<a href="([^"]+#evaluation)"[^>]*>([^<]+)</a>', page.text)
    return {text: href.replace("&amp;", "&") for href, text in found}


async def test_any_evaluation_is_reached_from_the_curve_and_from_its_neighbours(
    reader: httpx.AsyncClient, life: Life, clock: StillClock
) -> None:
    await life.sees("ok", "warn", psi=0.12)
    await life.sees("ok", "critical", "ok")
    clock.now = at(60)
    path = f"/models/{MODEL}"
    newest = await reader.get(path)
    assert "Newest evaluation" in text_of(newest)
    slices = re.findall(
        r'<a href="(\?[^"]+)#evaluation" tabindex="-1" data-says="[^"]*"><title>([^<]+)</title>', newest.text
    )
    assert slices, "the curve can be clicked"
    worst = await reader.get(path + links_of(newest)["worst on the curve"])
    assert "Evaluation of 23 Nov 2026, 09:19:00 UTC" in text_of(worst)
    assert "Result: critical, with version 1 of the monitor." in text_of(worst)
    assert worst.text.count('class="chosen"') == 1
    assert "worst on the curve" not in links_of(worst)

    page, seen = worst, []
    while "later →" in links_of(page):
        page = await reader.get(path + links_of(page)["later →"])
    while True:
        seen.append(re.findall(r"Result: (\w+)", text_of(page))[0])
        if "← earlier" not in links_of(page):
            break
        page = await reader.get(path + links_of(page)["← earlier"])
    assert seen == ["ok", "critical", "ok", "warn", "ok"]
    assert "this is the oldest" in text_of(page)
    assert [
        href for href, _ in slices if (await reader.get(path + href.replace("&amp;", "&"))).status_code != 200
    ] == []


async def test_a_stretch_of_time_is_shown_where_it_is_asked_for(
    reader: httpx.AsyncClient, life: Life, clock: StillClock
) -> None:
    await life.sees("ok", "warn", "critical", "ok")
    clock.now = at(60)
    path = f"/models/{MODEL}"
    found = await reader.get(path, params={"since": at(0).isoformat(), "until": at(30).isoformat()})
    assert "PSI from 23 Nov 2026, 09:15:00 UTC to 23 Nov 2026, 09:45:00 UTC" in text_of(found)
    assert "since=2026-11-23T09:15:00" in found.text, "the areas of the curve keep the stretch"
    for params in ({"since": "9999-12-31T23:59:59Z", "until": "0001-01-01T00:00:00Z"}, {"since": at(0).isoformat()}):
        assert (await reader.get(path, params=params)).status_code == 200


async def test_an_evaluation_without_bins_says_so_and_leads_to_the_nearest_that_has_them(
    reader: httpx.AsyncClient, life: Life, clock: StillClock
) -> None:
    await life.sees(*["ok"] * 10)
    clock.now = at(60)
    path = f"/models/{MODEL}"
    # The first of its hour has bins, and the newest.
    for minute, has in ((1, True), (3, False), (8, False), (10, True)):
        page = await reader.get(path, params={"at": at(minute).isoformat()})
        assert ("Baseline against current: score" in text_of(page)) is has, minute
    assert "Only the figures of this evaluation are kept" in text_of(
        await reader.get(f"{path}?at=2026-11-23T09:18:00Z")
    )
    for minute, nearest in ((3, 1), (8, 10)):
        page = await reader.get(path, params={"at": at(minute).isoformat()})
        href = next(href for text, href in links_of(page).items() if text.startswith("The nearest"))
        assert href.startswith(f"?days=1&at={at(nearest):%Y-%m-%dT%H:%M:%S}"), minute
        assert "Baseline against current: score" in text_of(await reader.get(path + href))


async def test_the_evidence_of_an_incident_has_its_bins_on_the_curve(
    reader: httpx.AsyncClient, life: Life, clock: StillClock
) -> None:
    await life.sees("ok", "critical", "ok", "ok")
    clock.now = at(60)
    page = await reader.get(f"/models/{MODEL}", params={"at": at(2).isoformat()})
    assert "Result: critical" in text_of(page)
    assert "Baseline against current: score" in text_of(page)


async def test_any_time_leads_to_an_evaluation_and_what_is_no_time_is_refused(
    reader: httpx.AsyncClient, life: Life
) -> None:
    await life.sees("ok", "ok")
    for when, minute in (("0001-01-01T00:00:00Z", 1), ("2026-11-23T09:16:59Z", 1), ("9999-12-31T23:59:59Z", 1)):
        page = await reader.get(f"/models/{MODEL}", params={"at": when})
        assert f"Evaluation of 23 Nov 2026, 09:{15 + minute}:00 UTC" in text_of(page), when
    for when in ("yesterday", "9999-12-31T23:59:59-14:00"):
        assert (await reader.get(f"/models/{MODEL}", params={"at": when})).status_code == 422, when


async def test_a_new_model_says_how_far_it_is(signed_in: SignedIn, life: Life, clock: StillClock) -> None:
    clock.now = at(27 * 60)
    reader = await signed_in("vera")
    text = text_of(await reader.get(f"/models/{MODEL}"))
    assert "Until the first comparison First comparison about 27 Nov 2026, 09:15:00 UTC." in text
    assert "1 d 3 h of 4 d: the current window of 1 d, and before it 3 d of the baseline of 7 d" in text
    await life.sees("ok")
    assert "Until the first comparison" not in text_of(await reader.get(f"/models/{MODEL}"))


async def test_ten_incidents_are_listed_and_the_way_to_all(reader: httpx.AsyncClient, life: Life) -> None:
    for _ in range(11):
        await life.sees("critical", "ok")
        life.minute += 120
    text = text_of(await reader.get(f"/models/{MODEL}"))
    assert "#11" in text
    assert "#2 " in text
    assert "#1 " not in text
    assert f'/incidents?model={MODEL}"' in (await reader.get(f"/models/{MODEL}")).text


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
    assert (await reader.get("/models?page=0")).status_code == 422


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
