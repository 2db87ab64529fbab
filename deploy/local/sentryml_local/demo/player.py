"""Plays the days: what producers of predictions do, at one day a second.

The model with scores goes through the HTTP gateway, as an application would send it, with the model's version and the
airport as a segment. The labels alone go straight into the Kafka topic, from a producer that knows nothing of SentryML
but the topic's name: no key, lz4, single events and arrays mixed. What is played beside them (`beside`) goes through
the gateway. The days of history are sent at once; of the others, a quarter of a day is sent when it begins, so no event
is more than a moment ahead.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, date, datetime
from itertools import count

import httpx
import numpy as np
import orjson
from aiokafka import AIOKafkaProducer

from sentryml_common.clock import Clock, system_clock
from sentryml_common.contracts.topics import PREDICTIONS
from sentryml_common.errors import Unavailable
from sentryml_local.demo.beside import (
    SEARCHES_PER_SECOND,
    Event,
    airport_events,
    airport_of,
    search_event,
    search_history,
    searches_are_sent,
)
from sentryml_local.demo.time_scale import DAYS_OF_HISTORY, LABEL_MODEL, SCORE_MODEL, FlightDay, Story

PARTS_OF_DAY = 4
REBUILT = date(2013, 5, 6)
SINGLES_IN_TEN, ARRAY_EVENTS = 2, 50
PATIENCE_SECONDS = 20.0


@dataclass(frozen=True, slots=True)
class Progress:
    """How far the playing has come: the day that has just been sent, and how late that was."""

    day: int
    events: int
    seconds_late: float


def score_events(story: Story, day: int, flights: FlightDay, rows: slice) -> list[Event]:
    """Events of the model with scores, as the gateway takes them."""
    return [
        {
            "model_id": SCORE_MODEL,
            "prediction": label,
            "score": float(score),
            "timestamp": story.time_of(day, float(moment)),
            "event_id": name,
            "version": version_of(flights.date),
            "segment": airport_of(name),
        }
        for moment, name, score, label in zip(
            flights.times[rows], flights.names[rows], flights.scores[rows], flights.labels[rows], strict=True
        )
    ]


def version_of(day: date) -> str:
    """Which version of the model predicts on a day. The second is the same one, built again."""
    return "1.0" if day < REBUILT else "1.1"


def label_records(story: Story, day: int, flights: FlightDay, rows: slice) -> Iterator[bytes]:
    """Kafka records of the model without scores: a fifth of the events alone, the others in arrays."""
    events = [
        {"model_id": LABEL_MODEL, "prediction": label, "timestamp": _rfc3339(story.time_of(day, float(moment)))}
        for moment, label in zip(flights.times[rows], flights.labels[rows], strict=True)
    ]
    alone = len(events) * SINGLES_IN_TEN // 10
    yield from (orjson.dumps(event) for event in events[:alone])
    for first in range(alone, len(events), ARRAY_EVENTS):
        yield orjson.dumps(events[first : first + ARRAY_EVENTS])


def _rfc3339(epoch_seconds: float) -> str:
    return datetime.fromtimestamp(epoch_seconds, UTC).isoformat()


class Gateway:
    """The HTTP gateway as an application uses it."""

    def __init__(self, client: httpx.AsyncClient, url: str, key: str) -> None:
        self._client, self._url = client, f"{url}/v1/events"
        self._headers = {"Authorization": f"Bearer {key}", "Content-Type": "application/json"}

    async def send(self, events: list[Event]) -> None:
        """Post a batch, again where the gateway asks for it: it takes all of a batch or nothing.

        Raises:
            Unavailable: the gateway did not take the batch within 20 s, or refused it; the message has its answer.
        """
        body, loop = orjson.dumps(events), asyncio.get_running_loop()
        give_up = loop.time() + PATIENCE_SECONDS
        while True:
            answer = await self._post(body)
            if answer.status_code == httpx.codes.ACCEPTED:
                return
            if answer.status_code not in {429, 503} or loop.time() > give_up:
                raise Unavailable(f"the gateway answered {answer.status_code} to {len(events)} events: {answer.text}")
            await asyncio.sleep(min(float(answer.headers.get("Retry-After", 1)), 2.0))

    async def _post(self, body: bytes) -> httpx.Response:
        try:
            return await self._client.post(self._url, content=body, headers=self._headers)
        except httpx.TransportError as err:
            raise Unavailable(f"{self._url} does not answer: {type(err).__name__} {err}".rstrip()) from err


class TopicWriter:
    """A producer that writes to the predictions topic directly."""

    def __init__(self, producer: AIOKafkaProducer) -> None:
        self._producer = producer

    async def send(self, records: Iterator[bytes]) -> None:
        """Write records without a key and wait until Kafka has them."""
        await asyncio.gather(*[await self._producer.send(PREDICTIONS.name, record) for record in records])


class Player:
    """Sends each part of each day when its time has come."""

    def __init__(self, story: Story, days: list[FlightDay], gateway: Gateway, topic: TopicWriter) -> None:
        self._story, self._days = story, days
        self._gateway, self._topic = gateway, topic

    async def play(self, report: Callable[[Progress], None], now: Clock = system_clock) -> None:
        """Play all days; `report` is called for each that has been sent."""
        for day, flights in enumerate(self._days):
            count = 1 if day < DAYS_OF_HISTORY else PARTS_OF_DAY
            borders = np.searchsorted(flights.times, np.arange(count + 1) / count)
            for part in range(count):
                await _until(self._story.time_of(day, part / count), now)
                await self._send(day, flights, slice(int(borders[part]), int(borders[part + 1])))
            late = now().timestamp() - self._story.time_of(day, 1.0)
            report(Progress(day, len(flights.scores), max(0.0, late)))
        await _until(self._story.end, now)

    async def _send(self, day: int, flights: FlightDay, rows: slice) -> None:
        if rows.start == rows.stop:
            return
        of_airports = list(airport_events(self._story, day, flights, rows))
        await asyncio.gather(
            self._gateway.send(score_events(self._story, day, flights, rows) + of_airports),
            self._topic.send(label_records(self._story, day, flights, rows)),
        )


async def send_searches(story: Story, gateway: Gateway, now: Clock = system_clock) -> None:
    """Send the events of the model of searches, until cancelled: after the last day, too, or it would be silent."""
    began = int(now().timestamp())
    await gateway.send(search_history(began))
    for number in count():
        at = began + number / SEARCHES_PER_SECOND
        await _until(at, now)
        if searches_are_sent(story, at):
            await gateway.send([search_event(at)])


async def _until(moment: float, now: Clock) -> None:
    """Wait until the wall clock, to which the events' timestamps belong, shows `moment`."""
    await asyncio.sleep(max(0.0, moment - now().timestamp()))
