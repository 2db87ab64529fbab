"""Emission: what has been counted goes to `histograms.v1`, what matters now first.

Live targets are emitted at every interval. Backfilled ones follow at a bounded rate, since the processor makes each of
them durable and would otherwise be busy with the past for minutes. Where too many wait for memory, they all go out.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from itertools import chain

from sentryml_common.contracts.topics import HISTOGRAMS
from sentryml_common.kafka.producer import Publisher, Record
from sentryml_drift.combiner.partition import OpenPartition
from sentryml_drift.domain.chunks import OpenChunk
from sentryml_drift.domain.partials import VERSION, Partial, pack_records, partition_of
from sentryml_drift.domain.read_report import HEADER, ReadReport
from sentryml_drift.event_loop_slices import Pacer
from sentryml_drift.metrics import BACKFILLED_WAITING, EVENTS, PARTIALS_SENT

BACKFILLED_PER_SECOND = 4_000
"""A third of what a processor makes durable in a second (`make bench-drift`)."""
MODELS_PER_REPORT = 5_000
MOST_BACKFILLED = 1_000_000
"""Backfilled targets that may wait: some 300 MB."""


class Emitter:
    """Publishes partials of open partitions and waits for their acknowledgements; tells `published` of each batch."""

    def __init__(self, publisher: Publisher, published: Callable[[], None]) -> None:
        self._publisher, self._published, self._pace = publisher, published, Pacer()

    async def emit(self, partitions: Sequence[OpenPartition], seconds: float) -> None:
        """Emit what has been touched: all that is live, and of what is backfilled the share of `seconds`.

        Raises:
            Unavailable: Kafka did not take all of it.
        """
        chunks = [chunk for opened in partitions for chunk in opened.chunks()]
        live = await self._live(partitions, chunks)
        await self._publish(chain(*live, *_backfilled(chunks, BACKFILLED_PER_SECOND * seconds)))

    async def emit_complete(self, partitions: Sequence[OpenPartition]) -> None:
        """Emit what is live of complete chunks alone, to free their memory.

        Raises:
            Unavailable: Kafka did not take all of it.
        """
        chunks = [chunk for opened in partitions for chunk in opened.complete]
        await self._publish(chain(*await self._live(partitions, chunks)))

    async def report(self, partitions: Sequence[OpenPartition], reading: ReadReport, *, everywhere: bool) -> None:
        """Report the arrivals of what has been emitted, and then how far partitions have been read: `everywhere`, or
        where there are arrivals.

        Raises:
            Unavailable: Kafka did not take all of it.
        """
        waiting = _arrivals_by_target(partitions)
        targets = range(HISTOGRAMS.partitions) if everywhere else sorted(waiting)
        parts = {target: _cut(waiting.get(target, {})) for target in targets}
        for number in range(max(map(len, parts.values()), default=0)):
            reports = {
                target: replace(reading, arrivals=of[number]) for target, of in parts.items() if number < len(of)
            }
            last = {target for target, of in parts.items() if number == len(of) - 1}
            await self._send_reports(
                {target: each if target in last else replace(each, read_until={}) for target, each in reports.items()}
            )

    async def _send_reports(self, reports: Mapping[int, ReadReport]) -> None:
        """Publish one report per partition, so that no later one can arrive without it."""
        nothing = bytes([VERSION])
        await self._publisher.publish(
            Record(HISTOGRAMS.name, None, nothing, target, ((HEADER, report.pack()),))
            for target, report in reports.items()
        )
        await self._pace()

    async def _live(self, partitions: Sequence[OpenPartition], chunks: Sequence[OpenChunk]) -> list[Iterator[Partial]]:
        for chunk in chunks:
            await self._count(chunk)
        for opened in partitions:
            opened.bring_forward()
        return [chunk.take_live() for chunk in chunks]

    async def _count(self, chunk: OpenChunk) -> None:
        while chunk.waiting:
            chunk.count()
            await self._pace()
        for outcome, count in chunk.outcomes.items():
            EVENTS.labels(outcome=outcome.value).inc(count)
        chunk.outcomes.clear()

    async def _publish(self, partials: Iterator[Partial]) -> None:
        """Publish, with at most one record per partition under way. Of two, Kafka may lose the first and keep the
        second, whose partials may be of a newer chunk: sent again, those of the first would be ignored."""
        batch: dict[int, bytes] = {}
        for partition, value in pack_records(_noted(partials), HISTOGRAMS.partitions):
            if partition in batch:
                await self._send(batch)
                batch = {}
            batch[partition] = value
        if batch:
            await self._send(batch)

    async def _send(self, batch: Mapping[int, bytes]) -> None:
        await self._publisher.publish([Record(HISTOGRAMS.name, None, value, number) for number, value in batch.items()])
        self._published()
        await self._pace()


def _backfilled(chunks: Sequence[OpenChunk], quota: float) -> Iterator[Iterator[Partial]]:
    """The share of the backfilled targets whose turn it is: of complete chunks first, since they keep commits back."""
    waiting = sum(chunk.backfilled for chunk in chunks)
    left = min(max(round(quota), waiting - MOST_BACKFILLED), waiting)
    BACKFILLED_WAITING.set(waiting - left)
    for chunk in sorted(chunks, key=lambda chunk: not chunk.complete):
        taken = min(left, chunk.backfilled)
        left -= taken
        yield chunk.take_backfilled(taken)


def _arrivals_by_target(partitions: Sequence[OpenPartition]) -> dict[int, dict[str, set[int]]]:
    """The arrivals that wait to be reported, by the partition and the id of their model; they wait no longer."""
    found: defaultdict[int, defaultdict[str, set[int]]] = defaultdict(lambda: defaultdict(set))
    for chunk in chain.from_iterable(opened.chunks() for opened in partitions):
        for model_id, pane in chunk.arrivals:
            found[partition_of(model_id, HISTOGRAMS.partitions)][model_id].add(pane)
        chunk.arrivals.clear()
    return {target: dict(models) for target, models in found.items()}


def _cut(arrivals: Mapping[str, set[int]]) -> list[dict[str, tuple[int, ...]]]:
    """Arrivals of at most MODELS_PER_REPORT models each, at least one part."""
    models = [(model_id, tuple(sorted(panes))) for model_id, panes in arrivals.items()]
    return [dict(models[at : at + MODELS_PER_REPORT]) for at in range(0, max(1, len(models)), MODELS_PER_REPORT)]


def _noted(partials: Iterator[Partial]) -> Iterator[Partial]:
    for partial in partials:
        PARTIALS_SENT.inc()
        yield partial
