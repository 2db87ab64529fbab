"""Recomputing from real panes: with unchanged settings a worker finds what it has published, with others what the
events give.

Fine panes are of 2 s and live for 240 s, so windows of 120 s are there as they were for 120 s. Of coarse panes, 240 s
are kept in any case: all events are younger.
"""

from __future__ import annotations

import time
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from typing import Any

import httpx
import orjson
import pytest
from aiokafka import AIOKafkaProducer
from pydantic import SecretStr

from sentryml_common.contracts.evaluation import Evaluation, Level, Window
from sentryml_common.contracts.internal.recomputation import PATH, Ended, Recompute, Recomputed
from sentryml_common.contracts.message import decode, encode
from sentryml_common.contracts.monitor import Monitor
from sentryml_common.contracts.topics import EVALUATIONS, HISTOGRAMS, MONITORS
from sentryml_common.http.internal import signed_headers
from sentryml_drift.domain.partials import partition_of
from sentryml_incidents.clients.drift import NO_OWNER, NotRecomputed, Processors
from sentryml_incidents.clients.http_client import make_client
from sentryml_statistics.comparison.evaluation import Baseline, WindowCounts, evaluate
from sentryml_statistics.histograms.pane_counts import PaneCounts
from sentryml_statistics.time.panes import PaneGrid
from sentryml_statistics.time.season import SeasonCounts, season_at
from sentryml_statistics.time.windows import WindowCover, WindowPlan
from tests.integration.drift.conftest import Part, StartPart, event, produce
from tests.integration.drift.test_processor import activity_of
from tests.integration.drift.test_reassignment import assignments, until_shared
from tests.support.eventually import eventually
from tests.support.http_client import http_client
from tests.support.own_kafka import OwnKafka
from tests.support.ports import free_port

SECRET = SecretStr("0123456789abcdef" * 2)
FINE_SECONDS = 2.0
SETTINGS = {"fine_pane_seconds": FINE_SECONDS, "internal_secret": SECRET.get_secret_value()}
EVENTS, SPAN_SECONDS, SHIFTED = 1_000, 180.0, 120
PUBLISHED = 4
MONITOR: dict[str, Any] = {
    "baseline_seconds": 100, "current_seconds": 20, "every_seconds": 2, "min_baseline_coverage": 0, "min_samples": 20
}  # fmt: skip


NEVER_CONFIRMED = {"confirm_warn": 1_000, "confirm_critical": 1_000}
"""Nothing is left out of a baseline: no incidents decide here."""


async def ask(part: Part, asked: Recompute, secret: SecretStr = SECRET) -> httpx.Response:
    body = encode(asked)
    headers = signed_headers(secret, "POST", PATH, body, time.time())
    async with http_client(timeout=60) as client:
        return await client.post(part.url + PATH, content=body, headers=headers)


async def recomputed(part: Part, monitor: Monitor, since: datetime) -> Recomputed:
    """What a worker that is ready finds."""
    answer = await ask(part, Recompute(monitor=monitor, since=since))
    assert answer.status_code == 200, answer.text
    found = decode(Recomputed, answer.content)
    assert all(signal.bins for each in found.evaluations[-1:] for signal in each.evaluation.signals if signal.psi)
    thin = (each.model_copy(update={"evaluation": without_bins(each.evaluation)}) for each in found.evaluations)
    return found.model_copy(update={"evaluations": tuple(thin)})


async def published(kafka: OwnKafka, model_id: str, since: datetime) -> dict[datetime, Evaluation]:
    """The evaluations of a model of after a time, without their bins, by time."""
    records = await kafka.records(EVALUATIONS)
    said = [decode(Evaluation, record.value) for record in records if record.key == model_id.encode()]
    return {each.evaluated_at: without_bins(each) for each in said if each.evaluated_at > since}


def without_bins(evaluation: Evaluation) -> Evaluation:
    thin = tuple(found.model_copy(update={"bins": ()}) for found in evaluation.signals)
    return evaluation.model_copy(update={"signals": thin})


