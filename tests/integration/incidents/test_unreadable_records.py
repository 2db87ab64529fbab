"""Dead letters are counted by hour, topic, reason and sender, each once, and shown with what to do."""

from __future__ import annotations

from datetime import datetime
from types import SimpleNamespace

import httpx
import pytest

from sentryml_common.contracts.api_key import Scope
from sentryml_common.contracts.dead_letter import DeadLetter
from sentryml_common.errors import UndecodableMessage
from sentryml_common.kafka.dead_letter import DeadLetters
from sentryml_common.postgres.pool import Pool
from sentryml_incidents.consumers.dead_letters import DeadLetterConsumer
from sentryml_incidents.timer import Timer
from tests.integration.incidents.conftest import MakeClient, StillClock
from tests.integration.incidents.test_pages import text_of
from tests.unit.incidents.builders import at

START = at(0)


def a_letter(offset: int, reason: str = "schema_registry_prefix", when: datetime = START, **more: object) -> DeadLetter:
    values = {
        "topic": "sentryml.predictions.v1",
        "partition": 0,
        "service": "combiner",
        "detail": "the record begins with a schema-registry prefix (schema 17): send plain JSON without it",
    }
    return DeadLetter.model_validate(values | {"offset": offset, "reason": reason, "at": when} | more)


async def counted(pool: Pool) -> dict[tuple[str, str], int]:
    rows = await pool.fetch("SELECT reason, sender, sum(records)::int AS records FROM unreadable_hour GROUP BY 1, 2")
    return {(row["reason"], row["sender"]): row["records"] for row in rows}


async def test_letters_that_come_again_are_counted_once(pool: Pool) -> None:
    consumer = DeadLetterConsumer(pool)
    await consumer.take_all([a_letter(offset) for offset in range(10)])
    await consumer.take_all([a_letter(offset, when=at(20)) for offset in range(5, 15)])
    await consumer.take_all([a_letter(offset, partition=1) for offset in range(5)])
    assert await counted(pool) == {("schema_registry_prefix", ""): 20}


async def test_a_topic_that_was_created_again_is_counted_from_its_beginning(pool: Pool) -> None:
    consumer = DeadLetterConsumer(pool)
    await consumer.take_all([a_letter(100)])
    await consumer.take_all([a_letter(0, when=at(25 * 60)), a_letter(1, when=at(25 * 60))])
    assert await counted(pool) == {("schema_registry_prefix", ""): 3}


async def test_storage_is_bounded_by_hours_and_senders(pool: Pool, clock: StillClock) -> None:
    consumer = DeadLetterConsumer(pool)
    for offset in range(60):
        await consumer.take_all([a_letter(offset, sender=f"sender-{offset}")])
    found = await counted(pool)
    assert len(found) == 51
    assert found["schema_registry_prefix", "others"] == 10
    clock.now = at(14 * 24 * 60 + 61)
    await Timer(pool, 90, clock).tick()
    assert await counted(pool) == {}


async def test_page_says_what_is_wrong_who_sends_it_and_what_to_do(
    reader: httpx.AsyncClient, pool: Pool, clock: StillClock
) -> None:
    assert "Every record could be read" in text_of(await reader.get("/alerts/unreadable"))
    consumer = DeadLetterConsumer(pool, "team-a.")
    topic = "team-a.sentryml.predictions.v1"
    await consumer.take_all([a_letter(offset, sender="pricing", topic=topic) for offset in range(1200)])
    await consumer.take_all([a_letter(2000, "not_json", topic=topic, detail="<b>\u0000\u202e")])
    clock.now = at(5)
    text = text_of(await reader.get("/alerts/unreadable"))
    for part in (
        "1,201 records since 08:00 UTC could not be read: 1,200 of them begin with a schema-registry prefix.",
        "begin with a schema-registry prefix Give the producer a plain JSON or string",
        "(schema 17): send plain JSON without it pricing 1,200 1,200 1,200 5 min ago",
        "predictions.v1, partition 0, offset 1199",
        "are not JSON Send one JSON object",
        "[U+0000][U+202E] not named 1 1 1",
    ):
        assert part in text, part
    assert "1,200 of them begin with a schema-registry prefix. Which, and what to do" in text_of(
        await reader.get("/models")
    )
    clock.now = at(3 * 60)
    text = text_of(await reader.get("/alerts/unreadable"))
    assert "Every record since 11:00 UTC could be read." in text
    assert "schema-registry" not in text_of(await reader.get("/models"))


async def test_api_lists_them_for_keys_of_all_models(client_with: MakeClient, pool: Pool, clock: StillClock) -> None:
    await DeadLetterConsumer(pool).take_all([a_letter(0), a_letter(1)])
    client = await client_with(Scope.READ)
    (found,) = (await client.get("/v1/unreadable-records")).json()["items"]
    assert (found["reason"], found["sender"], found["recently"], found["newest_offset"]) == (
        "schema_registry_prefix", None, 2, 1,
    )  # fmt: skip
    limited = await client_with(Scope.READ, models=("fraud-*",))
    assert (await limited.get("/v1/unreadable-records")).json() == {"items": [], "next_cursor": None}


@pytest.mark.parametrize(
    ("headers", "sender"),
    [
        ((), None),
        ((("sentryml-sender", b"pricing"),), "pricing"),
        ((("other", b"x"), ("sentryml-sender", b"\x00pricing\n" + 100 * b"y")), f"[U+0000]pricing {'y' * 47}…"),
        ((("sentryml-sender", b""),), None),
        ((("sentryml-sender", None),), None),
    ],
)
def test_a_letter_names_the_sender_that_the_record_names(headers: tuple[tuple[str, bytes]], sender: str | None) -> None:
    record = SimpleNamespace(topic="sentryml.predictions.v1", partition=0, offset=1, headers=headers)
    publisher = SimpleNamespace(topic_prefix="")
    letters = DeadLetters("combiner", publisher, lambda: at(0))  # type: ignore[arg-type]
    made = letters.letter(record, UndecodableMessage("not_json", "it is not JSON"))
    assert DeadLetter.model_validate_json(made.value or b"").sender == sender
    assert (b"sender" in (made.value or b"")) == (sender is not None), "without one, letters are as they were"
