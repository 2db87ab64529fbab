"""What a form for a route holds, and what is sent to the notifier. Pure."""

from __future__ import annotations

import math
from dataclasses import dataclass, fields
from typing import Any, Final

from sentryml_common.contracts.transition import Severity, TransitionKind

CHOICE: Final = (
    TransitionKind.OPENED,
    TransitionKind.ESCALATED,
    TransitionKind.WORSENED,
    TransitionKind.REOPENED,
    TransitionKind.DEESCALATED,
    TransitionKind.RESOLVED,
    TransitionKind.ACKNOWLEDGED,
    TransitionKind.UNACKNOWLEDGED,
    TransitionKind.NOTED,
    TransitionKind.CLOSED,
    TransitionKind.EVALUATION_PAUSED,
    TransitionKind.EVALUATION_RESUMED,
    TransitionKind.MONITOR_CHANGED,
)
"""The kinds that a route may name, what calls somebody first."""


@dataclass(frozen=True, slots=True)
class RouteForm:
    """A route as entered."""

    name: str = ""
    channel_id: str = ""
    models: str = ""
    least_severity: str = Severity.WARN
    kinds: tuple[str, ...] = ()
    enabled: bool = True
    remind_after_minutes: str = ""
    remind_times: str = "3"
    system: bool = False
    remind_acknowledged_after_hours: str = "24"
    time_zone: str = "UTC"
    hold_hours: str = ""
    hold_windows: str = ""
    hold_critical: bool = False
    slack_group_warn: str = ""
    slack_group_critical: str = ""
    weekly_summary: str = ""

    def requested(self) -> dict[str, Any]:
        """The route as the notifier takes it, which also says what is wrong with it."""
        return {
            "name": self.name,
            "channel_id": self.channel_id,
            "model_patterns": self.models.replace(",", " ").split(),
            "least_severity": self.least_severity,
            "kinds": list(self.kinds),
            "enabled": self.enabled,
            "remind_after_seconds": _seconds(self.remind_after_minutes, 60),
            "remind_times": self._times(),
            "system": self.system,
            "remind_acknowledged_after_seconds": _seconds(self.remind_acknowledged_after_hours, 3600),
            "time_zone": self.time_zone.strip() or "UTC",
            "hold_hours": lines(self.hold_hours),
            "hold_windows": lines(self.hold_windows),
            "hold_critical": self.hold_critical,
            "weekly_summary": self.weekly_summary.strip() or None,
            "slack_group_warn": self.slack_group_warn.strip() or None,
            "slack_group_critical": self.slack_group_critical.strip() or None,
        }

    def unchanged(self) -> frozenset[str]:
        """The names of the fields that are as in a form that nobody has filled in."""
        return frozenset(each.name for each in fields(self) if getattr(self, each.name) == each.default)

    def _times(self) -> int | str | None:
        times = number(self.remind_times)
        return int(times) if isinstance(times, float) and times.is_integer() else self.remind_times


def _seconds(text: str, unit: int) -> int | str | None:
    """What was entered in a unit of that many seconds."""
    entered = number(text)
    return round(entered * unit) if isinstance(entered, float) else entered


def lines(text: str) -> list[str]:
    """What was entered one a line."""
    return [line.strip() for line in text.splitlines() if line.strip()]


def number(text: str) -> float | str | None:
    """What was entered as a number; None if nothing was, the text itself if it is none."""
    if not text.strip():
        return None
    try:
        found = float(text.replace(",", "."))
    except ValueError:
        return text
    return found if math.isfinite(found) else text


def in_units(seconds: int | None, unit: int) -> str:
    """Seconds as the form shows them, in a unit of that many."""
    return "" if seconds is None else f"{seconds / unit:.10g}"
