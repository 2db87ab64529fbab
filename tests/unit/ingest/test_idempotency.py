"""The id of a request: the same for the same key of one sender, and for nothing else."""

from __future__ import annotations

import asyncio
import gzip
from collections.abc import AsyncIterator, Iterable

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sentryml_common.contracts.prediction import REQUEST_ID_HEADER, request_id_in
from sentryml_common.contracts.topics import PREDICTIONS
from sentryml_common.kafka.producer import Publisher, Record
from sentryml_ingest.domain.idempotency import MOST_CHARACTERS, BadIdempotencyKey, request_id_of
from sentryml_ingest.publisher import EventPublisher
from sentryml_ingest.settings import IngestSettings
from tests.unit.common.keys import api_key
from tests.unit.ingest.builders import Ingest, RecordingPublisher, app_with, client_of, event


@pytest.fixture
async def ingest() -> AsyncIterator[Ingest]:
    publisher = RecordingPublisher()
    async with client_of(app_with(publisher, IngestSettings(kafka_bootstrap="nowhere:1"))) as client:
        yield Ingest(client, publisher)


UUID = "8e03978e-40d5-43dd-bc93-6894a57f9324"
KEYS = st.binary(min_size=1, max_size=20).map(lambda part: part.translate(bytes(0x21 + n % 94 for n in range(256))))


def test_ids_stay_as_they_are_for_requests_that_are_under_way_during_an_upgrade() -> None:
    assert request_id_of("k1", UUID.encode()).hex() == "4ffa130007d4bf9008e3fb90d0bc5c1f"


@given(st.text(min_size=1, max_size=20), KEYS, st.text(min_size=1, max_size=20), KEYS)
def test_only_the_same_key_of_the_same_sender_gives_the_same_id(
    key_id: str, key: bytes, other_key_id: str, other_key: bytes
) -> None:
    same = (key_id, key) == (other_key_id, other_key)
    assert (request_id_of(key_id, key) == request_id_of(other_key_id, other_key)) is same
    assert request_id_of(key_id, key) == request_id_of(key_id, key)


@pytest.mark.parametrize(
    "key", [b"", b" ", b"two words", b"a" * (MOST_CHARACTERS + 1), b"\xc3\xa4", b"a\x00", b"tab\t"]
)
def test_other_keys_are_refused(key: bytes) -> None:
    with pytest.raises(BadIdempotencyKey, match="1 to 255 visible ASCII characters without blanks"):
        request_id_of("k1", key)


@pytest.mark.parametrize("value", [None, b"", b"short", bytes(15), bytes(17)])
def test_a_header_that_ingest_did_not_write_is_no_id(value: bytes | None) -> None:
    headers: list[tuple[str, bytes]] = [("sentryml-sender", bytes(16)), (REQUEST_ID_HEADER, value)]  # type: ignore[list-item]
    assert request_id_in(headers) is None
    assert request_id_in([*headers[:1], (REQUEST_ID_HEADER, bytes(16))]) == bytes(16)


async def test_every_form_of_a_request_has_the_id_of_its_key_and_one_without_has_none(ingest: Ingest) -> None:
    events = [event(score=n) for n in range(3)]
    key = {"Idempotency-Key": UUID}
    await ingest.send(events)
    await ingest.send(events, **key)
    await ingest.send(gzip.compress(orjson.dumps(events)), **key, **{"content-encoding": "gzip"})
    await ingest.send(b"\n".join(map(orjson.dumps, events)), **key, **{"content-type": "application/x-ndjson"})
    await ingest.send({"model_id": "m", "prediction": [1, 2, 3]}, **key)
    lenient = await ingest.send([*events, {}], **key, prefer="handling=lenient")
    assert (lenient.status_code, lenient.json()["accepted"]) == (202, 3)
    expected = request_id_of(api_key().key_id, UUID.encode())
    assert ingest.publisher.request_ids == [None] + 5 * [expected]


async def test_a_key_that_cannot_be_used_is_400_and_says_what_can(ingest: Ingest) -> None:
    problem = await ingest.refused([event()], 400, "bad-idempotency-key", **{"Idempotency-Key": "a" * 256})
    assert "this one has 256 bytes: send a UUID" in problem["detail"]
    await ingest.refused([event()], 400, "bad-idempotency-key", **{"Idempotency-Key": ""})


class Taking(Publisher):
    """Kafka that takes everything."""

    def __init__(self) -> None:
        self.taken: list[Record] = []

    async def publish(self, records: Iterable[Record]) -> None:
        self.taken += records


async def test_a_request_with_an_id_has_a_record_of_its_own_in_the_partition_of_the_id() -> None:
    kafka, publisher, one, other = Taking(), EventPublisher(30.0), bytes(16), b"o" * 16
    publisher.connect(kafka)
    sent = [(b"[1]", None), (b"[2]", one), (b"[3]", None), (b"[4]", one), (b"[5]", other)]
    await asyncio.gather(*(publisher.publish(array, 1, request_id) for array, request_id in sent))
    assert Record(PREDICTIONS.name, None, b"[1,3]") in kafka.taken, "those without are as ever"
    of_ids = [record for record in kafka.taken if record.key is not None]
    assert of_ids == [
        Record(PREDICTIONS.name, request_id, array, headers=((REQUEST_ID_HEADER, request_id),))
        for array, request_id in sent
        if request_id is not None
    ]