def counted(events: list[dict[str, Any]], window: Window) -> tuple[WindowPlan, PaneCounts, float]:
    """A window of the events themselves."""
    start, end = window.start.timestamp(), window.end.timestamp()
    inside = [each for each in events if start <= each["timestamp"] < end]
    counts = PaneCounts.of([each["prediction"] for each in inside], [each["score"] for each in inside])
    return WindowPlan(WindowCover(start, end, ()), ()), counts, window.coverage


def by_events(monitor: Monitor, found: Evaluation, events: list[dict[str, Any]]) -> Evaluation:
    """What the events say of the windows and the time of an evaluation."""
    baseline, current = Baseline(*counted(events, found.baseline)), WindowCounts(*counted(events, found.current))
    at = found.evaluated_at.timestamp()
    season = season_at(PaneGrid(1), monitor, at, 0.0, at)
    assert season is not None
    assert season.partners == (), "the baseline is shorter than a season"
    checked = SeasonCounts(season, {}.__getitem__)
    return without_bins(evaluate(monitor.model_id, monitor, found.evaluated_at, baseline, current, lambda: checked))


@pytest.fixture
async def monitor(producer: AIOKafkaProducer, model_id: str) -> AsyncIterator[Monitor]:
    """The monitor of the model, in Kafka."""
    made = Monitor(model_id=model_id, version=3, **MONITOR | NEVER_CONFIRMED)
    await producer.send_and_wait(MONITORS.name, encode(made), key=model_id.encode())
    yield made
    await producer.send_and_wait(MONITORS.name, None, key=model_id.encode())


async def events_of(producer: AIOKafkaProducer, model_id: str) -> list[dict[str, Any]]:
    """Events of a model over some time, in Kafka; the youngest have other scores."""
    made = [event(model_id, number, SPAN_SECONDS * number / EVENTS) for number in range(EVENTS)]
    for each in made[:SHIFTED]:
        each["score"] = each["score"] / 4
    await produce(producer, 0, *(orjson.dumps(made[first : first + 50]) for first in range(0, EVENTS, 50)))
    return made


async def until_counted(kafka: OwnKafka, model_id: str) -> datetime:
    """Wait until all events of a model are; the time by then."""

    async def all_counted() -> bool:
        found = await activity_of(kafka, model_id, datetime.fromtimestamp(0, UTC))
        return found is not None and sum(pane.count for pane in found.coarse_panes) == EVENTS

    await eventually(all_counted, what="all events to be counted")
    return datetime.fromtimestamp(time.time(), UTC)


async def test_looking_back_finds_what_was_published_and_what_the_events_say(
    kafka: OwnKafka, start: StartPart, producer: AIOKafkaProducer, monitor: Monitor
) -> None:
    start("combiner", fine_pane_seconds=FINE_SECONDS)
    worker = start("processor", **SETTINGS)
    await worker.until_ready()
    events = await events_of(producer, monitor.model_id)
    since = await until_counted(kafka, monitor.model_id)

    async def enough() -> dict[datetime, Evaluation]:
        found = await published(kafka, monitor.model_id, since)
        return found if len(found) >= PUBLISHED else {}

    as_published = await eventually(enough, what="evaluations of all events")
    found = await recomputed(worker, monitor, since)
    assert found.ended is Ended.SINCE
    looked_back = {each.evaluation.evaluated_at: each.evaluation for each in found.evaluations}
    assert len(looked_back) == len(found.evaluations) >= len(as_published)
    without = {at: each.model_copy(update={"activity": None}) for at, each in as_published.items()}
    assert {at: looked_back[at] for at in without} == without, "but for silence, which is of now alone"
    assert all(each.exact for each in found.evaluations)

    changed = monitor.model_copy(update={"baseline_seconds": 40.0, "bins": 5, "every_seconds": 4.0})
    found = await recomputed(worker, changed, since - timedelta(seconds=30))
    assert [each.exact for each in found.evaluations] == [True] * len(found.evaluations)
    assert len(found.evaluations) > PUBLISHED
    for each in found.evaluations:
        one, at = each.evaluation, each.evaluation.evaluated_at
        assert (one.baseline.start, one.baseline.end) == (at - timedelta(seconds=60), at - timedelta(seconds=20))
        assert (one.current.start, one.current.end) == (at - timedelta(seconds=20), at)
        assert one == by_events(changed, one, events)

    found = await recomputed(worker, monitor, since - timedelta(days=1))
    times = [each.evaluation.evaluated_at for each in found.evaluations]
    assert found.ended is Ended.PANES
    assert {later - earlier for earlier, later in pairwise(times)} == {timedelta(seconds=2)}
    assert all(each.evaluation == by_events(monitor, each.evaluation, events) for each in found.evaluations)
    assert {Level.OK, Level.CRITICAL} <= {each.evaluation.level for each in found.evaluations}, "there is drift to find"
    exact = [each.exact for each in found.evaluations]
    assert exact == sorted(exact), "windows have lost a little, then nothing"
    assert set(exact) == {True, False}
    cut = [each.evaluation.baseline for each in found.evaluations if not each.exact]
    assert all(90 <= (window.end - window.start).total_seconds() < 100 for window in cut)


