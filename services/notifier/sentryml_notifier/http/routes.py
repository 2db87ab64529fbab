"""`/v1/routes`: which transitions go to which channels."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Annotated, Self
from uuid import UUID

import asyncpg
from fastapi import APIRouter, Response
from pydantic import AfterValidator, BaseModel, ConfigDict, Field, JsonValue, StringConstraints, WithJsonSchema

from sentryml_common.contracts.internal.notifier_api import RouteResponse
from sentryml_common.contracts.monitor import TimeZone
from sentryml_common.contracts.transition import Severity, TransitionKind
from sentryml_common.http.etags import CACHED, ETAG_HEADER, VERSIONED, IfMatch, IfNoneMatch, etag, matches, not_modified
from sentryml_common.http.paging import Page
from sentryml_common.http.problems import Problem, problem_answers
from sentryml_common.http.texts import NoKey
from sentryml_common.postgres.pool import Connection
from sentryml_notifier.channels.kinds import KINDS
from sentryml_notifier.domain.change import Action, Change, differences
from sentryml_notifier.domain.holding.schedule import HoldSchedule, free_minutes
from sentryml_notifier.domain.holding.written import (
    HOURS_EXAMPLE,
    WEEKLY_EXAMPLE,
    WINDOW_EXAMPLE,
    read_hours,
    read_weekly,
    read_window,
)
from sentryml_notifier.domain.routing import ALERTING, Route, may_meet
from sentryml_notifier.http.auth import Admin, Asker, Reader
from sentryml_notifier.http.context import Context, WithContext
from sentryml_notifier.store.changes import insert_change
from sentryml_notifier.store.holds import hold_again
from sentryml_notifier.store.routes import (
    StoredRoute,
    delete_route,
    keep_channel,
    list_stored_routes,
    lock_route,
    save_route,
)

router = APIRouter(prefix="/v1/routes", tags=["routes"])

NAME_PATTERN = r"^[^\x00-\x1f\x7f/]*$"
"""Without a slash: nobody's secret address is anybody's name."""
MODEL_PATTERN = r"^[A-Za-z0-9._:*?\[\]!-]{1,128}$"
PATTERNS_MAX = 100
HOURS_MAX, WINDOWS_MAX, FREE_MINUTES_MIN = 20, 50, 60
REMIND_AFTER_MIN, REMIND_AFTER_MAX, REMIND_TIMES_MAX = 300, 7 * 86_400, 100

UNKNOWN = problem_answers((404, "There is no such route."))
NAME_TAKEN = (409, "Another route has this name.")
MADE_SO = (422, "Invalid input; `errors` names each field.")
MOVED_ON = (412, "It has changed since the version in `If-Match`; `route` is its current version.")


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


AS_STORED = (
    "name", "channel", "remind_after_seconds", "remind_times", "hold_hours", "hold_windows", "weekly_summary",
    "weekly_last_at", "weekly_last_text", "slack_group_warn", "slack_group_critical", "version", "created_at",
)  # fmt: skip


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
        route = stored.route
        return cls(
            route_id=route.route_id,
            channel_id=route.channel_id,
            model_patterns=tuple(each for each in route.model_patterns if may_meet(each, models)),
            least_severity=route.least_severity,
            kinds=tuple(sorted(route.kinds)),
            enabled=route.enabled,
            time_zone=route.hold.time_zone,
            hold_critical=route.hold.holds_critical,
            **{name: getattr(stored, name) for name in AS_STORED},
        )


@router.get("")
async def list_all(context: WithContext, asker: Reader) -> Page[RouteView]:
    """All routes, in the order in which they are asked: a channel hears of a transition by the first that takes it. A
    key for some models sees those that may take what is about its models."""
    async with context.transaction() as connection:
        found = await list_stored_routes(connection)
    views = [RouteView.of(each, asker.models) for each in found if each.route.may_concern(asker.models)]
    return Page(items=views, next_cursor=None)


@router.post("", status_code=201, responses={201: {"headers": ETAG_HEADER}, **problem_answers(NAME_TAKEN, MADE_SO)})
async def create(context: WithContext, asker: Admin, requested: RouteSpec, response: Response) -> RouteView:
    """Make a route; it takes what happens from now on."""
    async with context.transaction() as connection:
        stored = await _stored(connection, context, requested)
        await _save(connection, stored)
        await _note(connection, context, asker, Action.ROUTE_MADE, stored, f"leads to {stored.channel}")
    response.headers["ETag"] = etag(stored.version)
    return RouteView.of(stored)


@router.get("/{route_id:uuid}", responses={**CACHED, **UNKNOWN}, response_model=RouteView)
async def show(
    context: WithContext, asker: Reader, route_id: UUID, response: Response, if_none_match: IfNoneMatch = None
) -> RouteView | Response:
    """One route. Its `ETag` changes with every change."""
    async with context.transaction() as connection:
        found = await list_stored_routes(connection, route_id)
    if not found or not found[0].route.may_concern(asker.models):
        raise _unknown(route_id)
    current = etag(found[0].version)
    if (unchanged := not_modified(if_none_match, current)) is not None:
        return unchanged
    response.headers["ETag"] = current
    return RouteView.of(found[0], asker.models)


@router.put("/{route_id:uuid}", responses={**VERSIONED, **UNKNOWN, **problem_answers(NAME_TAKEN, MOVED_ON, MADE_SO)})
async def change(
    context: WithContext,
    asker: Admin,
    route_id: UUID,
    requested: RouteSpec,
    response: Response,
    if_match: IfMatch = None,
) -> RouteView:
    """Replace a route: what is left out gets its default. What changes nothing makes no new version."""
    async with context.transaction() as connection:
        before = await _locked(connection, route_id, if_match)
        stored = await _stored(connection, context, requested, before)
        text = differences(_shown(before), _shown(stored))
        if text:
            await _save(connection, stored)
            await _note(connection, context, asker, Action.ROUTE_CHANGED, stored, text)
            released = await hold_again(connection, stored.route, context.clock())
        else:
            stored, released = before, 0
    if released:
        context.wake()
    response.headers["ETag"] = etag(stored.version)
    return RouteView.of(stored)


@router.delete("/{route_id:uuid}", status_code=204, responses={**UNKNOWN, **problem_answers(MOVED_ON)})
async def delete(context: WithContext, asker: Admin, route_id: UUID, if_match: IfMatch = None) -> None:
    """Delete a route. What it has taken is delivered all the same."""
    async with context.transaction() as connection:
        before = await _locked(connection, route_id, if_match)
        await delete_route(connection, route_id, context.clock())
        await _note(connection, context, asker, Action.ROUTE_DELETED, before, f"led to {before.channel}")


async def _locked(connection: Connection, route_id: UUID, if_match: str | None) -> StoredRoute:
    found = await lock_route(connection, route_id)
    if found is None:
        raise _unknown(route_id)
    current = etag(found.version)
    if not matches(if_match, current):
        raise Problem(
            412,
            "route-moved-on",
            f"the route is at {current} now: read it again",
            headers={"ETag": current},
            route=RouteView.of(found).model_dump(mode="json"),
        )
    return found


async def _stored(
    connection: Connection, context: Context, requested: RouteSpec, before: StoredRoute | None = None
) -> StoredRoute:
    channel = await keep_channel(connection, requested.channel_id)
    if channel is None:
        raise _refused("channel_id", "there is no such channel: GET /v1/channels lists them")
    kind = KINDS.get(channel["kind"])
    if requested.weekly_summary and kind is not None and not kind.for_people:
        raise _refused("weekly_summary", f"is for people, and {kind.title} is read by programs: choose another channel")
    route = Route(
        before.route.route_id if before else context.new_id(),
        requested.channel_id,
        tuple(requested.model_patterns),
        requested.least_severity,
        frozenset(requested.kinds),
        requested.enabled,
        hold=HoldSchedule(
            requested.time_zone,
            tuple(map(read_hours, requested.hold_hours)),
            tuple(map(read_window, requested.hold_windows)),
            requested.hold_critical,
        ),
    )
    made = StoredRoute(
        route,
        requested.name,
        channel["name"],
        requested.remind_after_seconds,
        requested.remind_times,
        1,
        context.clock(),
        tuple(requested.hold_hours),
        tuple(requested.hold_windows),
        requested.slack_group_warn,
        requested.slack_group_critical,
        requested.weekly_summary,
        context.clock(),
    )
    if before is None:
        return made
    return replace(
        made,
        version=before.version + 1,
        created_at=before.created_at,
        weekly_since=before.weekly_since if requested.weekly_summary == before.weekly_summary else context.clock(),
        weekly_last_at=before.weekly_last_at,
        weekly_last_text=before.weekly_last_text,
    )


async def _save(connection: Connection, stored: StoredRoute) -> None:
    try:
        await save_route(connection, stored)
    except asyncpg.UniqueViolationError as err:
        raise Problem(409, "name-taken", f"another route is called {stored.name}: choose another name") from err


def _shown(stored: StoredRoute) -> dict[str, object]:
    """What a change records: everything that people set."""
    view = RouteView.of(stored)
    return {
        **view.model_dump(mode="json", include=set(RouteSpec.model_fields) - {"channel_id"}),
        "channel": view.channel,
    }


async def _note(
    connection: Connection, context: Context, asker: Asker, action: Action, stored: StoredRoute, text: str
) -> None:
    await insert_change(
        connection, Change(context.clock(), asker.actor, action, stored.route.route_id, stored.name, text)
    )


def _refused(field: str, reason: str) -> Problem:
    errors = [{"field": f"body.{field}", "reason": reason}]
    return Problem(422, "invalid-request", f"body.{field}: {reason}", errors=errors)


def _unknown(route_id: UUID) -> Problem:
    return Problem(404, "unknown-route", f"there is no route {route_id}: GET /v1/routes lists them")
