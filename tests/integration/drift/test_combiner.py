"""The combiner's rule of chunks as a process on a real Kafka: what it sends is a function of the log alone.

What is read back from `histograms.v1` is added up as the processor adds it up, and held against what was produced.
"""

from __future__ import annotations

import re
import signal
import time
from collections.abc import Iterable
from dataclasses import dataclass
from secrets import token_bytes
from typing import Any

import orjson
import pytest
from aiokafka import AIOKafkaConsumer, AIOKafkaProducer, TopicPartition

from sentryml_common.contracts.dead_letter import DeadLetter
from sentryml_common.contracts.message import decode
from sentryml_common.contracts.prediction import REQUEST_ID_BYTES, REQUEST_ID_HEADER
from sentryml_common.contracts.topics import DEAD_LETTERS, HISTOGRAMS, PREDICTIONS
from sentryml_common.health import Health
from sentryml_drift.combiner.loop import group_of
from sentryml_drift.combiner.stored_ids import stored_ids
from sentryml_drift.domain.chunked_sum import NOTHING, ChunkedSum
from sentryml_drift.domain.chunks import MOST_RECORD_BYTES, SIZE_CLASSES, size_class_of, source_of
from sentryml_drift.domain.facts import ModelFacts
from sentryml_drift.domain.partials import Kind, Label, Partial, Target, partition_of, unpack_record
from sentryml_drift.domain.payloads import counts_of, facts_of
from sentryml_drift.domain.repeats import SeenIds
from sentryml_statistics.histograms.pane_counts import PaneCounts, merge_panes
from sentryml_statistics.time.panes import FINE_PANES_KEPT, Resolution
from tests.integration.drift.conftest import GRID, StartPart, event, produce, single_records
from tests.support.eventually import eventually
from tests.support.http_client import http_client
from tests.support.own_kafka import OwnKafka

LONGEST_WINDOW = 2 * 86_400.0


@dataclass(frozen=True, slots=True)
class Sent:
    """What the combiner has sent of one model, in its order."""

    partials: list[Partial]

    def counts(self) -> dict[tuple[Kind, int], PaneCounts]:
        """What the panes hold once everything is taken in, by kind and pane."""
        sums: dict[tuple[Kind, int], ChunkedSum] = {}
        for partial in self.partials:
            if partial.target.kind is not Kind.FACTS:
                place = partial.target.kind, partial.target.pane
                sums[place] = sums.get(place, NOTHING).apply(partial.label, partial.payload)
        return {place: counts_of(known.values()) for place, known in sums.items()}

    def facts(self) -> ModelFacts:
        known = NOTHING
        for partial in self.partials:
            if partial.target.kind is Kind.FACTS:
                known = known.apply(partial.label, partial.payload)
        return facts_of(known.values())

    def total(self, kind: Kind) -> int:
        return sum(counts.total for (of, _), counts in self.counts().items() if of is kind)


async def sent_of(kafka: OwnKafka, model_id: str) -> Sent:
    records = await kafka.records(HISTOGRAMS)
    # Unpacking all that other tests have sent takes seconds each time.
    about = [record for record in records if record.value and model_id.encode() in record.value]
    partials = [(record.partition, partial) for record in about for partial in unpack_record(record.value)]
    found = [(partition, partial) for partition, partial in partials if partial.target.model_id == model_id]
    assert all(partition == partition_of(model_id, HISTOGRAMS.partitions) for partition, _ in found)
    return Sent([partial for _, partial in found])


async def until_counted(kafka: OwnKafka, model_id: str, count: int) -> Sent:
    """What was sent, once that many events of the model are in it."""

    async def counted() -> Sent | None:
        sent = await sent_of(kafka, model_id)
        return sent if sent.total(Kind.COARSE) >= count else None

    found = await eventually(counted, what=f"{count} events of {model_id} to be counted")
    assert found is not None
    return found


def expected(events: Iterable[dict[str, Any]]) -> dict[tuple[Kind, int], PaneCounts]:
    """What the panes have to hold, reckoned from the events themselves."""
    by_place: dict[tuple[Kind, int], list[dict[str, Any]]] = {}
    for each in events:
        for kind, resolution in ((Kind.FINE, Resolution.FINE), (Kind.COARSE, Resolution.COARSE)):
            by_place.setdefault((kind, GRID.pane_of(each["timestamp"], resolution)), []).append(each)
    return {
        place: PaneCounts.of([each["prediction"] for each in found], [each["score"] for each in found])
        for place, found in by_place.items()
    }


async def committed(kafka: OwnKafka) -> dict[int, int | None]:
    async with AIOKafkaConsumer(
        bootstrap_servers=kafka.bootstrap, group_id=group_of(1), enable_auto_commit=False
    ) as consumer:
        return {
            number: await consumer.committed(TopicPartition(PREDICTIONS.name, number))
            for number in range(PREDICTIONS.partitions)
        }


