"""`/v1/routes`: requests and answers."""

from __future__ import annotations

from dataclasses import replace
from uuid import UUID

import asyncpg
from fastapi import APIRouter, Response

from sentryml_common.http.etags import CACHED, ETAG_HEADER, VERSIONED, IfMatch, IfNoneMatch, moved_on, not_modified
from sentryml_common.http.paging import Page
from sentryml_common.http.problems import Problem, problem_answers
from sentryml_common.http.versions import etag, matches
from sentryml_common.postgres.pool import Connection
from sentryml_notifier.channels.kinds import KINDS
from sentryml_notifier.domain.change import Action, differences
from sentryml_notifier.http.auth import Admin, Reader
from sentryml_notifier.http.context import Context, WithContext
from sentryml_notifier.http.routes.spec import RouteSpec, RouteView
from sentryml_notifier.store.holds import hold_again
from sentryml_notifier.store.routes import (
    StoredRoute,
    delete_route,
    keep_channel,
    list_stored_routes,
    lock_route,
    save_route,
    takes_system_alerts,
)

router = APIRouter(prefix="/v1/routes", tags=["routes"])

UNKNOWN = problem_answers((404, "There is no such route."))
NAME_TAKEN = (409, "Another route has this name.")
MADE_SO = (422, "Invalid input; `errors` names each field.")
MOVED_ON = (412, "It has changed since the version in `If-Match`; `route` is its current version.")


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
        text = f"leads to {stored.channel}"
        await context.note(connection, asker.actor, Action.ROUTE_MADE, stored.route_id, stored.name, text)
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
            await context.note(connection, asker.actor, Action.ROUTE_CHANGED, route_id, stored.name, text)
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
        text = f"led to {before.channel}"
        await context.note(connection, asker.actor, Action.ROUTE_DELETED, route_id, before.name, text)


async def _locked(connection: Connection, route_id: UUID, if_match: str | None) -> StoredRoute:
    found = await lock_route(connection, route_id)
    if found is None:
        raise _unknown(route_id)
    if not matches(if_match, etag(found.version)):
        raise moved_on("route", found.version, RouteView.of(found))
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
    system, now = requested.system, context.clock()
    if system is None:
        system = not await takes_system_alerts(connection, before.route_id if before else None)
    made = StoredRoute(
        **requested.model_dump(exclude={"kinds", "system"}),
        kinds=sorted(requested.kinds),
        system=system,
        route_id=context.new_id(),
        channel=channel["name"],
        channel_kind=channel["kind"],
        weekly_since=now,
        version=1,
        created_at=now,
    )
    if before is None:
        return made
    return replace(
        made,
        route_id=before.route_id,
        weekly_since=before.weekly_since if requested.weekly_summary == before.weekly_summary else now,
        version=before.version + 1,
        created_at=before.created_at,
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


def _refused(field: str, reason: str) -> Problem:
    errors = [{"field": f"body.{field}", "reason": reason}]
    return Problem(422, "invalid-request", f"body.{field}: {reason}", errors=errors)


def _unknown(route_id: UUID) -> Problem:
    return Problem(404, "unknown-route", f"there is no route {route_id}: GET /v1/routes lists them")
