"""What the player sends is what the public contract takes, spread over the day's second."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from itertools import pairwise

import httpx
import numpy as np
import orjson
import pytest

from sentryml_common.contracts.prediction import PredictionEvent, parse_events
from sentryml_common.errors import Unavailable
from sentryml_local.demo.beside import SEARCHES_PER_SECOND, SILENT, airport_events
from sentryml_local.demo.player import (
    ARRAY_EVENTS,
    Gateway,
    Player,
    Progress,
    TopicWriter,
    label_records,
    score_events,
    send_searches,
    version_of,
)
from sentryml_local.demo.time_scale import DAYS_OF_HISTORY, LABEL_MODEL, SCORE_MODEL, FlightDay, Story
from tests.support.eventually import eventually

ALL = slice(0, None)
START = datetime(2026, 11, 23, 12, 0, 0, tzinfo=UTC)


def a_story() -> Story:
    return Story(int(START.timestamp()), date(2013, 4, 1), DAYS_OF_HISTORY + 1)


def a_day(flights: int = 240) -> FlightDay:
    return FlightDay(
        date(2013, 4, 1),
        np.arange(flights) / flights,
        tuple(f"2013-04-01 UA{number} EWR-ORD 1800" for number in range(flights)),
        np.linspace(0.0, 1.0, flights),
        tuple("late" if number % 3 == 0 else "on time" for number in range(flights)),
    )


def test_events_with_scores_keep_to_the_contract() -> None:
    events = parse_events(orjson.dumps(score_events(a_story(), 1, a_day(), ALL)))
    assert {event.model_id for event in events} == {SCORE_MODEL}
    assert [event.score for event in events] == list(a_day().scores)
    assert events[0].event_id == "2013-04-01 UA0 EWR-ORD 1800"


def test_events_name_the_airport_and_the_version_which_changes_once() -> None:
    events = parse_events(orjson.dumps(score_events(a_story(), 1, a_day(), ALL)))
    assert {(event.version, event.segment) for event in events} == {("1.0", "EWR")}
    assert [version_of(date(2013, 5, day)) for day in (5, 6, 7)] == ["1.0", "1.1", "1.1"]


def test_events_lie_inside_the_second_of_their_day_in_the_order_of_the_day() -> None:
    events = parse_events(orjson.dumps(score_events(a_story(), 1, a_day(), ALL)))
    offsets = [event.timestamp.timestamp() - START.timestamp() for event in events if event.timestamp]
    assert offsets == sorted(offsets)
    assert offsets[0] == 1.0
    assert offsets[-1] < 2.0


def test_records_with_labels_mix_single_events_and_arrays_and_lose_none() -> None:
    records = list(label_records(a_story(), 0, a_day(), ALL))
    parsed = [orjson.loads(record) for record in records]
    assert {type(record) for record in parsed} == {dict, list}
    assert max(len(record) for record in parsed if isinstance(record, list)) <= ARRAY_EVENTS
    events = [event for record in records for event in parse_events(record)]
    assert [event.prediction for event in events] == list(a_day().labels)
    assert {(event.model_id, event.score) for event in events} == {(LABEL_MODEL, None)}


class Received:
    """A gateway and a topic that keep what they get; the gateway gives `answers` first, then 202."""

    def __init__(self, *answers: httpx.Response) -> None:
        self.answers = list(answers)
        self.requests: list[list[PredictionEvent]] = []
        self.keys: set[str] = set()
        self.records: list[bytes] = []

    def answer(self, request: httpx.Request) -> httpx.Response:
        self.keys.add(request.headers["Authorization"])
        if self.answers:
            return self.answers.pop(0)
        self.requests.append(parse_events(request.content))
        return httpx.Response(202, json={"accepted": len(self.requests[-1])})

    def gateway(self) -> Gateway:
        client = httpx.AsyncClient(transport=httpx.MockTransport(self.answer))
        return Gateway(client, "http://gateway", "sml_key")

    async def send(self, topic: str, value: bytes) -> asyncio.Future[None]:
        """As aiokafka's producer: the future is done when Kafka has the record."""
        assert topic == "sentryml.predictions.v1"
        self.records.append(value)
        taken = asyncio.get_running_loop().create_future()
        taken.set_result(None)
        return taken


async def test_history_goes_day_by_day_and_a_played_day_in_parts_to_the_gateway_and_to_the_topic() -> None:
    received, reports = Received(), list[Progress]()
    player = Player(a_story(), [a_day()] * (DAYS_OF_HISTORY + 1), received.gateway(), TopicWriter(received))
    long_after = datetime(2026, 11, 23, 13, 0, 0, tzinfo=UTC)
    await player.play(reports.append, now=lambda: long_after)
    assert [len(request) for request in received.requests] == [480] * DAYS_OF_HISTORY + [120] * 4
    assert sum(len(parse_events(record)) for record in received.records) == 240 * (DAYS_OF_HISTORY + 1)
    assert received.keys == {"Bearer sml_key"}
    assert [(report.day, report.events) for report in reports] == [(day, 240) for day in range(DAYS_OF_HISTORY + 1)]
    assert reports[0].seconds_late == 3599.0


async def test_searches_have_a_history_without_a_gap_and_stop_for_a_while() -> None:
    received, clock = Received(), START
    story = Story(int(START.timestamp()) - 47, date(2013, 4, 1), 66)

    def now() -> datetime:
        nonlocal clock
        clock += timedelta(seconds=1)
        return clock

    sending = asyncio.create_task(send_searches(story, received.gateway(), now))

    async def back() -> bool:
        return len(received.requests) > 30

    await eventually(back, what="events after the pause")
    sending.cancel()
    times = [each.timestamp.timestamp() - story.start for events in received.requests for each in events]
    pace = [later - earlier for earlier, later in pairwise(times)]
    assert pace.count(1 / SEARCHES_PER_SECOND) == len(pace) - 1
    gap = (SILENT[1] - SILENT[0]).days
    assert max(pace) == gap + 1 / SEARCHES_PER_SECOND
    assert story.date_of(int(times[pace.index(max(pace)) + 1])) == SILENT[1]


def test_the_airports_models_get_no_scores_on_two_days() -> None:
    for day, scored in ((date(2013, 4, 21), True), (date(2013, 4, 22), False), (date(2013, 4, 24), True)):
        events = list(airport_events(a_story(), 0, replace(a_day(), date=day), ALL))
        assert {event["model_id"] for event in events} == {"flights-newark"}
        assert {event["score"] is not None for event in events} == {scored}


async def test_a_batch_that_the_gateway_could_not_take_is_sent_again() -> None:
    received = Received(httpx.Response(503, headers={"Retry-After": "0"}))
    await received.gateway().send(score_events(a_story(), 0, a_day(), slice(0, 10)))
    assert [len(request) for request in received.requests] == [10]


async def test_a_refusal_says_what_the_gateway_said() -> None:
    received = Received(httpx.Response(401, text="no such key"))
    with pytest.raises(Unavailable, match="401 to 10 events: no such key"):
        await received.gateway().send(score_events(a_story(), 0, a_day(), slice(0, 10)))
