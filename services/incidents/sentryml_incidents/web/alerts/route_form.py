"""What a form for a route holds, and what is sent to the notifier."""

from __future__ import annotations

import math
from dataclasses import dataclass, fields
from typing import Annotated, Any, Final

from fastapi import Form

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


Word = Annotated[str, Form(max_length=100)]
Figure = Annotated[str, Form(max_length=20)]


@dataclass(frozen=True, slots=True)
class RouteForm:
    """A route as entered. What a browser does not send is empty or off."""

    name: Annotated[str, Form(max_length=1000)] = ""
    channel_id: Word = ""
    models: Annotated[str, Form(max_length=20_000)] = ""
    least_severity: Figure = Severity.WARN
    kinds: Annotated[tuple[str, ...], Form(max_length=50)] = ()
    enabled: Annotated[bool, Form()] = False
    remind_after_minutes: Figure = ""
    remind_times: Figure = "3"
    system: Annotated[bool, Form()] = False
    remind_acknowledged_after_hours: Figure = ""
    time_zone: Word = "UTC"
    hold_hours: Annotated[str, Form(max_length=5_000)] = ""
    hold_windows: Annotated[str, Form(max_length=60_000)] = ""
    hold_critical: Annotated[bool, Form()] = False
    slack_group_warn: Word = ""
    slack_group_critical: Word = ""
    weekly_summary: Word = ""

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
        return frozenset(each.name for each in fields(self) if getattr(self, each.name) == getattr(NEW, each.name))

    def _times(self) -> int | str | None:
        times = number(self.remind_times)
        return int(times) if isinstance(times, float) and times.is_integer() else self.remind_times


NEW: Final = RouteForm(enabled=True, remind_acknowledged_after_hours="24")
"""The form that nobody has filled in."""


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
