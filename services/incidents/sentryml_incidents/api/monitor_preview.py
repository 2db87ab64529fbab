"""`POST /v1/models/{id}/monitor:preview`: what a changed monitor would have done over the kept history."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable
from datetime import datetime, timedelta
from typing import Any

from fastapi import APIRouter

from sentryml_common.contracts.internal.recomputation import (
    MOST_RECOMPUTED,
    Ended,
    Recomputed,
    RecomputedEvaluation,
)
from sentryml_common.contracts.monitor import Monitor, MonitorSettings
from sentryml_common.http.problems import problem_answers
from sentryml_incidents.api.auth import Reader
from sentryml_incidents.api.models import UNKNOWN, PathModelId, check_model
from sentryml_incidents.api.preview_view import PreviewView, preview_view, sensitivity
from sentryml_incidents.clients.drift import NotRecomputed
from sentryml_incidents.store.evaluations.history import Position, find_version_settings, oldest_of_newest, read_history
from sentryml_incidents.store.snapshots import read_snapshot
from sentryml_incidents.usecases.context import Context, WithContext
from sentryml_incidents.usecases.errors import UnknownModel
from sentryml_incidents.usecases.monitor_patch import Patch, merge
from sentryml_lifecycle.preview import Replay
from sentryml_lifecycle.regrading import Regrading

router = APIRouter(prefix="/v1/models", tags=["monitors"])

HISTORY_DAYS = 90
MOST_EVALUATIONS = 30_000
"""90 days at the default of one every 5 minutes are 25,920."""
PAGE = 1_000

STARTING = "this service is starting"
EXACT_ALREADY = "it says exactly what the changed monitor would have found"
WHY_NO_OLDER = {
    Ended.SINCE: None,
    Ended.FIRST_SEEN: None,
    Ended.PANES: "older panes are no longer kept, or not as finely as these windows need them",
    Ended.COUNT: f"no more than {MOST_RECOMPUTED:,} evaluations are recomputed",
    Ended.TIME: "a processor recomputes for a few seconds only",
}

Panes = tuple[list[RecomputedEvaluation], str | None]
"""What was recomputed, oldest first; and why stored PSI is needed besides, or instead."""


@router.post(
    "/{model_id}/monitor:preview",
    responses=UNKNOWN
    | problem_answers(
        (409, "when the monitor has another version by now"),
        (422, "when settings are unknown, out of range or contradict each other: all of them, by name"),
    ),
)
async def preview(context: WithContext, key: Reader, model_id: PathModelId, patch: Patch) -> PreviewView:
    """What the monitor would have done if it had been changed so, over up to 90 days of kept evaluations, beside what
    the one in force would have. Changes nothing. Evaluations are recomputed from the counts that are kept, as far as
    these reach back; before, thresholds are applied to the PSI that was found then. `basis` says which was used, and
    `recomputed_from` from when on."""
    check_model(key, model_id)
    return await try_out(context, model_id, patch, HISTORY_DAYS)


async def try_out(context: Context, model_id: str, patch: dict[str, Any], days: int) -> PreviewView:
    """The preview of a changed monitor over the last `days` of what is kept.

    Raises:
        UnknownModel: there is none with this id.
        MonitorChangedMeanwhile: it has another version than `requested` says.
        InvalidMonitor: settings do not fit, by name.
        Unavailable: PostgreSQL is away.
    """
    now = context.now()
    async with context.transaction() as connection:
        snapshot = await read_snapshot(connection, model_id)
        if snapshot is None:
            raise UnknownModel(model_id)
        settings = merge(snapshot, patch)
        versions = await find_version_settings(connection, model_id)
        since = await oldest_of_newest(connection, model_id, now - timedelta(days=days), MOST_EVALUATIONS)
    monitor = Monitor(
        **dict(settings), model_id=model_id, version=snapshot.monitor_version, normal_time=snapshot.normal_time
    )
    (recomputed, why_stored), newest = await _from_panes(context, monitor, versions.values(), since)
    changed, in_force = Replay(model_id, settings, recomputed), Replay(model_id, snapshot.settings)
    first = await _replay(context, model_id, since, versions, (changed, in_force))
    begins = min((each for each in (first, changed.recomputed_from) if each is not None), default=now)
    seen = sensitivity(monitor, newest)
    return preview_view((snapshot.settings, settings), (begins, now), changed, in_force, why_stored, seen)


async def _from_panes(
    context: Context, monitor: Monitor, made_under: Iterable[MonitorSettings], since: datetime
) -> tuple[Panes, Recomputed | None]:
    """What the processors recompute, and the newest evaluation of it; where stored PSI answers exactly, only the newest
    one is asked for."""
    if not monitor.enabled:
        return ([], None), None
    exact = all(Regrading(each, monitor).exact for each in made_under)
    if context.processors is None:
        return ([], EXACT_ALREADY if exact else STARTING), None
    try:
        found = await context.processors.recompute(monitor, since, 1 if exact else MOST_RECOMPUTED)
    except NotRecomputed as err:
        return ([], EXACT_ALREADY if exact else str(err)), None
    if exact:
        return ([], EXACT_ALREADY), found
    return (list(reversed(found.evaluations)), WHY_NO_OLDER[found.ended]), found


async def _replay(
    context: Context, model_id: str, since: datetime, versions: dict[int, MonitorSettings], replays: tuple[Replay, ...]
) -> datetime | None:
    """Page by page, each in a short transaction, decided in a thread: others are answered meanwhile. Returns when the
    first evaluation was."""
    first: datetime | None = None
    position: Position | None = None
    while True:
        async with context.transaction() as connection:
            page = await read_history(connection, model_id, since, position, PAGE)
        for replay in replays:
            await asyncio.to_thread(replay.take, page, versions)
        if page:
            first = first or page[0].evaluated_at
            position = page[-1].evaluated_at, page[-1].evaluation_id
        if len(page) < PAGE:
            for replay in replays:
                await asyncio.to_thread(replay.finish)
            return first
