"""What the client sends, how, and what it makes of each answer; against a local server in the place of ingest."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from datetime import UTC, datetime
from decimal import Decimal
from random import Random
from typing import Any

import numpy as np
import pytest

import sentryml
import sentryml.client
import sentryml.delivery
from sentryml import Client, Stats
from sentryml.counts import Counts
from sentryml.settings import NotConfigured
from tests.support.eventually import eventually
from tests.support.ingest_stand_in import KEY, Received, Reply, StandIn, problem
from tests.unit.client.conftest import NewClient


@pytest.fixture(autouse=True)
def warnings(caplog: pytest.LogCaptureFixture) -> Iterator[pytest.LogCaptureFixture]:
    """What the client has logged."""
    with caplog.at_level(logging.WARNING, logger="sentryml"):
        yield caplog


def counted(client: Client) -> tuple[int, int, int]:
    stats = client.stats()
    return stats.sent, stats.refused, stats.dropped


def test_an_event_has_what_was_logged_and_its_time(ingest: StandIn, client: Client) -> None:
    client.log(
        "fraud", prediction="legit", score=0.07, version="2.3", segment="eu", event_id="a1", timestamp=1_763_888_100
    )
    assert client.flush()
    [request] = ingest.received
    assert (request.method, request.path) == ("POST", "/v1/events")
    assert request.headers["authorization"] == f"Bearer {KEY}"
    assert request.body == [
        {
            "model_id": "fraud", "prediction": "legit", "score": 0.07, "timestamp": 1_763_888_100,
            "version": "2.3", "segment": "eu", "event_id": "a1",
        }
    ]  # fmt: skip


def test_without_a_time_it_is_that_of_the_call_not_of_the_request(
    ingest: StandIn, client: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("sentryml.client.time.time", lambda: 1_763_888_100.25)
    client.log("fraud", "legit")
    assert client.flush()
    assert ingest.events() == [{"model_id": "fraud", "prediction": "legit", "timestamp": 1_763_888_100.25}]


@pytest.mark.parametrize(
    ("given", "sent"),
    [
        (True, True), (3, 3), (0.5, 0.5), ("a", "a"), (np.float32(0.5), 0.5), (np.int64(3), 3), (np.bool_(True), True),
        (np.str_("a"), "a"), (np.array(0.5), 0.5), (Decimal("0.5"), 0.5),
    ],
)  # fmt: skip
def test_scalars_of_other_libraries_are_taken(ingest: StandIn, client: Client, given: Any, sent: Any) -> None:
    client.log("fraud", given)
    assert client.flush()
    [event] = ingest.events()
    assert (event["prediction"], type(event["prediction"])) == (sent, type(sent))


def test_a_datetime_is_sent_as_the_same_moment(ingest: StandIn, client: Client) -> None:
    client.log("fraud", "legit", timestamp=datetime(2026, 11, 23, 9, 15, tzinfo=UTC))
    assert client.flush()
    assert ingest.events()[0]["timestamp"] == datetime(2026, 11, 23, 9, 15, tzinfo=UTC).timestamp()


@pytest.mark.parametrize(
    ("wrong", "says"),
    [
        ({"prediction": None}, "prediction must be text, a number or a boolean, not NoneType"),
        ({"prediction": float("nan")}, "prediction must be a finite number"),
        ({"prediction": np.array([1, 2])}, "prediction must be text, a number or a boolean, not ndarray"),
        ({"score": "high"}, "score must be a number, not str"),
        ({"timestamp": datetime(2026, 11, 23)}, "timestamp has no time zone"),  # noqa: DTZ001
        ({"model_id": 7}, "model_id must be text, not int"),
        ({"version": 2.3}, "version must be text, not float"),
    ],
)
def test_what_no_event_can_be_is_refused_alone_and_said_once(
    ingest: StandIn, client: Client, warnings: pytest.LogCaptureFixture, wrong: dict[str, Any], says: str
) -> None:
    for _ in range(3):
        client.log(**{"model_id": "fraud", "prediction": "legit", **wrong})
    client.log("fraud", "legit")
    assert client.flush()
    assert counted(client) == (1, 3, 0)
    [record] = warnings.records
    assert says in record.getMessage()


class Hostile:
    """Raises whatever is done with it."""

    def __getattribute__(self, name: str) -> Any:
        raise RuntimeError(name)

    __str__ = __repr__ = __hash__ = None  # type: ignore[assignment]


def test_whatever_is_logged_nothing_is_raised_and_the_others_are_sent(ingest: StandIn, client: Client) -> None:
    for wrong in (Hostile(), 10**5_000, object(), [], {}, b"x", float, "\ud800"):
        client.log("fraud", wrong)
        client.log("fraud", "legit", score=wrong, timestamp=wrong)
        client.log(wrong, wrong, version=wrong)  # type: ignore[arg-type]
    client.log("fraud", "legit")
    assert client.flush()
    stats = client.stats()
    assert (stats.sent + stats.refused, stats.dropped) == (25, 0)
    assert ingest.events()[-1]["prediction"] == "legit"


@pytest.mark.parametrize("seed", range(2))
def test_whatever_ingest_does_each_event_is_accepted_refused_or_dropped_and_counted(
    ingest: StandIn, new_client: NewClient, seed: int
) -> None:
    chance = Random(seed)

    def answering(request: Received) -> Reply:
        bad = [index for index, event in enumerate(request.body) if event["prediction"] % 37 == 5]
        named = problem(422, "invalid-events", errors=[{"index": index, "field": "score"} for index in bad[:3]])
        passing = [
            Reply(close=True), problem(503, "unavailable"), problem(429, "key-limit", headers={"Retry-After": "0"}),
            problem(500, "internal-server-error"), Reply(502, None), problem(413, "body-too-large"),
        ]  # fmt: skip
        if chance.random() < 0.3 and not (len(request.body) == 1 and bad):
            return chance.choice(passing[: 5 if len(request.body) == 1 else 6])
        return named if bad else Reply(202)

    ingest.answering = answering
    client = new_client()
    for number in range(1_500):
        client.log("fraud", number)
    assert client.flush()
    refused = {number for number in range(1_500) if number % 37 == 5}
    assert sorted(event["prediction"] for event in ingest.events()) == sorted(set(range(1_500)) - refused)
    assert counted(client) == (1_500 - len(refused), len(refused), 0)


def test_a_hundred_make_a_batch_without_waiting(ingest: StandIn, new_client: NewClient) -> None:
    client = new_client(batch_seconds=3600)
    for number in range(100):
        client.log("fraud", number)
    assert client.flush()
    assert [event["prediction"] for event in ingest.events()] == list(range(100))


async def test_fewer_are_sent_after_some_seconds(ingest: StandIn, new_client: NewClient) -> None:
    client = new_client(batch_seconds=0.02)
    client.log("fraud", "legit")

    async def sent() -> bool:
        return client.stats().sent == 1

    await eventually(sent, what="the event to be sent")


def test_batches_are_compressed_and_use_one_connection(ingest: StandIn, client: Client) -> None:
    for _ in range(3):
        for number in range(50):
            client.log("fraud", number)
        assert client.flush()
    assert len(ingest.events()) == 150
    assert {request.headers.get("content-encoding") for request in ingest.received} == {"gzip"}
    assert ingest.connections == 1


def test_an_ingest_that_takes_no_compressed_body_gets_a_plain_one(ingest: StandIn, client: Client) -> None:
    ingest.replies.append(problem(415, "unsupported-content-encoding"))
    for number in range(50):
        client.log("fraud", number)
    assert client.flush()
    assert (len(ingest.events()), ingest.received[1].headers.get("content-encoding")) == (50, None)


@pytest.mark.parametrize(
    "reply",
    [
        Reply(close=True), problem(503, "unavailable"), problem(500, "internal-server-error"),
        problem(408, "request-timeout"), problem(429, "key-limit", headers={"Retry-After": "0"}), Reply(502, "<html>"),
    ],
)  # fmt: skip
def test_what_may_pass_is_tried_again_with_the_same_key(
    ingest: StandIn, client: Client, reply: Reply, warnings: pytest.LogCaptureFixture
) -> None:
    ingest.replies.extend([reply] * 3)
    client.log("fraud", "legit")
    assert client.flush()
    keys = [request.headers["idempotency-key"] for request in ingest.received]
    assert (len(keys) >= 4, len(set(keys))) == (True, 1)
    assert (counted(client), len(warnings.records)) == ((1, 0, 0), 1)


def test_each_batch_has_a_key_of_its_own(ingest: StandIn, client: Client) -> None:
    for number in range(3):
        client.log("fraud", number)
        assert client.flush()
    assert len({request.headers["idempotency-key"] for request in ingest.received}) == 3


def test_retry_after_is_waited_for(ingest: StandIn, client: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    waits: list[float] = []
    monkeypatch.setattr(sentryml.delivery.Delivery, "_pause", lambda _, seconds: waits.append(seconds))
    ingest.replies.append(problem(429, "key-limit", headers={"Retry-After": "7"}))
    client.log("fraud", "legit")
    assert client.flush()
    assert [round(wait) for wait in waits] == [7]


def test_waits_grow_and_are_spread(monkeypatch: pytest.MonkeyPatch, ingest: StandIn, client: Client) -> None:
    waits: list[float] = []
    monkeypatch.setattr(sentryml.delivery.Delivery, "_pause", lambda _, seconds: waits.append(seconds))
    monkeypatch.setattr(sentryml.delivery, "FIRST_DELAY_SECONDS", 0.5)
    ingest.replies.extend([problem(503, "unavailable")] * 10)
    client.log("fraud", "legit")
    assert client.flush()
    assert all(0.25 * 2**n <= wait <= 0.5 * 2**n for n, wait in enumerate(waits[:7]))
    assert (len(waits), max(waits) <= 60) == (10, True)


@pytest.mark.parametrize(
    ("reply", "says"),
    [
        (problem(401, "unauthorized"), "check SENTRYML_API_KEY"),
        (problem(403, "forbidden"), "events:write"),
        (problem(404, "not-found"), "check SENTRYML_URL"),
        (Reply(200, "a page"), "check SENTRYML_URL"),
        (Reply(301, "", {"Location": "https://elsewhere"}), "it redirects"),
    ],
)
def test_what_is_refused_for_good_is_said_once_and_counted(
    ingest: StandIn, client: Client, warnings: pytest.LogCaptureFixture, reply: Reply, says: str
) -> None:
    ingest.answering = lambda _: reply
    for number in range(3):
        client.log("fraud", number)
        assert client.flush()
    assert (counted(client), len(ingest.received)) == ((0, 3, 0), 3)
    [record] = warnings.records
    assert says in record.getMessage()
    assert KEY not in warnings.text


def test_a_refused_batch_is_sent_again_without_the_events_that_were_named(ingest: StandIn, client: Client) -> None:
    def answering(request: Received) -> Reply:
        bad = [index for index, event in enumerate(request.body) if event["prediction"] % 10 == 3][:2]
        errors = [{"index": index, "field": "timestamp", "reason": "is too old"} for index in bad]
        return problem(422, "invalid-events", errors=errors, more_errors=True) if bad else Reply(202)

    ingest.answering = answering
    for number in range(50):
        client.log("fraud", number)
    assert client.flush()
    assert [event["prediction"] for event in ingest.events()] == [n for n in range(50) if n % 10 != 3]
    assert counted(client) == (45, 5, 0)


def test_where_none_is_named_halves_find_the_event(ingest: StandIn, client: Client) -> None:
    def answering(request: Received) -> Reply:
        return problem(422, "not-json", errors=[]) if any(e["prediction"] == 13 for e in request.body) else Reply(202)

    ingest.answering = answering
    for number in range(50):
        client.log("fraud", number)
    assert client.flush()
    assert (counted(client), len(ingest.events())) == ((49, 1, 0), 49)


def test_a_batch_that_ingest_fails_on_is_halved_too(ingest: StandIn, client: Client) -> None:
    def answering(request: Received) -> Reply:
        return problem(500, "internal-server-error") if any(e["prediction"] == 3 for e in request.body) else Reply(202)

    ingest.answering = answering
    for number in range(4):
        client.log("fraud", number)
    assert client.flush()
    assert counted(client) == (3, 1, 0)


def test_models_that_the_key_may_not_send_for_do_not_take_the_others_with_them(ingest: StandIn, client: Client) -> None:
    def answering(request: Received) -> Reply:
        others = sorted({event["model_id"] for event in request.body} - {"fraud"})
        return problem(403, "forbidden", models=others) if others else Reply(202)

    ingest.answering = answering
    for model_id in ("fraud", "churn", "fraud", "credit"):
        client.log(model_id, 1)
    assert client.flush()
    assert (counted(client), len(ingest.events())) == ((2, 2, 0), 2)


async def test_a_full_queue_drops_and_counts_and_the_caller_does_not_wait(
    ingest: StandIn, new_client: NewClient, warnings: pytest.LogCaptureFixture
) -> None:
    ingest.gate.clear()
    client = new_client(queue_events=200, batch_events=100)
    for number in range(2_000):
        client.log("fraud", number)

    async def all_counted() -> Stats | None:
        stats = client.stats()
        return stats if stats.waiting + stats.dropped == 2_000 else None

    before = await eventually(all_counted, what="each event to wait or to be dropped")
    assert before is not None
    assert before.dropped >= 800
    ingest.gate.set()
    assert client.flush()
    assert client.stats() == Stats(0, before.waiting, before.dropped, 0, 0)
    assert len(warnings.records) == 1


def test_a_backlog_goes_in_larger_batches(ingest: StandIn, new_client: NewClient) -> None:
    ingest.gate.clear()
    client = new_client()
    for number in range(5_000):
        client.log("fraud", number)
    ingest.gate.set()
    assert client.flush()
    assert len(ingest.events()) == 5_000
    assert max(len(request.body) for request in ingest.received) == 1_000


def test_closing_ends_in_time_and_counts_what_is_left(
    new_client: NewClient, ingest: StandIn, warnings: pytest.LogCaptureFixture
) -> None:
    ingest.gate.clear()
    client = new_client()
    for number in range(10):
        client.log("fraud", number)
    assert not client.close(0.2)
    assert client.stats() == Stats(0, 0, 10, 0, 0)
    assert "10 predictions are dropped" in warnings.text


def test_where_nothing_listens_closing_ends_in_time(warnings: pytest.LogCaptureFixture) -> None:
    client = Client("http://127.0.0.1:1", KEY)
    client.log("fraud", 1)
    assert not client.close(0.2)
    assert client.stats().dropped == 1


def test_after_closing_it_can_be_used_again(ingest: StandIn, client: Client) -> None:
    for _ in range(2):
        client.log("fraud", 1)
        assert client.close()
    assert (len(ingest.events()), client.stats().sent) == (2, 2)


@pytest.mark.parametrize(
    ("url", "key", "says"),
    [
        ("", KEY, "SENTRYML_URL"), ("http://x", "", "SENTRYML_API_KEY"), ("ftp://x", KEY, "is no address"),
        ("drift.example.org", KEY, "is no address"), ("http://x:99999", KEY, "is no address"),
        ("http://drift..example.org", KEY, "is no address"), (f"http://{'x' * 64}.org", KEY, "is no address"),
        ("http://x/a b", KEY, "is no address"),
        ("http://x", "sml_a\nb", "copy it again"), ("http://x/?a=b", KEY, "is no address"),
    ],
)  # fmt: skip
def test_what_cannot_be_used_is_said_when_it_is_configured(url: str, key: str, says: str) -> None:
    with pytest.raises(NotConfigured, match=says):
        sentryml.configure(url, key)


def test_without_an_address_logging_does_not_raise(
    monkeypatch: pytest.MonkeyPatch, warnings: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(sentryml.client, "_process", sentryml.client._Process())
    monkeypatch.setattr(sentryml.client._process, "unconfigured", Counts())
    for _ in range(3):
        sentryml.log("fraud", prediction=1)
    assert sentryml.stats() == Stats(0, 0, 3, 0, 0)
    assert ["SENTRYML_URL" in record.getMessage() for record in warnings.records] == [True]


def test_the_environment_says_where_to_send(ingest: StandIn, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sentryml.client, "_process", sentryml.client._Process())
    monkeypatch.setenv("SENTRYML_URL", ingest.url + "/v1/events")
    monkeypatch.setenv("SENTRYML_API_KEY", KEY)
    sentryml.log("fraud", prediction=1)
    assert sentryml.close(20)
    assert sentryml.stats().sent == 1
