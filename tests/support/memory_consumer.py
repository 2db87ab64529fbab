"""A consumer of the log in memory: what our code calls of `AIOKafkaConsumer`, with what it does at the edges.

- After a rebalance every partition, kept ones too, goes on from its committed offset, and is no longer paused.
- Until it has its new partitions it still has the old ones (`assignment`), and `getmany` waits, however long.
- What a partition is asked that is not assigned: `IllegalStateError`, of `highwater` an `AssertionError`.
- `stop` leaves the group and calls no listener.
"""

from __future__ import annotations

import asyncio
import inspect
import logging
from collections.abc import Awaitable, Callable, Iterable
from contextlib import suppress
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from aiokafka import ConsumerRebalanceListener, ConsumerRecord, TopicPartition
from aiokafka.errors import (
    CommitFailedError,
    ConsumerStoppedError,
    IllegalGenerationError,
    IllegalOperation,
    IllegalStateError,
    KafkaConnectionError,
    KafkaError,
    KafkaTimeoutError,
    RebalanceInProgressError,
    RequestTimedOutError,
    UnknownMemberIdError,
    UnknownTopicOrPartitionError,
)
from aiokafka.util import commit_structure_validate

from tests.support.memory_group import Group

if TYPE_CHECKING:
    from tests.support.memory_log import MemoryLog

log = logging.getLogger(__name__)

COMMIT_ERRORS = (
    CommitFailedError,
    IllegalGenerationError,
    RequestTimedOutError,
    KafkaConnectionError,
    KafkaTimeoutError,
    KafkaError,
)

EVERYTHING = 10**9
REQUEST_TIMEOUT_SECONDS = 40.0


@dataclass(slots=True)
class _Place:
    """Where the reading of a partition is; without a position it is being looked for."""

    position: int | None = None
    reset_to: str | None = None
    highwater: int | None = None
    paused: bool = False


@dataclass(slots=True)
class _Assignment:
    """Partitions until the next rebalance."""

    places: dict[TopicPartition, _Place]
    over: asyncio.Event = field(default_factory=asyncio.Event)


