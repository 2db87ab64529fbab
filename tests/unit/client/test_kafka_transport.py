"""Batches into Kafka: checked as ingest would, repeated under the same id, and counted. The producer is a stand-in."""

from __future__ import annotations

import asyncio
import logging
import os
import threading
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sentryml import Client, Stats
from sentryml.events import BadEvent, Event
from sentryml.kafka_delivery import REQUEST_ID_HEADER
from sentryml.rules import encode_checked
from sentryml.settings import NotConfigured
from sentryml_common.contracts.prediction import read_rows
from tests.support.eventually import eventually_sync


class StandIn:
    """In the place of aiokafka's producer: raises what `raising` holds, else keeps what is written."""

    written: list[tuple[bytes, dict[str, bytes], int]]
    """(value, headers, number of the producer)."""
    raising: list[BaseException]
    started: int
    open: int

    def __init__(self, *, bootstrap_servers: str = "", enable_idempotence: bool = False, **settings: Any) -> None:
        assert (bootstrap_servers, enable_idempotence) == ("kafka:9092", True)

    async def start(self) -> None:
        StandIn.started += 1
        StandIn.open += 1

    async def stop(self) -> None:
        StandIn.open -= 1

    async def send_and_wait(self, topic: str, value: bytes, key: bytes, headers: list[tuple[str, bytes]]) -> None:
        assert (topic, key) == ("sentryml.predictions.v1", dict(headers)[REQUEST_ID_HEADER])
        StandIn.written.append((value, dict(headers), StandIn.started))
        if StandIn.raising:
            raise StandIn.raising.pop(0)


class MessageSizeTooLargeError(RuntimeError):
    """Named as that of aiokafka."""


class TopicAuthorizationFailedError(RuntimeError):
    """Named as that of aiokafka."""


@pytest.fixture
def client(monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture) -> Iterator[Client]:
    """One that writes to the stand-in."""
    StandIn.written, StandIn.raising, StandIn.started, StandIn.open = [], [], 0, 0
    monkeypatch.setattr("sentryml.kafka_delivery._producer_class", lambda: StandIn)
    with caplog.at_level(logging.WARNING, logger="sentryml"):
        made = Client(transport="kafka", bootstrap="kafka:9092", flush_seconds=60, batch_seconds=600)
        yield made
        made.close(0.1)
        for thread in threading.enumerate():  # or it would go on in the next test, with the Kafka of that
            if thread.name == "sentryml":
                thread.join(20)


def log_some(client: Client, *predictions: Any) -> None:
    for each in predictions:
        client.log("fraud", each)
    assert client.flush()


def test_a_batch_that_may_have_been_written_is_written_again_under_its_id(client: Client) -> None:
    StandIn.raising = [TimeoutError(), ConnectionError("away")]
    log_some(client, "legit", 0.5)
    assert client.stats() == Stats(waiting=0, sent=2, dropped=0, refused=0, retries=2)
    assert len({(value, headers[REQUEST_ID_HEADER]) for value, headers, _ in StandIn.written}) == 1
    assert [producer for _, _, producer in StandIn.written] == [1, 2, 3], "none goes on after a gap in its sequence"
    log_some(client, "fraud")
    assert (StandIn.started, client.stats().sent) == (3, 3)


def test_what_is_too_large_is_halved_and_what_is_not_allowed_is_refused(
    client: Client, caplog: pytest.LogCaptureFixture
) -> None:
    StandIn.raising = [MessageSizeTooLargeError(), MessageSizeTooLargeError()]
    log_some(client, 1, 2, 3)
    assert (client.stats().sent, client.stats().refused) == (2, 1)
    StandIn.raising = [TopicAuthorizationFailedError("sentryml.predictions.v1")]
    log_some(client, 1)
    assert (client.stats().sent, client.stats().refused) == (2, 2)
    assert "let this client write to the topic" in caplog.text


def test_nothing_is_left_open_and_nothing_lost_unseen_when_the_process_ends(client: Client) -> None:
    log_some(client, "legit")
    assert client.close()
    assert (client.stats().sent, StandIn.open) == (1, 0)
    StandIn.raising = [TimeoutError() for _ in range(100_000)]
    client.log("fraud", "legit")
    client.close(0.05)
    ended = Stats(waiting=0, sent=1, dropped=1, refused=0, retries=0)
    eventually_sync(lambda: replace(client.stats(), retries=0) == ended, what="the event to be counted as dropped")
    eventually_sync(lambda: StandIn.open == 0, what="the thread to close its producer")


def test_a_forked_child_has_a_producer_of_its_own(client: Client) -> None:
    log_some(client, "legit")
    child = os.fork()
    if child == 0:
        client.log("fraud", "of the child")
        os._exit(0 if client.flush() and (client.stats().sent, StandIn.started) == (1, 2) else 1)
    assert os.waitpid(child, 0)[1] == 0
    log_some(client, "legit")
    assert (client.stats().sent, StandIn.started) == (2, 1)


async def test_it_is_the_same_where_a_loop_runs_already(client: Client) -> None:
    client.log("fraud", "legit")
    assert await asyncio.to_thread(client.flush)
    assert client.stats().sent == 1


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        ({"transport": "kafka"}, "SENTRYML_KAFKA_BOOTSTRAP"),
        ({"transport": "kafka", "bootstrap": "kafka:9092", "url": "http://localhost"}, "takes no url and no key"),
        ({"transport": "kafka", "bootstrap": "kafka:9092", "kafka": {"sasl": 1}}, "has no setting sasl"),
        ({"bootstrap": "kafka:9092", "key": "sml_a", "url": "http://localhost"}, "are for transport='kafka'"),
        ({"transport": "grpc"}, "it is 'http' or 'kafka'"),
    ],
)
def test_what_cannot_be_is_said_at_once(settings: dict[str, Any], said: str) -> None:
    with pytest.raises(NotConfigured, match=said):
        Client(**settings)


TEXTS = st.text(st.characters(exclude_categories=()), max_size=140) | st.sampled_from(["", "a\x85", "\x00", "\ud800"])
VALUES = TEXTS | st.booleans() | st.floats() | st.integers() | st.sampled_from([10**400, -(10**400)])
TIMES = st.floats() | st.sampled_from(["2026-11-23T09:15:00Z", "2026-11-23T09:15:00", "9999-12-31T23:00:00-12:00", ""])


@given(
    st.builds(
        Event, TEXTS | st.just("fraud"), VALUES, st.none() | VALUES, TIMES, *[st.none() | TEXTS for _ in range(3)]
    )
)
def test_what_passes_the_check_is_read_by_drift(event: Event) -> None:
    try:
        encoded = encode_checked(event)
    except BadEvent:
        return
    [row] = read_rows(b"[" + encoded + b"]")
    assert row.prediction == event.prediction
