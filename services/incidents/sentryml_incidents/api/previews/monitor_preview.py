"""`POST /v1/models/{id}/monitor:preview`: what a changed monitor would have done over the kept history."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Any

from fastapi import APIRouter

from sentryml_common.contracts.evaluation import Evaluation
from sentryml_common.contracts.internal.recomputation import MOST_RECOMPUTED, Ended, Recomputed
from sentryml_common.contracts.monitor import Monitor, MonitorSettings
from sentryml_common.http.problems import problem_answers
from sentryml_incidents.api.auth import Reader
from sentryml_incidents.api.models import UNKNOWN, PathModelId, check_model
from sentryml_incidents.api.previews.preview_view import PreviewView, preview_view
from sentryml_incidents.clients.drift import NotRecomputed
from sentryml_incidents.store.evaluations.history import Position, find_version_settings, oldest_of_newest, read_history
from sentryml_incidents.store.snapshots import read_snapshot
from sentryml_incidents.usecases.context import Context, WithContext
from sentryml_incidents.usecases.errors import UnknownModel
from sentryml_incidents.usecases.monitor_patch import Patch, read_and_merge
from sentryml_lifecycle.preview import Replay
from sentryml_lifecycle.snapshot import Snapshot

router = APIRouter(prefix="/v1/models", tags=["monitors"])

HISTORY_DAYS = 90
MOST_EVALUATIONS = 30_000
"""90 days at the default of one every 5 minutes are 25,920."""
PAGE = 1_000

STARTING = "this service is starting"
IN_FORCE = "these are the settings in force: it is what was found"
WHY_NO_OLDER = {
    Ended.SINCE: None,
    Ended.FIRST_SEEN: None,
    Ended.PANES: "older panes are no longer kept, or not as finely as these windows need them",
}


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
    these reach back, each with the baseline that the changed monitor would have held then; before, thresholds are
    applied to the PSI that was found. `basis` says which was used, and `recomputed_from` from when on."""
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
        settings = await read_and_merge(connection, snapshot, patch)
        versions = await find_version_settings(connection, model_id)
        since = await oldest_of_newest(connection, model_id, now - timedelta(days=days), MOST_EVALUATIONS)
    unchanged = settings == snapshot.settings
    found, why_stored = await _from_panes(context, monitor_of(snapshot, settings), now if unchanged else since)
    recomputed = () if unchanged or found is None else found.evaluations
    changed, in_force = Replay(model_id, settings, recomputed), Replay(model_id, snapshot.settings)
    both = (changed, in_force)

    def take(page: list[Evaluation]) -> None:
        for each in both:
            each.take(page, versions)

    await replay_history(context, model_id, since, take)
    await asyncio.to_thread(changed.finish)
    begins = min((each.began for each in both if each.began is not None), default=now)
    return preview_view(
        (snapshot.settings, settings), (begins, now), changed, in_force, IN_FORCE if unchanged else why_stored, found
    )


def monitor_of(snapshot: Snapshot, settings: MonitorSettings) -> Monitor:
    """Other settings for a model, with its normal time."""
    return Monitor(
        **dict(settings),
        model_id=snapshot.model_id,
        version=snapshot.monitor_version,
        normal_time=snapshot.normal_time,
    )


async def _from_panes(context: Context, monitor: Monitor, since: datetime) -> tuple[Recomputed | None, str | None]:
    """What the processors recompute, and why stored PSI is needed besides, or instead."""
    if not monitor.enabled:
        return None, None
    try:
        found = await recompute(context, monitor, since)
    except NotRecomputed as err:
        return None, str(err)
    return found, WHY_NO_OLDER[found.ended]


async def recompute(context: Context, monitor: Monitor, since: datetime, most: int = MOST_RECOMPUTED) -> Recomputed:
    """What the processors recompute.

    Raises:
        NotRecomputed: none has answered.
    """
    if context.processors is None:
        raise NotRecomputed(STARTING)
    return await context.processors.recompute(monitor, since, most)


async def replay_history(
    context: Context, model_id: str, since: datetime, take: Callable[[list[Evaluation]], None]
) -> None:
    """Give `take` the stored evaluations, page by page, each in a short transaction; it runs in a thread: others are
    answered meanwhile."""
    position: Position | None = None
    while True:
        async with context.transaction() as connection:
            page = await read_history(connection, model_id, since, position, PAGE)
        await asyncio.to_thread(take, page)
        if len(page) < PAGE:
            return
        position = page[-1].evaluated_at, page[-1].evaluation_id
