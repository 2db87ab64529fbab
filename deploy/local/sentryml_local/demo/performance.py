"""One performance of the demo on a running stack: play, watch, narrate, judge.

player ──▶ gateway, Kafka topic        monitors set as soon as the models are registered
observer ──▶ narrator                  until every message has arrived, or the time is up
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from typing import Any

import httpx
from aiokafka import AIOKafkaProducer

from sentryml_common.clock import system_clock
from sentryml_common.contracts.evaluation import Signal
from sentryml_common.errors import Unavailable
from sentryml_local.demo.beside import AIRPORTS, SEARCH_HISTORY_SECONDS, SEARCH_MODEL
from sentryml_local.demo.narrator import Narrator
from sentryml_local.demo.observer import Observer, Rest, Seen
from sentryml_local.demo.player import Gateway, Player, TopicWriter, send_searches
from sentryml_local.demo.time_scale import (
    LABEL_MODEL,
    REAL_MONITOR,
    SCORE_MODEL,
    FlightDay,
    Story,
    plan_story,
    scale_monitor,
)
from sentryml_local.demo.verdict import at_rest, missing, undelivered

POLL_SECONDS, REGISTER_SECONDS, END_SECONDS = 0.5, 15.0, 20.0
HTTP_TIMEOUT_SECONDS = 10.0

SCALED_MONITOR: dict[str, Any] = {
    **scale_monitor(REAL_MONITOR),
    # Where a day is a second, the log is read hours behind.
    "silence": False,
}
AIRPORT_MONITOR: dict[str, Any] = {
    **SCALED_MONITOR,
    # A hundred flights a day and airport: these models are watched for faults, the weather is seen by the others.
    "warn": 1.0,
    "critical": 2.0,
}
SEARCH_MONITOR: dict[str, Any] = {
    "baseline_seconds": SEARCH_HISTORY_SECONDS,
    "current_seconds": 20,
    "every_seconds": 1,
    "resolve_after_seconds": 1,
    "signals": [Signal.PREDICTION.value],
}
MONITORS: dict[str, dict[str, Any]] = {
    SCORE_MODEL: SCALED_MONITOR,
    # It sends no scores: there is nothing but its predictions to watch.
    LABEL_MODEL: {**SCALED_MONITOR, "signals": [Signal.PREDICTION.value]},
    **dict.fromkeys(AIRPORTS.values(), AIRPORT_MONITOR),
    SEARCH_MODEL: SEARCH_MONITOR,
}


class Performance:
    """Everything that takes part; `environment` is that of the stack."""

    def __init__(
        self, environment: Mapping[str, str], client: httpx.AsyncClient, producer: AIOKafkaProducer, narrator: Narrator
    ) -> None:
        self._narrator = narrator
        self._incidents = Rest(client, environment["SENTRYML_INCIDENTS_URL"], environment["SENTRYML_ADMIN_KEY"])
        stand_in = Rest(client, environment["SENTRYML_SLACK_STAND_IN_URL"])
        self._observer = Observer(self._incidents, stand_in, tuple(MONITORS))
        self._gateway = Gateway(client, environment["SENTRYML_INGEST_URL"], environment["SENTRYML_EVENTS_KEY"])
        self._topic = TopicWriter(producer)
        self._searches: asyncio.Task[None] | None = None

    @property
    def seen(self) -> Seen:
        """Everything that was seen so far."""
        return self._observer.seen

    async def play(self, days: list[FlightDay]) -> list[str]:
        """Play all days and wait for the end of the story; what was promised and not seen.

        Raises:
            Unavailable: a service did not take what it was sent, or a model was not registered.
        """
        story = plan_story(system_clock(), days[0].date, len(days))
        self._narrator.begin(story)
        watching = asyncio.create_task(self.watch())
        self._searches = asyncio.create_task(send_searches(story, self._gateway))
        try:
            async with asyncio.TaskGroup() as tasks:
                tasks.create_task(Player(story, days, self._gateway, self._topic).play(self._narrator.played))
                for model_id in MONITORS:
                    tasks.create_task(self._set_monitor(model_id, story))
            await self._wait_for_end(story)
        except ExceptionGroup as group:
            raise group.exceptions[0] from group
        finally:
            watching.cancel()
            await asyncio.wait([watching])
        return missing(self.seen.transitions, self.seen.messages, self.seen.deliveries)

    async def close(self) -> None:
        """Stop what is sent in the background."""
        if self._searches is not None:
            self._searches.cancel()
            await asyncio.wait([self._searches])

    async def watch(self) -> None:
        """Poll and narrate until cancelled; wait for a service that is away."""
        said = ""
        while True:
            try:
                self._narrator.tell(await self._observer.poll())
                said = ""
            except Unavailable as err:
                if str(err) != said:
                    self._narrator.step(f"waiting: {err}")
                said = str(err)
            await asyncio.sleep(POLL_SECONDS)

    async def _set_monitor(self, model_id: str, story: Story) -> None:
        """Set a model's monitor as soon as the model is registered, which its first events do."""
        give_up = story.curtain + REGISTER_SECONDS
        while await self._incidents.put(f"/v1/models/{model_id}/monitor", MONITORS[model_id]) is None:
            if system_clock().timestamp() > give_up:
                raise Unavailable(f"{model_id} was not registered within {REGISTER_SECONDS:.0f} s of its first events")
            await asyncio.sleep(POLL_SECONDS)
        self._narrator.watched(model_id)

    async def _wait_for_end(self, story: Story) -> None:
        """Wait until the last day is evaluated, no incident is live and Slack has every message, or time is up."""
        give_up = story.end + END_SECONDS
        while system_clock().timestamp() < give_up:
            evaluated = {each.model_id for each in self.seen.evaluations if each.evaluated_at.timestamp() >= story.end}
            delivered = not undelivered(self.seen.transitions, self.seen.deliveries)
            if evaluated == set(MONITORS) and at_rest(self.seen.transitions) and delivered:
                return
            await asyncio.sleep(POLL_SECONDS)


@asynccontextmanager
async def open_performance(environment: Mapping[str, str], narrator: Narrator) -> AsyncIterator[Performance]:
    """A performance with its connections to the stack."""
    producer = AIOKafkaProducer(
        bootstrap_servers=environment["SENTRYML_KAFKA_BOOTSTRAP"], acks="all", compression_type="lz4", linger_ms=5
    )
    async with httpx.AsyncClient(timeout=HTTP_TIMEOUT_SECONDS) as client:
        await producer.start()
        try:
            performance = Performance(environment, client, producer, narrator)
            yield performance
        finally:
            await performance.close()
            await producer.stop()
