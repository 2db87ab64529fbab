"""What one API key may send in a time: token buckets, one per key and limit, with the time as an argument.

A bucket holds what may come at once, and refills evenly. What is more than a bucket ever holds is let through when it
is full, and leaves a debt: nothing is refused for good, and the rate holds in the long run.
"""

from __future__ import annotations

import math
from collections import OrderedDict
from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum

BURST_SECONDS, HOUR = 10.0, 3_600.0
MOST_KEYS = 10_000
"""Keys that are remembered: beyond that, the one that has sent nothing for the longest time starts over."""
MOST_MODELS = 100_000
"""Models without a monitor that are remembered as counted, and so are not new a second time: about 25 MB."""


class Limit(StrEnum):
    """What is limited, by the name of its setting."""

    EVENTS = "key_events_per_second"
    BYTES = "key_bytes_per_second"
    NEW_MODELS = "key_new_models_per_hour"


class LimitReached(Exception):
    """A key has sent as much as it may of one thing; after `seconds` the same may be sent."""

    def __init__(self, limit: Limit, seconds: float) -> None:
        super().__init__(limit.value)
        self.limit, self.seconds = limit, seconds


@dataclass(frozen=True, slots=True)
class Rate:
    """How much flows into a bucket in a second, and how much it holds."""

    per_second: float
    most: float


class Buckets:
    """A bucket for each key, all of one limit and rate; at most MOST_KEYS. A rate of 0 is no limit."""

    def __init__(self, limit: Limit, rate: Rate) -> None:
        self.limit, self._rate = limit, rate
        self.limited = rate.per_second > 0
        self._levels: OrderedDict[str, tuple[float, float]] = OrderedDict()

    def level(self, key_id: str, now: float) -> float:
        """What a key's bucket holds."""
        level, at = self._levels.get(key_id, (self._rate.most, now))
        # A clock that was set back refills nothing at first.
        return min(self._rate.most, level + max(0.0, now - at) * self._rate.per_second)

    def wait(self, level: float, amount: float) -> float:
        """Seconds until `amount` may be taken from a bucket at this level; 0 means now."""
        missing = min(amount, self._rate.most) - level
        return max(0.0, missing / self._rate.per_second)

    def leave(self, key_id: str, level: float, now: float) -> None:
        """Leave a key's bucket at this level."""
        self._levels[key_id] = level, now
        self._levels.move_to_end(key_id)
        if len(self._levels) > MOST_KEYS:
            self._levels.popitem(last=False)


class KeyLimits:
    """The limits of all keys, as one process sees them; a limit of 0 is none."""

    def __init__(self, *, events_per_second: float, bytes_per_second: float, new_models_per_hour: float) -> None:
        self._events = Buckets(Limit.EVENTS, Rate(events_per_second, events_per_second * BURST_SECONDS))
        self._bytes = Buckets(Limit.BYTES, Rate(bytes_per_second, bytes_per_second * BURST_SECONDS))
        self._models = Buckets(Limit.NEW_MODELS, Rate(new_models_per_hour / HOUR, new_models_per_hour))
        self._counted: OrderedDict[str, None] = OrderedDict()

    def take_bytes(self, key_id: str, length: int, now: float) -> None:
        """Count a body, before it is looked into.

        Raises:
            LimitReached: it is too much; nothing was counted.
        """
        _take(key_id, now, (self._bytes, length))

    def take_events(self, key_id: str, events: int, without_monitor: Sequence[str], now: float) -> None:
        """Count the events of a request, and those of their models that are new. A model without a monitor is new once,
        from any key, until MOST_MODELS others have been sent since.

        Raises:
            LimitReached: it is too much; nothing was counted.
        """
        new = len([model_id for model_id in without_monitor if model_id not in self._counted])
        _take(key_id, now, (self._events, events), (self._models, new))
        if without_monitor and self._models.limited:
            self._remember(without_monitor)

    def _remember(self, models: Sequence[str]) -> None:
        for model_id in models:
            self._counted[model_id] = None
            self._counted.move_to_end(model_id)
        while len(self._counted) > MOST_MODELS:
            self._counted.popitem(last=False)


def _take(key_id: str, now: float, *amounts: tuple[Buckets, int]) -> None:
    """Take all amounts, or none."""
    left = []
    for buckets, amount in amounts:
        if amount and buckets.limited:
            level = buckets.level(key_id, now)
            seconds = buckets.wait(level, amount)
            if seconds > 0:
                raise LimitReached(buckets.limit, math.ceil(seconds))
            left.append((buckets, level - amount))
    for buckets, level in left:
        buckets.leave(key_id, level, now)
