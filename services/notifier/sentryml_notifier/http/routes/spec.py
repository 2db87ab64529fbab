"""A route as people ask for it, and as they see it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Annotated, Self
from uuid import UUID

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, JsonValue, StringConstraints, WithJsonSchema

from sentryml_common.contracts.internal.notifier_api import RouteResponse
from sentryml_common.contracts.monitor import TimeZone
from sentryml_common.contracts.transition import Severity, TransitionKind
from sentryml_common.http.texts import NoKey
from sentryml_notifier.domain.holding.schedule import free_minutes
from sentryml_notifier.domain.holding.written import (
    HOURS_EXAMPLE,
    WEEKLY_EXAMPLE,
    WINDOW_EXAMPLE,
    read_hours,
    read_weekly,
    read_window,
)
from sentryml_notifier.domain.routing import ALERTING, may_meet
from sentryml_notifier.store.routes import StoredRoute

NAME_PATTERN = r"^[^\x00-\x1f\x7f/]*$"
"""Without a slash: nobody's secret address is anybody's name."""
MODEL_PATTERN = r"^[A-Za-z0-9._:*?\[\]!-]{1,128}$"
PATTERNS_MAX = 100
DAY = 86_400
ACKNOWLEDGED_AFTER_MIN, ACKNOWLEDGED_AFTER_MAX = 3600, 30 * DAY
HOURS_MAX, WINDOWS_MAX, FREE_MINUTES_MIN = 20, 50, 60
REMIND_AFTER_MIN, REMIND_AFTER_MAX, REMIND_TIMES_MAX = 300, 7 * DAY, 100


def _once(values: list[str]) -> list[str]:
    return list(dict.fromkeys(values))


def _alerting(kinds: list[TransitionKind]) -> list[TransitionKind]:
    if kinds and not ALERTING.intersection(kinds):
        raise ValueError(
            "names no alerting kind (opened, escalated, worsened, reopened), without which nothing that follows an "
            "alert is sent"
        )
    return list(dict.fromkeys(kinds))


Name = Annotated[
    str, StringConstraints(strip_whitespace=True, min_length=1, max_length=64, pattern=NAME_PATTERN), NoKey
]
Pattern = Annotated[str, StringConstraints(pattern=MODEL_PATTERN), NoKey]
ALERT_NAMED = {"contains": {"enum": sorted(ALERTING)}}
Kinds = Annotated[
    list[TransitionKind],
    AfterValidator(_alerting),
    WithJsonSchema(
        {
            "type": "array",
            "items": {"type": "string", "enum": list(TransitionKind)},
            "anyOf": [{"maxItems": 0}, ALERT_NAMED],
        }
    ),
]


def _written(read: Callable[[str], object]) -> AfterValidator:
    def check(text: str) -> str:
        read(text)
        return " ".join(text.split())

    return AfterValidator(check)


def _leaves_time(hours: list[str]) -> list[str]:
    if hours and free_minutes([read_hours(each) for each in hours]) < FREE_MINUTES_MIN:
        raise ValueError("together they leave less than an hour of the week in which alerts are sent")
    return _once(hours)


HoldHours = Annotated[str, StringConstraints(max_length=100), NoKey, _written(read_hours)]
HoldWindow = Annotated[str, StringConstraints(max_length=1000), NoKey, _written(read_window)]
WeeklySummary = Annotated[str, StringConstraints(max_length=20), NoKey, _written(read_weekly)]
SlackGroup = Annotated[str, StringConstraints(pattern=r"^S[A-Z0-9]{2,20}$")]


SPEC_EXAMPLE: dict[str, JsonValue] = {
    "name": "fraud on call",
    "channel_id": "9d0c1d0a-7c2f-4a01-8f29-0f0c3c1e7a50",
    "model_patterns": ["fraud-*"],
    "least_severity": "critical",
    "remind_after_seconds": 3600,
    "time_zone": "Europe/Berlin",
    "hold_hours": ["mon-fri 18:00-08:00", "sat,sun 08:00-08:00"],
    "hold_windows": ["2026-12-24 18:00 to 2026-12-27 08:00 for fraud-*"],
    "slack_group_critical": "S0123456789",
}
EXAMPLE: dict[str, JsonValue] = {
    **SPEC_EXAMPLE,
    "kinds": [],
    "enabled": True,
    "remind_times": 3,
    "remind_acknowledged_after_seconds": 86_400,
    "system": False,
    "hold_critical": False,
    "weekly_summary": None,
    "weekly_last_at": None,
    "weekly_last_text": None,
    "slack_group_warn": None,
    "route_id": "4d5c1e0b-1a2f-4b02-9f39-1f0c3c1e7a51",
    "channel": "on call",
    "version": 1,
    "created_at": "2026-11-20T08:01:00Z",
}


class RouteSpec(BaseModel):
    """What a route is to be."""

    model_config = ConfigDict(extra="forbid", json_schema_extra={"examples": [SPEC_EXAMPLE]})

    name: Name = Field(description="What people call it.")
    channel_id: UUID = Field(description="The channel it sends to.")
    model_patterns: Annotated[list[Pattern], AfterValidator(_once)] = Field(
        [], max_length=PATTERNS_MAX, description="Models, as patterns like `fraud-*`; none means all."
    )
    least_severity: Severity = Field(
        Severity.WARN, description="Alerts below it are not taken; one that escalates later is, and then its end too."
    )
    kinds: Kinds = Field(
        [],
        description="Kinds of transitions; none means every alert. The end of an alert follows in any case.",
    )
    enabled: bool = Field(True, strict=True, description="A disabled route takes nothing.")
    remind_after_seconds: int | None = Field(
        None,
        strict=True,
        ge=REMIND_AFTER_MIN,
        le=REMIND_AFTER_MAX,
        description="Remind while nobody has acknowledged the incident, after this time and again each such time.",
    )
    remind_times: int = Field(
        3, strict=True, ge=1, le=REMIND_TIMES_MAX, description="Maximum number of reminders for one alert."
    )
    remind_acknowledged_after_seconds: int | None = Field(
        DAY,
        strict=True,
        ge=ACKNOWLEDGED_AFTER_MIN,
        le=ACKNOWLEDGED_AFTER_MAX,
        description="Remind of what was acknowledged and is still critical after this time, and then once a day; null: "
        "never.",
    )
    system: bool | None = Field(
        None,
        strict=True,
        description="Whether system alerts go to the channel too, whatever models the route names; null: if no other "
        "route takes them.",
    )
    time_zone: TimeZone = Field(
        "UTC",
        description="Zone of its hours and windows, and of times in its messages, by its name of the IANA database.",
    )
    hold_hours: Annotated[list[HoldHours], AfterValidator(_leaves_time)] = Field(
        [],
        max_length=HOURS_MAX,
        description="Hours of the week in which its alerts are held, to be delivered together when they end: "
        f"`{HOURS_EXAMPLE}`, `sat,sun 08:00-08:00`.",
    )
    hold_windows: Annotated[list[HoldWindow], AfterValidator(_once)] = Field(
        [],
        max_length=WINDOWS_MAX,
        description=f"Planned windows in which its alerts are held: `{WINDOW_EXAMPLE}`, with `every 7 days` for one "
        "that comes again, and `for fraud-*` for some models.",
    )
    hold_critical: bool = Field(False, strict=True, description="Hold critical alerts too.")
    weekly_summary: WeeklySummary | None = Field(
        None, description=f"When a summary of the last seven days is sent, such as `{WEEKLY_EXAMPLE}`; null: never."
    )
    slack_group_warn: SlackGroup | None = Field(None, description="Slack's id of a user group that warnings mention.")
    slack_group_critical: SlackGroup | None = Field(
        None, description="Slack's id of a user group that critical alerts mention."
    )


class RouteView(RouteResponse):
    """A route."""

    model_config = ConfigDict(json_schema_extra={"examples": [EXAMPLE]})

    least_severity: Severity = Field(
        description="Alerts below it are not sent; one that escalates to it later is, and so is its end."
    )
    kinds: tuple[TransitionKind, ...] = Field(
        description="Kinds of transitions; none means all that alert. The end of an alert is sent in any case."
    )

    @classmethod
    def of(cls, stored: StoredRoute, models: Sequence[str] = ()) -> Self:
        """The view of a stored one; of its patterns only those that may meet `models`."""
        patterns = tuple(each for each in stored.model_patterns if may_meet(each, models))
        return cls.model_validate(stored, from_attributes=True).model_copy(update={"model_patterns": patterns})
