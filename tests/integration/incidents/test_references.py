"""References: kept and published as evaluations propose them, and replaced and made again over HTTP."""

from __future__ import annotations

import asyncio
import json
import random
from base64 import b64decode
from typing import Any

import httpx
import pytest

from sentryml_common.contracts.api_key import Scope
from sentryml_common.contracts.message import decode
from sentryml_common.contracts.monitor import Monitor
from sentryml_common.contracts.reference import MOST_BYTES, Reference
from sentryml_common.contracts.topics import MONITORS, REFERENCES
from sentryml_common.contracts.transition import SYSTEM
from sentryml_common.postgres.pool import Pool, transaction
from sentryml_incidents.domain.roles import Role
from sentryml_incidents.store.references import list_references
from sentryml_statistics.histograms.pane_counts import PaneCounts
from tests.integration.incidents.conftest import Life, MakeClient, SignedIn, StillClock
from tests.integration.incidents.test_actions import INCIDENT
from tests.integration.incidents.test_model_deletion import delete
from tests.integration.incidents.test_pages import text_of
from tests.integration.incidents.test_relay import Log, relay
from tests.integration.incidents.test_rest import problem
from tests.support.signing_in import SAME_ORIGIN, submit
from tests.unit.incidents.builders import MODEL, REFERENCE, an_evaluation, at, proposing, slowly

PATH = f"/v1/models/{MODEL}/reference"
UPLOAD: dict[str, Any] = {
    "events": 100,
    "score": {"numbers": [[0.9, 10], [0.1, 60], [0.5, 20]], "nulls": 10},
    "prediction": {"categories": {"late": 30}, "numbers": [[1, 70]]},
}


async def published(pool: Pool) -> Log:
    log = Log(random.Random(1))
    await relay(pool, log).publish_all()
    return log


def references(log: Log) -> list[Reference | None]:
    records = log.of(REFERENCES)[MODEL]
    return [None if record.value is None else decode(Reference, record.value) for record in records]


async def in_force(api: httpx.AsyncClient) -> str | None:
    found: str | None = (await api.get(f"/v1/models/{MODEL}/monitor")).json()["normal_time"]["reference_id"]
    return found


@pytest.fixture
async def compared(life: Life) -> Life:
    """A model with a reference, and a comparison with it two minutes later."""
    await life.take(proposing(an_evaluation("ok", at(1))))
    await life.take(slowly(an_evaluation("ok", at(3)), "ok"))
    life.minute = 3
    return life


async def test_a_proposed_reference_is_kept_and_published_before_the_monitor_that_names_it(
    pool: Pool, compared: Life
) -> None:
    log = await published(pool)
    (reference,) = references(log)
    assert reference is not None
    assert (reference.reference_id, reference.events) == (REFERENCE, 60)
    named = [
        record.topic == MONITORS.name and decode(Monitor, record.value).normal_time.reference_id == REFERENCE
        for record in log.records
        if record.value is not None and record.topic in (MONITORS.name, REFERENCES.name)
    ]
    order = [record.topic for record in log.records if record.topic in (MONITORS.name, REFERENCES.name)]
    assert order.index(REFERENCES.name) < named.index(True)
    async with transaction(pool) as connection:
        (kept,) = await list_references(connection, MODEL, 10)
    assert (kept.reference, kept.actor) == (reference, SYSTEM)


async def test_the_deletion_of_a_model_deletes_its_reference_in_kafka_too(
    api: httpx.AsyncClient, pool: Pool, compared: Life, clock: StillClock
) -> None:
    clock.now = at(30)
    await delete(api)
    log = await published(pool)
    assert [each is None for each in references(log)] == [False, True]
    async with transaction(pool) as connection:
        assert await list_references(connection, MODEL, 10) == []


async def test_an_undone_acceptance_publishes_the_old_reference_again(
    api: httpx.AsyncClient, pool: Pool, compared: Life, clock: StillClock
) -> None:
    await compared.take(slowly(an_evaluation("ok", at(5)), "warn"))
    clock.now = at(6)
    assert (await api.post(f"{INCIDENT}/accept")).status_code == 200
    another = an_evaluation("ok", at(7))
    await compared.take(proposing(another, another.evaluation_id))
    assert await in_force(api) == str(another.evaluation_id)
    clock.now = at(8)
    assert (await api.post(f"{INCIDENT}/undo")).status_code == 200
    assert await in_force(api) == str(REFERENCE)
    assert [each and each.reference_id for each in references(await published(pool))] == [
        REFERENCE,
        another.evaluation_id,
        REFERENCE,
    ]


