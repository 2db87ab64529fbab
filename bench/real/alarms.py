"""What a rule did over some time, whichever rule it is: when it evaluated, when it alarmed, and when it resolved."""

from __future__ import annotations

from dataclasses import dataclass, field


@dataclass(slots=True)
class Alarms:
    """Times in epoch seconds, in order: of evaluations (`evaluated`), of those at warn or worse (`drifting`), and of
    incidents that opened, reopened and resolved (`over`). `live` says whether an incident was live before the first
    evaluation."""

    live: bool = False
    evaluated: list[float] = field(default_factory=list)
    drifting: list[float] = field(default_factory=list)
    opened: list[float] = field(default_factory=list)
    reopened: list[float] = field(default_factory=list)
    over: list[float] = field(default_factory=list)

    @property
    def begun(self) -> list[float]:
        """When an incident opened or reopened."""
        return sorted((*self.opened, *self.reopened))

    def live_at(self, time: float) -> bool:
        """Whether an incident is live after all evaluations up to `time`."""
        last_begun = max((each for each in self.begun if each <= time), default=None)
        last_over = max((each for each in self.over if each <= time), default=None)
        if last_begun is None:
            return self.live and last_over is None
        return last_over is None or last_over < last_begun

    def first_begun(self, after: float, until: float) -> float | None:
        """When the first incident begins in (after, until]."""
        return next((each for each in self.begun if after < each <= until), None)
