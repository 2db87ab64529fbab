"""Incidents that alerted together, in words: what they are, and what they have in common. Messages and pages say the
same."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

from sentryml_common.contracts.evaluation import Bin, CategoryBin, NewBin, NullBin, Slicing
from sentryml_common.contracts.transition import Cause, Marked, SignalWhy
from sentryml_common.text import cut

LONGEST_NAME, SHARED_SHOWN = 80, 5
MORE_BY = 0.01
SEPARATORS = "-._:"
DRIFT_OF, VERSION = "drift of the ", "version "


@dataclass(frozen=True, slots=True)
class GroupedAlert:
    """The newest alert of one of the incidents: what that is, goes by it."""

    model_id: str
    cause: Cause
    why: tuple[SignalWhy, ...] = ()
    markers: tuple[Marked, ...] = ()

    @property
    def silent(self) -> bool:
        """Whether it says that no predictions come."""
        return self.cause is Cause.NO_PREDICTIONS


def what_they_are(drifting: int, silent: int, over: int = 0, *, more: bool = False) -> str:
    """`20 models: 19 drift, 1 is silent`, `8 models drift`, `3 more models are silent`."""
    counts = ((drifting, "drifts", "drift"), (silent, "is silent", "are silent"), (over, "is over", "are over"))
    found = [(number, one if number == 1 else many) for number, one, many in counts if number]
    total = drifting + silent + over
    models = f"{total:,}{' more' if more else ''} model{'' if total == 1 else 's'}"
    if len(found) == 1:
        return f"{models} {found[0][1]}"
    return f"{models}: {', '.join(f'{number:,} {what}' for number, what in found)}"


def in_common(alerts: Sequence[GroupedAlert]) -> list[str]:
    """What most of them share, the most frequent first; with the count, where it is not shared by all. That they are
    silent is left out: `what_they_are` says it."""
    count = len(alerts)
    found = Counter(trait for each in alerts for trait in dict.fromkeys(_traits(each)))
    shared = [(trait, number) for trait, number in found.items() if number * 2 > count]
    named = {trait.rpartition(" ")[2] for trait, _ in shared if not trait.startswith(DRIFT_OF)}
    # That a signal drifts need not be said where something of it is named.
    shared = [each for each in shared if each[0].removeprefix(DRIFT_OF) not in named]
    shared.sort(key=lambda each: -each[1])
    lines = [f"{trait}: {all_of(count) if number == count else f'{number} of {count}'}" for trait, number in shared]
    prefix = _prefix([each.model_id for each in alerts]) if alerts else ""
    return [*lines[:SHARED_SHOWN], *([f"models named {prefix}…: {all_of(count)}"] if prefix else [])]


def all_of(count: int) -> str:
    """`all 8`, `both`."""
    return "both" if count == 2 else f"all {count}"


def _traits(alert: GroupedAlert) -> list[str]:
    """What can be common to incidents, the most telling first: a version, a marker, nulls, values, the signal."""
    if alert.silent:
        return []
    found = [f"{VERSION}“{cut(value, LONGEST_NAME)}”" for value in _versions(alert.why)]
    found += [f"marker “{cut(each.text, LONGEST_NAME)}”" for each in alert.markers]
    found += [trait for why in alert.why for part in why.top_bins if (trait := _trait(why.signal.value, part))]
    if alert.cause is Cause.SLOW_DRIFT:
        found.append("slow drift")
    return [*found, *(f"{DRIFT_OF}{why.signal.value}" for why in alert.why)]


def _versions(why: Sequence[SignalWhy]) -> list[str]:
    """The versions that it may be about."""
    named = (each for signal in why for each in signal.slices if each.slicing is Slicing.VERSION)
    return list(dict.fromkeys(each.value for each in named if each.value is not None))


def _trait(signal: str, part: Bin) -> str | None:
    """What a bin that has grown says."""
    if part.current_share < part.baseline_share + MORE_BY:
        return None
    match part:
        case NullBin():
            return f"more nulls in the {signal}"
        case NewBin():
            return f"new values of the {signal}"
        case CategoryBin():
            return f"more “{cut(str(part.value), LONGEST_NAME)}” in the {signal}"
    return None


def _prefix(models: Sequence[str]) -> str:
    """What all names begin with, up to a separator."""
    first, last = min(models), max(models)
    same = next((at for at, pair in enumerate(zip(first, last, strict=False)) if pair[0] != pair[1]), len(first))
    end = max(first.rfind(each, 0, same) for each in SEPARATORS)
    return cut(first[: end + 1], LONGEST_NAME)