async def test_a_reference_says_what_it_is_made_of_and_what_was_found_against_it(
    api: httpx.AsyncClient, compared: Life
) -> None:
    found = (await api.get(PATH)).json()
    comparison = found.pop("comparison")
    assert found == {
        "reference_id": str(REFERENCE),
        "model_id": MODEL,
        "source": "history",
        "made_at": "2026-11-23T09:16:00Z",
        "made_by": {"type": "system", "id": None, "name": "SentryML"},
        "start": "2026-11-15T09:16:00Z",
        "end": "2026-11-23T09:16:00Z",
        "events": 60,
    }
    assert comparison["evaluated_at"] == "2026-11-23T09:18:00Z"
    (score,) = comparison["signals"]
    assert (score["signal"], score["level"], score["text"]) == (
        "score",
        "ok",
        f"Score: PSI {score['psi']:.2f} against the reference, calm below 0.10.",
    )


async def test_without_a_reference_the_answer_says_when_there_will_be_one(api: httpx.AsyncClient, life: Life) -> None:
    none = await problem(await api.get(PATH), 404, "no-reference")
    assert none["detail"] == (
        "There is no reference yet: it is made from the first evaluation at level ok with a whole baseline. Of the 7 d "
        "of the baseline, nothing is there."
    )
    await life.sees("critical")
    drifting = await problem(await api.get(PATH), 404, "no-reference")
    assert "as soon as the predictions match their baseline" in drifting["detail"]
    await problem(await api.get("/v1/models/nobody/reference"), 404, "unknown-model")


async def test_an_upload_is_in_force_at_once_and_what_was_counted_starts_over(
    api: httpx.AsyncClient, pool: Pool, compared: Life, clock: StillClock
) -> None:
    clock.now = at(5)
    answer = await api.put(PATH, json=UPLOAD)
    assert answer.status_code == 200
    made = answer.json()
    assert (made["source"], made["events"], made["made_by"]["name"]) == ("upload", 100, "ana's key")
    assert (made["start"], made["comparison"]) == (None, None)
    assert (await api.get(PATH)).json() == made
    assert await in_force(api) == made["reference_id"]
    last = references(await published(pool))[-1]
    assert last is not None
    counts = PaneCounts.unpack(b64decode(last.counts))
    assert counts.score.total == counts.prediction.total == 100
    assert (counts.score.nulls, counts.prediction.categories.counts) == (10, {"late": 30})
    assert counts.score == PaneCounts.of([0.0] * 100, [0.1] * 60 + [0.5] * 20 + [0.9] * 10 + [None] * 10).score
    async with transaction(pool) as connection:
        kept = await list_references(connection, MODEL, 10)
    assert [each.actor.name for each in kept] == ["ana's key", "SentryML"]


async def test_a_forgotten_reference_is_made_again_from_the_next_clean_evaluation(
    api: httpx.AsyncClient, compared: Life
) -> None:
    for _ in range(2):
        answer = await api.delete(PATH)
        assert (answer.status_code, answer.content) == (204, b"")
    revision = (await api.get(f"/v1/models/{MODEL}/monitor")).json()["normal_time"]["revision"]
    assert revision == 2, "forgetting what is not there changes nothing"
    await problem(await api.get(PATH), 404, "no-reference")
    another = an_evaluation("ok", at(7))
    await compared.take(proposing(another, another.evaluation_id))
    assert (await api.get(PATH)).json()["reference_id"] == str(another.evaluation_id)