def assert_function_of_the_log(partials: Iterable[Partial]) -> None:
    """What covers the same part of the log is the same, however often and by whom it was sent."""
    said: dict[tuple[Target, int, int, int], bytes] = {}
    for partial in partials:
        label = partial.label
        covers = partial.target, label.source, label.chunk, label.offset
        assert said.setdefault(covers, partial.payload) == partial.payload, partial.label


def labels(partials: Iterable[Partial], kind: Kind = Kind.COARSE) -> list[Label]:
    return [partial.label for partial in partials if partial.target.kind is kind]


async def test_sums_are_what_was_produced_and_what_is_committed_is_not_needed_again(
    kafka: OwnKafka, producer: AIOKafkaProducer, start: StartPart, model_id: str
) -> None:
    small = SIZE_CLASSES[0]
    events = [event(model_id, number, age_seconds=number % 3 * 60.0) for number in range(2 * small.offsets + 500)]
    offsets = await produce(producer, 0, *single_records(events))
    start("combiner")
    sent = await until_counted(kafka, model_id, len(events))
    assert sent.counts() == expected(events)
    assert sent.facts().first_seen == min(each["timestamp"] for each in events)
    final = {label.chunk: label.offset for label in labels(sent.partials) if label.final}
    whole = range(small.chunk_of(offsets[0]), small.chunk_of(offsets[-1] + 1))
    assert len(whole) >= 2
    assert final == {chunk: small.end_of(chunk) - 1 for chunk in whole}

    async def all_committed() -> bool:
        return (await committed(kafka))[0] == whole.stop * small.offsets

    await eventually(all_committed, what="the whole chunks to be committed")


async def test_records_of_all_sizes_are_counted_and_one_that_is_too_long_is_dead_lettered(
    kafka: OwnKafka, start: StartPart, model_id: str
) -> None:
    by_record = [[event(model_id, number) for number in range(count)] for count in (1, 40, 1, 700, 9_000, 1, 4_000, 2)]
    values = [orjson.dumps(events) for events in by_record]
    assert {found.number for value in values if (found := size_class_of(len(value)))} == {0, 1, 2, 3}
    too_long = b"[" + b" " * MOST_RECORD_BYTES + b"]"
    async with AIOKafkaProducer(
        bootstrap_servers=kafka.bootstrap, compression_type="gzip", max_request_size=2 * MOST_RECORD_BYTES
    ) as producer:
        offsets = await produce(producer, 2, *values[:4], too_long, *values[4:])
    combiner = start("combiner")
    total = sum(map(len, by_record))
    sent = await until_counted(kafka, model_id, total)
    assert sent.counts() == expected(each for events in by_record for each in events)
    assert {label.source for label in labels(sent.partials)} == {source_of(2, each) for each in SIZE_CLASSES}
    letters = [decode(DeadLetter, record.value) for record in await kafka.records(DEAD_LETTERS)]
    own = [letter for letter in letters if (letter.topic, letter.partition) == (PREDICTIONS.name, 2)]
    assert [(letter.reason, letter.offset) for letter in own] == [("record_too_long", offsets[4])]
    assert await combiner.end(signal.SIGKILL) == -signal.SIGKILL
    again = event(model_id, 7)
    async with AIOKafkaProducer(bootstrap_servers=kafka.bootstrap) as producer:
        await produce(producer, 2, orjson.dumps(again))
    start("combiner")
    sent = await until_counted(kafka, model_id, total + 1)
    assert sent.counts() == expected([*(each for events in by_record for each in events), again])
    assert_function_of_the_log(sent.partials)


async def test_a_combiner_killed_in_the_middle_of_a_chunk_reads_it_from_its_start_again(
    kafka: OwnKafka, producer: AIOKafkaProducer, start: StartPart, model_id: str
) -> None:
    source = 1
    before = [event(model_id, number) for number in range(700)]
    offsets = await produce(producer, source, *single_records(before))
    first = start("combiner")
    sent_before = await until_counted(kafka, model_id, len(before))
    last = labels(sent_before.partials)[-1]
    assert (last.offset, last.final) == (offsets[-1], False)
    assert await first.end(signal.SIGKILL) == -signal.SIGKILL
    after = [event(model_id, number) for number in range(700, 1000)]
    await produce(producer, source, *single_records(after))
    start("combiner")
    sent = await until_counted(kafka, model_id, len(before) + len(after))
    assert sent.counts() == expected([*before, *after])
    assert_function_of_the_log(sent.partials)
    by_second = Sent(sent.partials[len(sent_before.partials) :])
    assert by_second.counts() == sent.counts(), "the chunk from its start, not from where the first had come to"
    needed = (await committed(kafka))[source]
    assert needed is None or needed <= offsets[0], "the first record of the open chunk is needed again"


