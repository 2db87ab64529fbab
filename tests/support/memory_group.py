"""A consumer group of the log in memory: its coordinator, as a broker plays it.

stable ──rebalance──▶ waiting until all members have joined ──▶ handing out (a moment) ──▶ stable
"""

from __future__ import annotations

import asyncio
from itertools import cycle
from typing import TYPE_CHECKING

from aiokafka import TopicPartition
from aiokafka.errors import IllegalGenerationError, RebalanceInProgressError, UnknownMemberIdError
from aiokafka.structs import OffsetAndMetadata

if TYPE_CHECKING:
    from tests.support.memory_consumer import MemoryConsumer
    from tests.support.memory_log import MemoryLog

Assigned = tuple[int, list[TopicPartition]]
"""Generation, partitions."""


class Group:
    """Members by id, the generation they are in, and what they have committed."""

    def __init__(self, log: MemoryLog) -> None:
        self._log = log
        self.generation = 0
        self.committed: dict[TopicPartition, OffsetAndMetadata] = {}
        self._members: dict[str, MemoryConsumer] = {}
        self._joined: dict[str, asyncio.Future[Assigned]] = {}
        self._late: asyncio.TimerHandle | None = None
        self._handing_out = False
        self._made = 0

    def rebalance(self) -> None:
        """Begin a rebalance, unless one goes on: members hear of it by their next heartbeat."""
        if self._late is not None or not self._members:
            return
        loop = asyncio.get_running_loop()
        self._late = loop.call_later(self._log.session_seconds, self._go_on_without_the_late)
        for member in self._members.values():
            pause = self._log.rng.random() * self._log.heartbeat_seconds
            loop.call_later(pause, self._hear_of_rebalance, member, self.generation)

    async def join(self, member: MemoryConsumer) -> Assigned:
        """Join, or join again; returns when all have."""
        if member.member_id not in self._members:
            self.rebalance()
            self._made += 1
            member.member_id = f"member-{self._made:06}"
            self._members[member.member_id] = member
        place: asyncio.Future[Assigned] = asyncio.get_running_loop().create_future()
        self._joined[member.member_id] = place
        self.rebalance()
        self._hand_out_when_all_are_there()
        return await place

    def leave(self, member: MemoryConsumer) -> None:
        """A member leaves, or is thrown out: it is not asked. It hears of that by its next heartbeat or commit."""
        if self._members.pop(member.member_id, None) is None:
            return
        self._joined.pop(member.member_id, None)
        loop = asyncio.get_running_loop()
        loop.call_later(self._log.heartbeat_seconds, self._hear_of_expulsion, member, member.member_id)
        self.rebalance()
        self._hand_out_when_all_are_there()

    def _hear_of_rebalance(self, member: MemoryConsumer, generation: int) -> None:
        if generation == self.generation and member.member_id not in self._joined:
            member.request_rejoin()

    def _hear_of_expulsion(self, member: MemoryConsumer, member_id: str) -> None:
        if member.member_id == member_id:
            member.request_rejoin()

    def expire(self, member: MemoryConsumer) -> None:
        """Throw a member out when its session is over."""
        asyncio.get_running_loop().call_later(self._log.session_seconds, self.leave, member)

    def commit(self, member: MemoryConsumer, offsets: dict[TopicPartition, OffsetAndMetadata]) -> None:
        """Take offsets. As with a broker, whose the partitions are is not asked: only who commits, and when.

        Raises:
            UnknownMemberIdError, IllegalGenerationError, RebalanceInProgressError: it is not the time.
        """
        if member.member_id not in self._members:
            raise UnknownMemberIdError(member.member_id)
        if member.generation != self.generation:
            raise IllegalGenerationError(member.generation)
        if self._handing_out:
            raise RebalanceInProgressError(member.member_id)
        self.committed.update(offsets)

    def _go_on_without_the_late(self) -> None:
        for member in [each for name, each in self._members.items() if name not in self._joined]:
            self._members.pop(member.member_id)
            member.request_rejoin()
        self._late = None
        if self._members:
            self._hand_out()

    def _hand_out_when_all_are_there(self) -> None:
        if self._members and self._joined.keys() == self._members.keys() and not self._handing_out:
            self._hand_out()

    def _hand_out(self) -> None:
        """The leader shares out: who is waiting is in the new generation from now on, and hears its part a moment
        later."""
        if self._late is not None:
            self._late.cancel()
        self._late, self._handing_out = None, True
        self.generation += 1
        for member in self._members.values():
            member.generation = self.generation
        pause = self._log.rng.random() * self._log.chances.longest_pause
        asyncio.get_running_loop().call_later(pause, self._tell, self._joined, self._shares())
        self._joined = {}

    def _tell(self, places: dict[str, asyncio.Future[Assigned]], shares: dict[str, list[TopicPartition]]) -> None:
        self._handing_out = False
        for name, place in places.items():
            if not place.done():
                place.set_result((self.generation, shares.get(name, [])))

    def _shares(self) -> dict[str, list[TopicPartition]]:
        """Partitions in turn, as aiokafka's round robin does it."""
        names = sorted(self._members)
        shares: dict[str, list[TopicPartition]] = {name: [] for name in names}
        topics = {topic for member in self._members.values() for topic in member.topics}
        turn = cycle(names)
        for tp in self._log.partitions_of(topics):
            shares[next(name for name in turn if tp.topic in self._members[name].topics)].append(tp)
        return shares