WRONG: list[tuple[dict[str, Any], str, str]] = [
    ({"events": 99}, "body.score", "adds up to 100 of 99 `events`"),
    ({"score": {"numbers": [[0.5, 90]]}}, "body.score", "count events without a score as `nulls`"),
    ({"events": 0}, "body.events", "greater than or equal to 1"),
    ({"events": 1.5}, "body.events", "valid integer"),
    ({"score": {"numbers": [[0.5, -1]], "nulls": 101}}, "body.score.numbers.0.1", "greater than or equal to 1"),
    ({"score": {"numbers": [["x", 100]]}}, "body.score.numbers.0.0", "valid number"),
    ({"score": {"numbers": [[0.5]]}}, "body.score.numbers.0.1", "required"),
    ({"score": {"numbers": [[0.5, 1]] * 1025}}, "body.score.numbers", "at most 1024 items"),
    ({"prediction": {"categories": {"x" * 129: 100}}}, "body.prediction.categories.", "at most 128 characters"),
    ({"prediction": {"categories": {"a\0b": 100}}}, "body.prediction.categories.", "should match pattern"),
    ({"features": {}}, "body.features", "not permitted"),
    (
        {"events": 2048, "score": {"nulls": 2048}, "prediction": {
            "numbers": [[n, 1] for n in range(1024)], "categories": {str(n): 1 for n in range(1024)}}},
        "body.prediction", "2,048 values, at most 1,024 fit: round numbers, group categories",
    ),
    ({"score": {"nulls": 100}, "prediction": {"nulls": 100}}, "body", "holds nothing but nulls"),
]  # fmt: skip


@pytest.mark.parametrize(("changes", "field", "reason"), WRONG)
async def test_what_does_not_fit_is_named_by_field_and_changes_nothing(
    api: httpx.AsyncClient, compared: Life, changes: dict[str, Any], field: str, reason: str
) -> None:
    refused = await problem(await api.put(PATH, json=UPLOAD | changes), 422, "invalid-request")
    found = [each["reason"] for each in refused["errors"] if each["field"].startswith(field)]
    assert any(reason in each for each in found), refused["errors"]
    assert await in_force(api) == str(REFERENCE)


@pytest.mark.parametrize("value", ["NaN", "Infinity", "1e999"])
async def test_values_that_are_not_finite_are_refused(api: httpx.AsyncClient, life: Life, value: str) -> None:
    body = json.dumps(UPLOAD).replace("0.9", value)
    refused = await problem(await api.put(PATH, content=body), 422, "invalid-request")
    assert refused["errors"][0]["field"].startswith("body")


async def test_a_body_that_is_too_long_is_refused(api: httpx.AsyncClient, life: Life) -> None:
    refused = await problem(await api.put(PATH, content=b" " * 65_537), 413, "body-too-large")
    assert refused["detail"] == "a reference may hold 65,536 bytes: round numbers, group categories"


async def test_a_fine_histogram_is_coarsened_until_it_fits(api: httpx.AsyncClient, pool: Pool, life: Life) -> None:
    categories = {f"{number:03}{'é' * 125}": 10**9 + number for number in range(150)}
    scores = [[number / 7, 10**6 + number] for number in range(500)]
    events = sum(categories.values())
    nulls = events - sum(count for _, count in scores)
    uploaded = {
        "events": events,
        "score": {"numbers": scores, "nulls": nulls},
        "prediction": {"categories": categories},
    }
    answer = await api.put(PATH, content=json.dumps(uploaded, ensure_ascii=False).encode())
    assert answer.status_code == 200, answer.text
    reference = references(await published(pool))[-1]
    assert reference is not None
    assert len(reference.packed) <= MOST_BYTES
    assert PaneCounts.unpack(reference.packed).total == events == answer.json()["events"]


async def test_who_may_change_a_monitor_may_change_its_reference_and_nobody_else(
    client_with: MakeClient, compared: Life
) -> None:
    for client, status, kind in (
        (await client_with(Scope.READ), 403, "forbidden"),
        (await client_with(Scope.WRITE, name="other", models=("other-*",)), 404, "unknown-model"),
    ):
        await problem(await client.put(PATH, json=UPLOAD), status, kind)
        await problem(await client.delete(PATH), status, kind)
    assert (await (await client_with(Scope.READ, name="reads")).get(PATH)).status_code == 200
    assert (await (await client_with(Scope.WRITE, name="writes")).put(PATH, json=UPLOAD)).status_code == 200


