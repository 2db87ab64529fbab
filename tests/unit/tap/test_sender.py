"""Events to ingest: what becomes of each answer."""

from __future__ import annotations

import asyncio

import orjson
import pytest

from sentryml_common.errors import Unavailable
from sentryml_common.health import Health
from sentryml_tap.domain.reading import Reason, TappedEvent
from sentryml_tap.sender import Sender
from tests.support.ingest_stand_in import KEY, Received, Reply, StandIn, problem
from tests.unit.tap.conftest import as_ingest


def some(number: int, model_id: str = "fraud") -> list[TappedEvent]:
    return [TappedEvent(model_id, orjson.dumps({"model_id": model_id, "prediction": n})) for n in range(number)]


def predictions(request: Received) -> list[int]:
    return [event["prediction"] for event in request.body]


async def test_a_request_carries_its_key_and_asks_for_the_good_events(sender: Sender, ingest: StandIn) -> None:
    assert await sender.send("t", some(2), "k") == []
    [request] = ingest.received
    assert predictions(request) == [0, 1]
    assert request.headers["idempotency-key"] == "k-0"
    assert request.headers["prefer"] == "handling=lenient"
    assert request.headers["authorization"] == f"Bearer {KEY}"


async def test_many_events_are_several_requests_with_keys_of_their_own(sender: Sender, ingest: StandIn) -> None:
    await sender.send("t", some(2_500), "k")
    assert [(len(each.body), each.headers["idempotency-key"]) for each in ingest.received] == [
        (1_000, "k-0"), (1_000, "k-1000"), (500, "k-2000"),
    ]  # fmt: skip


async def test_what_is_too_large_is_sent_in_halves_whose_keys_are_always_the_same(
    sender: Sender, ingest: StandIn
) -> None:
    def small(request: Received) -> Reply:
        return as_ingest(request) if len(request.body) < 3 else problem(413, "body-too-large")

    ingest.answering = small
    for _ in range(2):
        ingest.received.clear()
        ingest.answers.clear()
        assert await sender.send("t", some(4), "k") == []
        assert [(predictions(each), each.headers["idempotency-key"]) for each in ingest.accepted] == [
            ([0, 1], "k-0a"), ([2, 3], "k-0b"),
        ]  # fmt: skip


async def test_events_that_ingest_names_are_refused_and_the_others_are_not_sent_again(
    sender: Sender, ingest: StandIn
) -> None:
    errors = [{"index": 1, "field": "timestamp", "reason": "is too old"}]
    ingest.replies.append(Reply(202, {"accepted": 1, "refused": 2, "errors": errors, "more_errors": True}))
    found = await sender.send("t", some(3), "k")
    assert found == [(Reason.REFUSED, "timestamp is too old"), (Reason.REFUSED, "ingest refused it")]
    ingest.replies.append(problem(422, "invalid-events", errors=[{**errors[0], "index": 0}]))
    assert await sender.send("t", some(1), "k") == [(Reason.REFUSED, "timestamp is too old")]
    assert len(ingest.received) == 2


async def test_a_model_that_the_key_may_not_write_takes_no_other_with_it(sender: Sender, ingest: StandIn) -> None:
    ingest.replies.append(problem(403, "forbidden", models=["secret"]))
    [fault] = await sender.send("t", [*some(2), *some(1, "secret")], "k")
    assert fault == (Reason.REFUSED, "model_id is of a model that the API key may not write")
    assert [len(each.body) for each in ingest.accepted] == [2]


@pytest.mark.parametrize(
    ("reply", "why"),
    [
        (problem(503, "unavailable", "Kafka is away"), "Kafka is away"),
        (problem(429, "key-limit", "too fast", {"Retry-After": "1"}), "too fast"),
        (problem(401, "unauthorized", "unknown key"), "unknown key; check SENTRYML_TAP_API_KEY"),
        (problem(403, "forbidden", "no scope"), "no scope; SENTRYML_TAP_API_KEY needs the scope events:write"),
        (Reply(404, {"detail": "echo"}), "HTTP 404; check SENTRYML_TAP_INGEST_URL: this is not ingest"),
        (Reply(200, {"detail": "echo"}), "HTTP 200; check SENTRYML_TAP_INGEST_URL: this is not ingest"),
        (Reply(500, {"detail": "echo"}), "HTTP 500"),
        (Reply(close=True), "no answer: "),
    ],
)
async def test_while_ingest_takes_nothing_readyz_says_why_and_nothing_is_given_up(
    sender: Sender, ingest: StandIn, health: Health, reply: Reply, why: str
) -> None:
    ingest.answering = lambda _: reply
    with pytest.raises(Unavailable, match="takes no events"):
        await sender.send("t", some(1), "k")
    assert why in health.waiting_for["ingest"]
    sent = len(ingest.received)
    with pytest.raises(Unavailable):
        await sender.send("t", some(1), "k")
    assert all(each.body == [] for each in ingest.received[sent:]), "it only asks whether ingest is back"
    ingest.answering = as_ingest
    await sender.back(60)
    assert health.waiting_for == {}
    assert await sender.send("t", some(1), "k") == []


async def test_requests_of_many_sources_go_side_by_side(sender: Sender, ingest: StandIn) -> None:
    await asyncio.gather(*(sender.send("t", some(1), str(number)) for number in range(50)))
    assert len(ingest.accepted) == 50
    assert ingest.connections <= 17
