"""The checklist of a new installation, which admins see on the overview until all of it is done, or they hide it."""

from __future__ import annotations

import asyncio

from fastapi import APIRouter, Request, Response

from sentryml_common.http.problems import Problem
from sentryml_incidents.clients.notifier import NotifierAway
from sentryml_incidents.domain.first_steps.checklist import ChannelState, Found, Step, checklist
from sentryml_incidents.store.deliveries import any_delivered
from sentryml_incidents.store.models import count_test_models, read_baselines
from sentryml_incidents.store.people.users import hide_checklist, list_users
from sentryml_incidents.usecases.context import Context, WithContext
from sentryml_incidents.web.alerts.notifier import NotifierClient, notifier_for
from sentryml_incidents.web.people.session import Administrator, Visitor
from sentryml_incidents.web.rendering import PageRoute, go_to

router = APIRouter(prefix="/models/checklist", include_in_schema=False, route_class=PageRoute)

BASELINES, CHANGES = 100, 50
NOTIFIER_SECONDS = 2.0
"""The overview waits no longer for what is a step of the checklist only."""


@router.post("/hide")
async def hide(request: Request, context: WithContext, visitor: Administrator) -> Response:
    """Do not show it to this person any more."""
    async with context.transaction() as connection:
        await hide_checklist(connection, visitor.user.user_id, context.now())
    return go_to(request, "/models")


@router.post("/show")
async def show_again(request: Request, context: WithContext, visitor: Administrator) -> Response:
    """Show it to this person again."""
    async with context.transaction() as connection:
        await hide_checklist(connection, visitor.user.user_id, None)
    return go_to(request, "/models")


async def first_steps(context: Context, visitor: Visitor, models: int) -> tuple[Step, ...]:
    """The steps, for admins who have not hidden them, while one of them is not done; else none. There are `models`."""
    if not visitor.administers or visitor.user.checklist_hidden_at is not None:
        return ()
    async with context.transaction() as connection:
        baselines = await read_baselines(connection, BASELINES)
        delivered, tests = await any_delivered(connection), await count_test_models(connection)
        others = [
            each
            for each in await list_users(connection)
            if not each.disabled_at and each.user_id != visitor.user.user_id
        ]
    found = Found(
        models=models - tests,
        tested=tests > 0,
        signed_in=1 + sum(each.last_signed_in_at is not None for each in others),
        invited=[each.name for each in others if each.last_signed_in_at is None],
        channels=ChannelState.DELIVERS if delivered else await _channels(context, visitor),
        baselines=baselines,
    )
    steps = checklist(found, context.now())
    return () if all(each.done for each in steps) else steps


async def _channels(context: Context, visitor: Visitor) -> ChannelState:
    """How far alerts get, as the notifier says."""
    try:
        async with asyncio.timeout(NOTIFIER_SECONDS):
            return await _state_of(notifier_for(context, visitor))
    except (NotifierAway, Problem, TimeoutError):
        return ChannelState.UNKNOWN


async def _state_of(notifier: NotifierClient) -> ChannelState:
    routes, channels, changes = await asyncio.gather(
        notifier.routes(), notifier.channels(), notifier.changes(limit=CHANGES)
    )
    routed = {each.channel_id for each in routes if each.enabled}
    leads = [each for each in channels if each.channel_id in routed]
    works = {each.channel_id for each in leads if not each.broken}
    if not leads:
        return ChannelState.NO_ROUTE if channels else ChannelState.NONE
    if not works:
        return ChannelState.BROKEN
    tests = [each for each in changes.items if each.action == "test_sent" and each.subject_id in works]
    return ChannelState.DELIVERS if any(each.text.startswith("delivered") for each in tests) else ChannelState.UNTRIED
