"""Of a request that is sent again only the first record counts, whatever happens to combiners, their group and the log.

As `test_combiner_schedules`; besides, records have ids and come again, offsets jump to other windows, retention deletes
what is committed, and the group loses its commits, or is moved back by hand.
"""

from __future__ import annotations

import asyncio
from collections import defaultdict
from typing import Any

import orjson
import pytest
from aiokafka.structs import OffsetAndMetadata

from sentryml_common.contracts.prediction import REQUEST_ID_BYTES, REQUEST_ID_HEADER
from sentryml_common.contracts.topics import DEAD_LETTERS, PREDICTIONS, REQUEST_IDS
from sentryml_drift.combiner import emission
from sentryml_drift.combiner.loop import group_of
from sentryml_drift.domain.chunks import SIZE_CLASSES
from sentryml_drift.domain.partials import Kind
from sentryml_drift.domain.payloads import facts_of
from sentryml_drift.domain.repeats import WINDOW, Piece
from tests.support.virtual_time import run_in_virtual_time
from tests.unit.drift.test_combiner_schedules import LENGTHS, NOON, PARTITIONS, Schedule, all_takes_turns


@pytest.fixture(autouse=True)
def commits_go_on(all_takes_turns: None, monkeypatch: pytest.MonkeyPatch) -> None:
    """Backfilled panes do not keep commits back for long: a worker begins behind many requests."""
    monkeypatch.setattr(emission, "BACKFILLED_PER_SECOND", 1_000)


__all__ = ["all_takes_turns"]


LONGEST = SIZE_CLASSES[0].offsets


class WithRepeats(Schedule):
    """A schedule whose requests are sent again."""

    def __init__(self, seed: int) -> None:
        super().__init__(seed)
        for partition, tp in enumerate(self._partitions()):
            self.log.skip(PREDICTIONS.name, partition, self.rng.choice([0, WINDOW // 2, WINDOW]))
            self.log.delete_before(tp, self._end(partition))
        self._offsets: defaultdict[tuple[int, bytes], list[int]] = defaultdict(list)
        self._requests: list[tuple[int, bytes, list[dict[str, Any]]]] = []

    def _partitions(self) -> list[Any]:
        return self.log.partitions_of([PREDICTIONS.name])

    def _happen(self) -> None:
        rng = self.rng
        tp, group = rng.choice(self._partitions()), self.log.group(group_of(1))
        part, known = self.log.partition(tp), group.committed.get(tp)
        what = rng.choice(["retention", "lost", "moved", "border", "window", "nothing", "nothing", "nothing"])
        if what == "retention" and known is not None:
            # Not in the middle of a chunk: who has lost the commits, too, would lose the events before that.
            self.log.delete_before(tp, known.offset // LONGEST * LONGEST)
        elif what == "lost":
            group.committed.clear()
        elif what == "moved" and known is not None:
            group.committed[tp] = OffsetAndMetadata(rng.randint(part.first, max(part.first, known.offset)), "")
        elif what == "border":
            self.log.skip(tp.topic, tp.partition, max(0, WINDOW - part.end % WINDOW - rng.randint(0, 9)))
        elif what == "window":
            self.log.skip(tp.topic, tp.partition, WINDOW)
        super()._happen()

    def _send(self) -> None:
        rng = self.rng
        if rng.random() < 0.2:
            super()._send()
            return
        request = rng.randrange(PARTITIONS), rng.randbytes(REQUEST_ID_BYTES), self._events()
        if self._requests and rng.random() < 0.4:
            request = rng.choice(self._requests[-30:])
        self._requests.append(request)
        self._send_request(*request)

    def _events(self) -> list[dict[str, Any]]:
        rng, at = self.rng, int(NOON + asyncio.get_running_loop().time())
        # Models of one request show what a later event of the same model would hide.
        models = ["a", "b", f"rare-{rng.randrange(40)}"]
        events = [
            {"model_id": rng.choice(models), "prediction": 1.0, "timestamp": at - rng.choice([0, 0, 90_000])}
            for _ in range(rng.randint(1, 3))
        ]
        for event in events:
            event |= {"version": rng.choice([None, None, f"{rng.randrange(300)}"])}
        return events

    def _send_request(self, partition: int, request_id: bytes, events: list[dict[str, Any]]) -> None:
        written_at, rng = NOON + asyncio.get_running_loop().time(), self.rng
        value = orjson.dumps(events) + b" " * rng.choice(LENGTHS)
        headers = [(REQUEST_ID_HEADER, request_id)]
        if rng.random() < 0.03:
            value = b"{"
            self.bad += 1
        offset = self.log.append(
            PREDICTIONS.name, value, partition=partition, timestamp=int(written_at) * 1000, headers=tuple(headers)
        )
        before = self._offsets[partition, request_id]
        repeated = any(each // WINDOW >= offset // WINDOW - 1 for each in before)
        before.append(offset)
        if repeated or value == b"{":
            return
        self.live += [
            (written_at, partition, each["model_id"]) for each in events if written_at - each["timestamp"] <= 7_200
        ]
        self.sent.update(
            (each["model_id"], each["timestamp"] // 3600, slice_)
            for each in events
            for slice_ in ("", each["version"])
            if slice_ is not None
        )

    def check(self) -> None:
        """See that all is counted, once, and that no more ids are kept than anybody may need."""
        assert +self.counted() == self.sent
        for target, known in self.sums().items():
            if target.kind is Kind.FACTS:
                facts = facts_of(known.values())
                assert facts.late == facts.future == 0
        letters = {
            (letter["partition"], letter["offset"])
            for letter in map(orjson.loads, (record.value for record in self.log.records(DEAD_LETTERS.name)))
        }
        assert len(letters) == self.bad
        assert any(len(offsets) > 1 for offsets in self._offsets.values())
        kept = {record.key: record.value for record in self.log.records(REQUEST_IDS.name)}
        for piece in (Piece.of_key(key) for key, value in kept.items() if value is not None):
            assert piece.epoch == 1


def run(seed: int) -> None:
    try:
        schedule = WithRepeats(seed)
        run_in_virtual_time(schedule.run())
        schedule.check()
    except BaseException as err:
        err.add_note(f"seed {seed}")
        raise


@pytest.mark.parametrize("seed", [*range(10), 212])  # there, a report fails that was to come after its arrivals
def test_a_request_that_is_sent_again_counts_once(seed: int) -> None:
    run(seed)
