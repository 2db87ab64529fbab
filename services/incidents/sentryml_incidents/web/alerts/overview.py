"""The pages of alerts: where they go, what is undeliverable, who changed what. All of it is the notifier's word."""

from __future__ import annotations

import asyncio
from typing import Annotated

from fastapi import APIRouter, Query, Request, Response

from sentryml_common.contracts.internal.notifier_api import PreviewResponse
from sentryml_common.contracts.transition import Severity
from sentryml_common.http.problems import Problem
from sentryml_incidents.domain.system.links import link_warning
from sentryml_incidents.usecases.context import WithContext
from sentryml_incidents.usecases.unreadable_records import read_unreadable
from sentryml_incidents.web.alerts.deliveries import delivery_lines
from sentryml_incidents.web.alerts.notifier import AlertsRoute, NotifierClient, WithNotifier
from sentryml_incidents.web.people.session import Reader
from sentryml_incidents.web.rendering import render
from sentryml_incidents.web.view.alerts import action_words, is_stale, models_in_words
from sentryml_incidents.web.view.channel_forms import harmless

ALERTS = "/alerts"
UNDELIVERABLE_SHOWN, CHANGES_SHOWN, CHANGES_ROWS, ENDED_SHOWN = 10, 5, 50, 5

router = APIRouter(prefix=ALERTS, include_in_schema=False, route_class=AlertsRoute)

ModelField = Annotated[str, Query(max_length=200)]
CursorField = Annotated[str | None, Query(max_length=500)]


@router.get("")
async def show(
    request: Request,
    context: WithContext,
    visitor: Reader,
    notifier: WithNotifier,
    model: ModelField = "",
    severity: Severity = Severity.CRITICAL,
) -> Response:
    """Routes and channels, and what is wrong with them; with a `model`, where its alarm would go."""
    now, model = context.now(), model.strip()
    routes, channels, kinds, audit, changes, (preview, refused) = await asyncio.gather(
        notifier.routes(),
        notifier.channels(),
        notifier.kinds(),
        notifier.audit(),
        notifier.changes(limit=CHANGES_SHOWN),
        _preview(notifier, model, severity),
    )
    system_alerts = await notifier.system_alerts()
    async with context.transaction() as connection:
        unreadable = (await read_unreadable(connection, now)).in_short
    undeliverable = sum(channel.parked for channel in channels)
    response = await notifier.deliveries(undeliverable="true", limit=UNDELIVERABLE_SHOWN) if undeliverable else None
    return render(
        request,
        "alerts/overview.html",
        status=422 if refused else 200,
        routes=routes,
        channels=channels,
        names={channel.channel_id: channel.name for channel in channels},
        kind_titles={kind.name: kind.title for kind in kinds},
        models_in_words=models_in_words,
        audit=audit,
        stale=audit is not None and is_stale(audit.at, now),
        undeliverable=undeliverable,
        undeliverable_lines=delivery_lines(response.items, now) if response else (),
        changes=changes.items,
        system_alerts=system_alerts,
        unreadable=unreadable,
        link_warning=link_warning(context.public_url),
        ended_shown=[each for each in system_alerts if each.ended_at][:ENDED_SHOWN],
        action_words=action_words,
        model=harmless(model) if refused else model,
        severity=severity,
        severities=list(Severity),
        preview=preview,
        preview_refused=refused,
    )


@router.get("/changes")
async def show_changes(
    request: Request, visitor: Reader, notifier: WithNotifier, cursor: CursorField = None
) -> Response:
    """Who changed what, newest first."""
    page = await notifier.changes(cursor=cursor, limit=CHANGES_ROWS)
    return render(
        request,
        "alerts/changes.html",
        changes=page.items,
        action_words=action_words,
        older=page.next_cursor,
        first=cursor is None,
    )


async def _preview(
    notifier: NotifierClient, model: str, severity: Severity
) -> tuple[PreviewResponse | None, tuple[str, ...]]:
    """Where an alarm of a model would go, or why that cannot be said."""
    if not model:
        return None, ()
    try:
        return await notifier.preview(model, severity), ()
    except Problem as err:
        if err.status != 422:
            raise
        return None, (
            "A model's name has letters, digits and . _ : -, 128 at most, and begins with a letter or digit.",
        )