async def test_the_page_says_what_the_reference_is_and_lets_responders_have_a_new_one_made(
    signed_in: SignedIn, compared: Life, clock: StillClock
) -> None:
    clock.now = at(4)
    page = f"/models/{MODEL}"
    ana, eve = await signed_in("ana", Role.RESPONDER), await signed_in("eve", Role.VIEWER)
    shown = text_of(await eve.get(page))
    for words in (
        "Made of 60 events of the model, from 15 Nov 2026, 09:16:00 to 23 Nov 2026, 09:16:00 UTC.",
        "by SentryML",
        "against the reference, calm below 0.10.",
    ):
        assert words in shown, words
    assert shown.count("against the reference, calm below 0.10.") == 2, "of the evaluation and of the reference"
    assert "Make a new one from now" not in shown
    forget = f"{page}/reference/forget"
    assert (await eve.post(forget, data={"seen": str(REFERENCE)}, headers=SAME_ORIGIN)).status_code == 403
    assert f'name="seen" value="{REFERENCE}"' in (await ana.get(page)).text
    again = text_of(await submit(ana, page, forget, seen=str(REFERENCE)))
    assert "There is no reference yet: it is made from the next evaluation at level ok" in again
    assert "Earlier references 23 Nov 2026, 09:16:00 UTC , by SentryML: 60 events" in again
    seen = {"seen": str(REFERENCE)}
    assert (await ana.post("/models/nobody/reference/forget", data=seen, headers=SAME_ORIGIN)).status_code == 404
    late = await ana.post(forget, data=seen, headers=SAME_ORIGIN)
    assert (late.status_code, "was replaced meanwhile" in text_of(late)) == (412, True)


async def test_only_the_reference_that_was_seen_is_replaced(api: httpx.AsyncClient, compared: Life) -> None:
    tag = (await api.get(PATH)).headers["ETag"]
    assert tag == f'"{REFERENCE}"'
    made = await api.put(PATH, json=UPLOAD, headers={"If-Match": tag})
    assert made.headers["ETag"] == f'"{made.json()["reference_id"]}"'
    for refused in (
        await api.put(PATH, json=UPLOAD, headers={"If-Match": tag}),
        await api.delete(PATH, headers={"If-Match": tag}),
    ):
        moved_on = await problem(refused, 412, "reference-moved-on")
        assert moved_on["reference_id"] == made.json()["reference_id"]
        assert refused.headers["ETag"] == made.headers["ETag"]
        assert moved_on["detail"].endswith(f"now it is {moved_on['reference_id']}: read it again")
    assert (await api.delete(PATH, headers={"If-Match": made.headers["ETag"]})).status_code == 204
    none = await problem(await api.put(PATH, json=UPLOAD, headers={"If-Match": "*"}), 412, "reference-moved-on")
    assert none["reference_id"] is None


async def test_of_two_who_replace_what_they_saw_at_once_one_wins(api: httpx.AsyncClient, compared: Life) -> None:
    seen = {"If-Match": f'"{REFERENCE}"'}
    answers = await asyncio.gather(*(api.put(PATH, json=UPLOAD, headers=seen) for _ in range(2)))
    assert sorted(answer.status_code for answer in answers) == [200, 412]
    (made,) = [answer.json() for answer in answers if answer.status_code == 200]
    assert await in_force(api) == made["reference_id"]


async def test_an_acceptance_at_once_with_a_replacement_is_never_lost(
    api: httpx.AsyncClient, compared: Life, clock: StillClock
) -> None:
    """Whichever comes first: who replaces what was accepted meanwhile is refused, and what comes second counts."""
    await compared.take(slowly(an_evaluation("ok", at(5)), "warn"))
    clock.now = at(6)
    accepted, replaced = await asyncio.gather(
        api.post(f"{INCIDENT}/accept", headers={"If-Match": '"v1"'}),
        api.put(PATH, json=UPLOAD, headers={"If-Match": f'"{REFERENCE}"'}),
    )
    assert {accepted.status_code, replaced.status_code} == {200, 412}
    assert await in_force(api) == (None if replaced.status_code == 412 else replaced.json()["reference_id"])


async def test_an_incident_of_slow_drift_shows_the_bins_against_the_reference(
    reader: httpx.AsyncClient, compared: Life, clock: StillClock
) -> None:
    await compared.take(slowly(an_evaluation("ok", at(5)), "warn"))
    clock.now = at(6)
    shown = text_of(await reader.get("/incidents/1"))
    for words in (
        "flights-delay has drifted slowly since",
        "Score: PSI 0.15 against the reference, a warning from 0.10",
        "together, compared with the reference.",
        "Reference against recent: score PSI 0.150, warn. Warning from 0.1; noise",
        "25,981 events in the reference",
    ):
        assert words in shown, words
    assert "Baseline against current" not in shown
    await compared.take(an_evaluation("critical", at(7)))
    assert "Baseline against current: score" in text_of(await reader.get("/incidents/1"))