class MemoryConsumer:
    """Made by `MemoryLog.consumer`."""

    def __init__(
        self, log: MemoryLog, *topics: str, group_id: str | None = None, auto_offset_reset: str = "latest", **_: Any
    ) -> None:
        self._log = log
        self._group: Group | None = None if group_id is None else log.group(group_id)
        self._reset = auto_offset_reset
        self._listener: ConsumerRebalanceListener | None = None
        self._assignment: _Assignment | None = None
        self._closed = self._started = False
        self._rejoin, self._reassigning = asyncio.Event(), False
        self._tasks: set[asyncio.Task[None]] = set()
        self.topics: set[str] = set()
        self.member_id, self.generation = "", -1
        if topics:
            self.subscribe(topics)

    # Life

    def subscribe(self, topics: Iterable[str] = (), listener: ConsumerRebalanceListener | None = None) -> None:
        """Have partitions of `topics` assigned by the group."""
        self.topics, self._listener = set(topics), listener
        self._reassigning = True
        self._rejoin.set()

    def assign(self, partitions: Iterable[TopicPartition]) -> None:
        """Read these, without a group's rebalances."""
        if self.topics:
            raise IllegalStateError("Subscription to topics, partitions and pattern are mutually exclusive")
        self._take_over(list(partitions))

    async def start(self) -> None:
        """Connect; with a subscription, wait for partitions."""
        await self._log.at("start")
        self._started = True
        if self._group is not None:
            self._do(self._coordinate(self._group))
            while self.topics and self._assignment is None:
                await self._log.change()
        elif self.topics:
            self._reassigning = False
            self._take_over(self._log.partitions_of(self.topics))

    async def stop(self) -> None:
        """Leave the group, at once."""
        if self._closed:
            return
        self._end()
        if self._group is not None:
            self._group.leave(self)
        await self._log.at("stop")

    def kill(self) -> None:
        """The process dies: nobody is notified."""
        self._end()
        if self._group is not None:
            self._group.expire(self)

    def expel(self) -> None:
        """The group throws it out, as it does with one that could not send its heartbeats: it goes on for a while."""
        assert self._group is not None
        self._group.leave(self)

    def request_rejoin(self) -> None:
        """Join the group again."""
        if not self._closed:
            self._rejoin.set()

    # Reading

    async def getmany(
        self, *partitions: TopicPartition, timeout_ms: int = 0, max_records: int | None = None
    ) -> dict[TopicPartition, list[ConsumerRecord]]:
        """Records by partition, in all at most `max_records`; none if there are none for `timeout_ms`."""
        await self._checked("getmany")
        if max_records is not None and (not isinstance(max_records, int) or max_records < 1):
            raise ValueError("`max_records` must be a positive Integer")
        loop = asyncio.get_running_loop()
        while self._reassigning and not self._closed:
            await self._log.change()
        end = loop.time() + timeout_ms / 1000
        while True:
            found = self._read(partitions, max_records or EVERYTHING)
            if found or self._closed or loop.time() >= end:
                return found
            with suppress(TimeoutError):
                async with asyncio.timeout_at(end):
                    await self._log.change()
            while self._reassigning and not self._closed:
                await self._log.change()

    async def getone(self, *partitions: TopicPartition) -> ConsumerRecord:
        """The next record, however long that takes."""
        while True:
            for records in (await self.getmany(*partitions, timeout_ms=1000, max_records=1)).values():
                return records[0]

    def _read(self, partitions: tuple[TopicPartition, ...], most: int) -> dict[TopicPartition, list[ConsumerRecord]]:
        found: dict[TopicPartition, list[ConsumerRecord]] = {}
        places = {} if self._assignment is None else self._assignment.places
        chosen = [tp for tp in sorted(places) if not partitions or tp in partitions]
        self._log.rng.shuffle(chosen)
        for tp in chosen:
            if most and (records := self._read_one(tp, places[tp], most)):
                found[tp] = records
                most -= len(records)
        return found

    def _read_one(self, tp: TopicPartition, place: _Place, most: int) -> list[ConsumerRecord]:
        if place.position is None or place.paused:
            return []
        try:
            part = self._log.partition(tp)
        except UnknownTopicOrPartitionError:
            return []
        if not part.first <= place.position <= part.end:
            place.position, place.reset_to = None, self._reset
            self._do(self._find_positions(self._assignment))
            return []
        if self._log.happens(self._log.chances.short_read):
            most = min(most, self._log.rng.randint(1, 3))
        place.highwater = part.end
        records, place.position = part.read(place.position, most)
        return records

    # Places

    def assignment(self) -> frozenset[TopicPartition]:
        """What is assigned, the old while the new is not known."""
        return frozenset() if self._assignment is None else frozenset(self._assignment.places)

    def seek(self, partition: TopicPartition, offset: int) -> None:
        """Read on from `offset`."""
        if not isinstance(offset, int) or offset < 0:
            raise ValueError("Offset must be a positive integer")
        place = self._place(partition)
        place.position, place.reset_to = offset, None
        self._log.notify()

    async def seek_to_beginning(self, *partitions: TopicPartition) -> bool:
        """Read on from the first record there is; returns False if that was not found out."""
        partitions = partitions or tuple(self.assignment())
        assert partitions, "No partitions are currently assigned"
        if not_assigned := set(partitions) - self.assignment():
            raise IllegalStateError(f"Partitions {not_assigned} are not assigned")
        assignment = self._assignment
        assert assignment is not None
        for tp in partitions:
            assignment.places[tp].position, assignment.places[tp].reset_to = None, "earliest"
        self._do(self._find_positions(assignment))
        await self._log.at("seek_to_beginning", self._group)
        while (
            not self._closed
            and not assignment.over.is_set()
            and any(assignment.places[tp].position is None for tp in partitions)
        ):
            await self._log.change()
        return all(assignment.places[tp].position is not None for tp in partitions)

    async def position(self, partition: TopicPartition) -> int:
        """The next offset that is read; waits until there is one."""
        while True:
            if partition not in self.assignment():
                raise IllegalStateError(f"Partition {partition} is not assigned")
            position = self._place(partition).position
            if position is not None:
                return position
            await self._log.change()

    def partitions_for_topic(self, topic: str) -> set[int]:
        """The numbers of a topic's partitions."""
        return {tp.partition for tp in self._log.partitions_of([topic])}

    def highwater(self, partition: TopicPartition) -> int | None:
        """The end of the partition when it was last read; None before."""
        assert partition in self.assignment(), "Partition is not assigned"
        return self._place(partition).highwater

    def pause(self, *partitions: TopicPartition) -> None:
        """Read no more from these until `resume`, or the next rebalance."""
        for tp in partitions:
            self._place(tp).paused = True

    def resume(self, *partitions: TopicPartition) -> None:
        """Read from these again."""
        for tp in partitions:
            self._place(tp).paused = False
        self._log.notify()

    def paused(self) -> set[TopicPartition]:
        """Which are paused."""
        return {tp for tp in self.assignment() if self._place(tp).paused}

    async def beginning_offsets(self, partitions: Iterable[TopicPartition]) -> dict[TopicPartition, int]:
        """The first offset of each, whichever member has it."""
        return await self._ask("beginning_offsets", partitions, "first")

    async def end_offsets(self, partitions: Iterable[TopicPartition]) -> dict[TopicPartition, int]:
        """The next offset of each, whichever member has it."""
        return await self._ask("end_offsets", partitions, "end")

    async def _ask(self, call: str, partitions: Iterable[TopicPartition], what: str) -> dict[TopicPartition, int]:
        await self._log.at(call, self._group)
        try:
            return {tp: getattr(self._log.partition(tp), what) for tp in partitions}
        except UnknownTopicOrPartitionError as err:
            await asyncio.sleep(REQUEST_TIMEOUT_SECONDS)
            raise KafkaTimeoutError("Failed to get offsets by times") from err

    def _place(self, tp: TopicPartition) -> _Place:
        assert self._assignment is not None
        if tp not in self._assignment.places:
            raise IllegalStateError(f"No current assignment for partition {tp}")
        return self._assignment.places[tp]

    # Commits

    async def commit(self, offsets: Any = None) -> None:
        """Commit offsets, or all positions; who is late is refused with `CommitFailedError`, and joins again."""
        if self._group is None:
            raise IllegalOperation("Requires group_id")
        if self._assignment is None:
            raise IllegalStateError("No partitions assigned")
        if offsets is None:
            places = self._assignment.places.items()
            offsets = {tp: place.position for tp, place in places if place.position is not None}
        for tp in (offsets := commit_structure_validate(offsets)):
            if tp not in self._assignment.places:
                raise IllegalStateError(f"Partition {tp} is not assigned")
        await self._log.at("commit", self._group)
        refused = self._log.happens(self._log.chances.commit)
        if not refused or self._log.happens(0.5):
            self._commit(self._group, offsets)
        if refused:
            raise self._log.rng.choice(COMMIT_ERRORS)()

    def _commit(self, group: Group, offsets: Any) -> None:
        try:
            group.commit(self, offsets)
        except (UnknownMemberIdError, IllegalGenerationError, RebalanceInProgressError) as err:
            self.request_rejoin()
            raise CommitFailedError("the group has already rebalanced") from err

    async def committed(self, partition: TopicPartition) -> int | None:
        """What the group has committed of a partition, whichever member has it; None if nothing."""
        if self._group is None:
            raise IllegalOperation("Requires group_id")
        await self._log.at("committed", self._group)
        known = self._group.committed.get(partition)
        return None if known is None else int(known.offset)

    # The group

    async def _coordinate(self, group: Group) -> None:
        while True:
            await self._rejoin.wait()
            self._rejoin.clear()
            self._reassigning = True
            await self._call("on_partitions_revoked", set(self.assignment()))
            self.generation, mine = await group.join(self)
            self._reassigning = False
            self._take_over(mine)
            await asyncio.sleep(0)  # it has them before it is notified
            await self._call("on_partitions_assigned", set(mine))

    async def _call(self, name: str, partitions: set[TopicPartition]) -> None:
        if self._listener is None:
            return
        call: Callable[[set[TopicPartition]], Awaitable[None] | None] = getattr(self._listener, name)
        try:
            done = call(partitions)
            if inspect.isawaitable(done):
                await done
        except Exception:
            log.exception("a listener failed")

    def _take_over(self, partitions: list[TopicPartition]) -> None:
        if self._assignment is not None:
            self._assignment.over.set()
        self._assignment = _Assignment({tp: _Place() for tp in partitions})
        self._do(self._find_positions(self._assignment))
        self._log.notify()

    async def _find_positions(self, assignment: _Assignment | None) -> None:
        """A moment after the partitions: where to begin, unless somebody seeks before."""
        await asyncio.sleep(self._log.rng.random() * self._log.chances.longest_pause)
        for tp, place in assignment.places.items() if assignment is not None else ():
            if place.position is not None:
                continue
            known = None if self._group is None or place.reset_to else self._group.committed.get(tp)
            with suppress(UnknownTopicOrPartitionError):
                part = self._log.partition(tp)
                first = part.first if (place.reset_to or self._reset) == "earliest" else part.end
                place.position, place.reset_to = (first if known is None else known.offset), None
                place.highwater = part.end
        self._log.notify()

    def _do(self, work: Any) -> None:
        task = asyncio.get_running_loop().create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    def _end(self) -> None:
        self._closed = True
        for task in self._tasks:
            task.cancel()
        self._log.notify()

    async def _checked(self, call: str) -> None:
        if self._closed:
            raise ConsumerStoppedError
        await self._log.at(call, self._group)
        if self._log.happens(self._log.chances.getmany):
            raise KafkaError("Unexpected exception in heartbeat task: UnknownError()")