async def test_only_signed_requests_are_answered(start: StartPart, model_id: str) -> None:
    worker, closed = start("processor", **SETTINGS), start("processor", fine_pane_seconds=FINE_SECONDS, store="memory")
    await worker.until_ready()
    asked = Recompute(monitor=Monitor(model_id=model_id, version=1), since=datetime.fromtimestamp(0, UTC))
    async with http_client() as client:
        unsigned = await client.post(worker.url + PATH, content=encode(asked))
    assert (unsigned.status_code, unsigned.json()["type"]) == (401, "urn:sentryml:problem:not-signed")
    assert (await ask(worker, asked, SecretStr("x" * 32))).status_code == 401
    assert SECRET.get_secret_value() not in worker.log.read_text()
    assert '"internal_secret":"***' in worker.log.read_text()

    async def answers() -> int:
        try:
            return (await ask(closed, asked)).status_code
        except httpx.TransportError:
            return 0

    assert await eventually(answers, what="a worker without the secret") == 404
    nonsense = b'{"monitor": 1}'
    async with http_client() as client:
        headers = signed_headers(SECRET, "POST", PATH, nonsense, time.time())
        refused = await client.post(worker.url + PATH, content=nonsense, headers=headers)
    assert refused.status_code == 422
    assert "Recompute.monitor" in refused.json()["detail"]


async def test_of_two_workers_the_one_that_owns_the_model_answers(
    kafka: OwnKafka, start: StartPart, producer: AIOKafkaProducer, monitor: Monitor, tmp_path: Any
) -> None:
    start("combiner", fine_pane_seconds=FINE_SECONDS)
    workers = [start("processor", state_dir=tmp_path / f"{number}", **SETTINGS) for number in range(2)]
    await events_of(producer, monitor.model_id)
    since = await until_counted(kafka, monitor.model_id)
    await until_shared(workers)
    partition = partition_of(monitor.model_id, HISTOGRAMS.partitions)
    urls = tuple(worker.url for worker in workers)
    asked = Recompute(monitor=monitor, since=since - timedelta(seconds=5))

    async def answered() -> tuple[list[int], Recomputed] | None:
        async with make_client() as client:
            try:
                found = await Processors(urls, SECRET, client).recompute(monitor, asked.since)
            except NotRecomputed:
                return None
        statuses = [(await ask(worker, asked)).status_code for worker in workers]
        return (statuses, found) if sorted(statuses) == [200, 404] else None

    answer = await eventually(answered, what="an answer of the owner alone")
    assert answer is not None
    statuses, found = answer
    assert [partition in assignments(worker)[-1] for worker in workers] == [status == 200 for status in statuses]
    assert found.evaluations[0].evaluation.signals[0].baseline_count > 0
    other = workers[statuses.index(404)]
    refused = (await ask(other, asked)).json()
    assert refused["type"] == "urn:sentryml:problem:model-not-owned"

    async with make_client() as client:
        nobody = f"http://127.0.0.1:{free_port()}"
        for urls, why in (((other.url,), NO_OWNER), ((other.url, nobody), r"does not answer \(ConnectError\)")):
            with pytest.raises(NotRecomputed, match=why):
                await Processors(urls, SECRET, client).recompute(monitor, since)
        with pytest.raises(NotRecomputed, match="SENTRYML_INTERNAL_SECRET"):
            await Processors((other.url,), SecretStr("x" * 32), client).recompute(monitor, since)
