"""The ids of requests that are kept in `request-ids.v1`, for workers that begin to read in the middle."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from functools import partial

from aiokafka import TopicPartition

from sentryml_common.contracts.topics import REQUEST_IDS
from sentryml_common.health import Health
from sentryml_common.kafka.client import ask_with_client
from sentryml_common.kafka.producer import Record
from sentryml_common.kafka.reading import Reader, make_reader, records_until_now
from sentryml_common.settings import KafkaSettings
from sentryml_drift.domain.repeats import Change, Piece

Stored = Mapping[int, Sequence[tuple[Piece, bytes]]]
"""The pieces that are kept, with their values, by source partition."""
ReadStored = Callable[[Iterable[int]], Awaitable[Stored]]
"""Reads the pieces of source partitions."""


def records_of(partition: int, changes: Iterable[Change]) -> list[Record]:
    """The records that write changes of the pieces of a source partition."""
    return [Record(REQUEST_IDS.name, key, value, _partition_of(partition)) for key, value in changes]


async def stored_ids(partitions: Iterable[int], settings: KafkaSettings, health: Health) -> Stored:
    """The pieces of source partitions, waiting for Kafka as long as it takes.

    Raises:
        ConfigurationError: Kafka refuses to let them be read.
    """
    read = partial(read_stored, topic=settings.prefixed(REQUEST_IDS.name), partitions=set(partitions))
    return await ask_with_client(partial(make_reader, settings), read, settings, health)


async def read_stored(reader: Reader, topic: str, partitions: Iterable[int]) -> Stored:
    """The same with a consumer that is started."""
    numbers = set(partitions)
    assigned = [TopicPartition(topic, number) for number in sorted({_partition_of(each) for each in numbers})]
    values = {record.key: record.value async for record in records_until_now(reader, assigned)}
    found: defaultdict[int, list[tuple[Piece, bytes]]] = defaultdict(list)
    for key, value in values.items():
        piece = Piece.of_key(key)
        if value is not None and piece.partition in numbers:
            found[piece.partition].append((piece, value))
    return found


def _partition_of(partition: int) -> int:
    """The partition of the topic that holds the ids of a source partition, of which there may come to be more."""
    return partition % REQUEST_IDS.partitions
