"""Read reports: what the combiner says beside its partials, so that the processor can tell silence from lag.

A report says up to which time each source partition has been read, and which models' events came in when, by the Kafka
timestamps of their records. It follows the partials of everything that it speaks of, in each partition of
`histograms.v1`. It travels in a header of a record that holds no partials, so a reader that does not know it skips it.

Reports are facts about the log. So replays, zombies and repetitions do no harm: of two times the later one holds, and
arrivals are a set.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

import orjson

from sentryml_common.errors import UndecodableMessage

HEADER = "read_report"


@dataclass(frozen=True, slots=True)
class ReadReport:
    """`read_until` (epoch seconds) is that of some of the `partitions` of the source topic's incarnation `epoch`:
    everything that was in the log at that time is in the partials before. `arrivals` are fine panes by model."""

    epoch: int
    partitions: int
    read_until: Mapping[int, float] = field(default_factory=dict)
    arrivals: Mapping[str, tuple[int, ...]] = field(default_factory=dict)

    def pack(self) -> bytes:
        """The report as a header's value."""
        read_until = [[partition, time] for partition, time in self.read_until.items()]
        return orjson.dumps([self.epoch, self.partitions, read_until, dict(self.arrivals)])


def report_in(headers: Iterable[tuple[str, bytes]]) -> ReadReport | None:
    """The report in a record's headers, if there is one.

    Raises:
        UndecodableMessage: it cannot be read.
    """
    packed = next((value for name, value in headers if name == HEADER), None)
    if packed is None:
        return None
    try:
        epoch, partitions, read_until, arrivals = orjson.loads(packed)
        return ReadReport(
            int(epoch),
            int(partitions),
            {int(partition): float(time) for partition, time in read_until},
            {model_id: tuple(map(int, panes)) for model_id, panes in arrivals.items()},
        )
    except (orjson.JSONDecodeError, ValueError, TypeError, AttributeError) as err:
        raise UndecodableMessage("bad_report", f"a read report cannot be decoded: {err}") from err


@dataclass(frozen=True, slots=True)
class ReadUntil:
    """Up to which time the whole source topic has been read, as the reports in one partition say."""

    epoch: int = 0
    partitions: int = 0
    times: Mapping[int, float] = field(default_factory=dict)

    def taking_in(self, report: ReadReport) -> ReadUntil:
        """The same after one report more; those of an older incarnation of the topic say nothing."""
        if report.epoch < self.epoch:
            return self
        known = self if report.epoch == self.epoch else ReadUntil(report.epoch)
        times = {
            partition: max(time, known.times.get(partition, time)) for partition, time in report.read_until.items()
        }
        return ReadUntil(report.epoch, max(known.partitions, report.partitions), {**known.times, **times})

    @property
    def time(self) -> float | None:
        """The time in epoch seconds; None until every source partition has been reported."""
        times = [self.times.get(partition) for partition in range(self.partitions)]
        known = [time for time in times if time is not None]
        return min(known) if known and len(known) == len(times) else None