async def test_a_combiner_that_takes_over_says_the_same_again(
    kafka: OwnKafka, producer: AIOKafkaProducer, start: StartPart, model_id: str
) -> None:
    events = [event(model_id, number) for number in range(300)]
    first = start("combiner")
    await first.until_ready()
    await produce(producer, 2, *single_records(events[:100]))
    await until_counted(kafka, model_id, 100)
    start("combiner")  # the group rebalances while events flow
    for number in range(100, 300, 50):
        await produce(producer, 2, *single_records(events[number : number + 50]))
        await until_counted(kafka, model_id, number + 50)
    assert await first.end(signal.SIGTERM) == 0
    await produce(producer, 2, orjson.dumps(events[:7]))
    sent = await until_counted(kafka, model_id, 307)
    assert sent.counts() == expected([*events, *events[:7]])
    assert_function_of_the_log(sent.partials)


async def test_a_request_that_is_sent_again_counts_once_and_its_id_is_kept_for_who_begins_behind_it(
    kafka: OwnKafka, producer: AIOKafkaProducer, start: StartPart, model_id: str
) -> None:
    source, events = 1, [event(model_id, number) for number in range(40)]
    values = single_records(events)
    headers = [[(REQUEST_ID_HEADER, token_bytes(REQUEST_ID_BYTES))] for _ in events]

    async def send(*numbers: int) -> list[int]:
        topic = PREDICTIONS.name
        return [
            (await producer.send_and_wait(topic, values[n], partition=source, headers=headers[n])).offset
            for n in numbers
        ]

    offsets = await send(0, 1, 1, *range(2, 20))
    first = start("combiner")
    await until_counted(kafka, model_id, 20)

    async def kept() -> bool:
        """Whether who begins behind them knows them."""
        stored = (await stored_ids([source], kafka.settings, Health())).get(source, ())
        ids = SeenIds(1, source, offsets[-1] + 1, stored)
        return all(ids.is_repeat(offsets[-1] + 1, sent[0][1]) for sent in headers[:20])

    await eventually(kept, what="the ids of the requests to be kept")
    assert await first.end(signal.SIGKILL) == -signal.SIGKILL
    await send(0, 20, 3, 20, *range(21, 40))
    second = start("combiner")
    sent = await until_counted(kafka, model_id, 40)
    assert sent.counts() == expected(events)
    assert_function_of_the_log(sent.partials)
    async with http_client() as client:
        metrics = (await client.get(f"{second.url}/metrics")).text
    found = re.search(r"sentryml_drift_events_total{outcome=\"repeated\"} (\S+)", metrics)
    assert found is not None
    assert float(found[1]) >= 3


async def test_a_bad_record_is_dead_lettered_and_late_and_future_events_are_counted_as_such(
    kafka: OwnKafka, producer: AIOKafkaProducer, start: StartPart, model_id: str
) -> None:
    now = time.time()
    good = [event(model_id, 1), event(model_id, 2)]
    left_out = [event(model_id, 3, LONGEST_WINDOW + 60), event(model_id, 4, -3600), event(model_id, 5, -7200)]
    bad = [b'{"model_id": "secret-', orjson.dumps([good[0], {**good[0], "age": 42}]), b""]
    named = [("sentryml-sender", b"pricing")]
    avro = await producer.send_and_wait(PREDICTIONS.name, b"\x00\x00\x00\x00\x11\x02", partition=3, headers=named)
    offsets = await produce(
        producer, 3, orjson.dumps(good[:1]), bad[0], orjson.dumps(left_out), bad[1], bad[2], orjson.dumps(good[1])
    )
    start("combiner", longest_window_seconds=LONGEST_WINDOW)
    sent = await until_counted(kafka, model_id, 2)
    assert sent.counts() == expected(good)
    facts = sent.facts()
    assert (facts.late, facts.future) == (1, 2)
    assert facts.first_seen == pytest.approx(now, abs=60)
    letters = [(decode(DeadLetter, record.value), record.value) for record in await kafka.records(DEAD_LETTERS)]
    found = {
        letter.offset: letter for letter, _ in letters if (letter.topic, letter.partition) == (PREDICTIONS.name, 3)
    }
    assert {offset: found[offset].reason for offset in found} == {
        avro.offset: "schema_registry_prefix",
        offsets[1]: "not_json",
        offsets[3]: "invalid_events",
        offsets[4]: "not_json",
    }
    assert "age" not in found[offsets[3]].detail, "nor what a sender called a field"
    assert all(letter.service == "drift-combiner" for letter in found.values())
    assert [offset for offset, letter in found.items() if letter.sender == "pricing"] == [avro.offset]
    assert not any(b"secret-" in value for _, value in letters), "a dead letter never holds the payload"


async def test_an_event_older_than_the_fine_panes_counts_in_the_coarse_one_alone(
    kafka: OwnKafka, producer: AIOKafkaProducer, start: StartPart, model_id: str
) -> None:
    young, old = event(model_id, 1, 60), event(model_id, 2, FINE_PANES_KEPT * GRID.fine_seconds + 60)
    await produce(producer, 3, orjson.dumps([young, old]))
    start("combiner")
    sent = await until_counted(kafka, model_id, 2)
    places = expected([young, old])
    del places[Kind.FINE, GRID.pane_of(old["timestamp"], Resolution.FINE)]
    assert sent.counts() == places
    assert merge_panes(sent.counts().values()).total == 3
