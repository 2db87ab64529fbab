"""`GET /v1/models/{id}/monitor/advice`: what other settings would have opened, over the model's own history."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from fastapi import APIRouter

from sentryml_common.contracts.evaluation import Evaluation
from sentryml_common.contracts.internal.recomputation import Recomputed
from sentryml_common.contracts.monitor import MonitorSettings
from sentryml_incidents.api.auth import Reader
from sentryml_incidents.api.models import UNKNOWN, PathModelId, check_model
from sentryml_incidents.api.previews.advice_view import AdviceView, NotTried, advice_row
from sentryml_incidents.api.previews.monitor_preview import MOST_EVALUATIONS, monitor_of, recompute, replay_history
from sentryml_incidents.clients.drift import NotRecomputed
from sentryml_incidents.domain.advice import Candidate, candidates
from sentryml_incidents.store.evaluations.history import find_version_settings, oldest_of_newest
from sentryml_incidents.store.snapshots import read_snapshot
from sentryml_incidents.usecases.context import Context, WithContext
from sentryml_incidents.usecases.errors import UnknownModel
from sentryml_lifecycle.preview import Replay
from sentryml_lifecycle.regrading import segments_left_out, what_differs
from sentryml_lifecycle.snapshot import Snapshot

router = APIRouter(prefix="/v1/models", tags=["monitors"])

ADVICE_DAYS = 30
MOST_RECOMPUTED = 1_000
"""Of each candidate: it is one of several that somebody waits for."""
MOST_SECONDS = 15.0
"""After that no other candidate is recomputed."""
LEAST_WINDOWS = 2
"""Over fewer current windows, nothing is said of a candidate."""

NO_TIME = "there was no time left for it: preview it on its own"
TOO_SHORT = "too little of what its windows need is kept"
TOO_FEW = "there are too few evaluations yet"


@router.get("/{model_id}/monitor/advice", responses=UNKNOWN)
async def advice(context: WithContext, key: Reader, model_id: PathModelId) -> AdviceView:
    """What would be quieter? The monitor in force and a few others beside it: what each would have opened in the last
    30 days, as far back as that can be known, and which shift it would still find. Changes nothing, and recommends
    nothing: each row says what it gives up. It takes some seconds; where time runs out, the rest is in `not_tried`."""
    check_model(key, model_id)
    return await advise(context, model_id)


@dataclass(frozen=True, slots=True)
class Trial:
    """A candidate on its way. Its replay is over stored evaluations, or over those that were recomputed, which begin at
    `since`; `found` holds the newest evaluation with its windows."""

    candidate: Candidate
    replay: Replay
    found: Recomputed | None
    since: datetime | None = None


async def advise(context: Context, model_id: str) -> AdviceView:
    """Try what may be quieter, over the last ADVICE_DAYS. A monitor that is off is tried as if it were on.

    Raises:
        UnknownModel: there is none with this id.
        Unavailable: PostgreSQL is away.
    """
    now, loop = context.now(), asyncio.get_running_loop()
    began = loop.time()
    async with context.transaction() as connection:
        snapshot = await read_snapshot(connection, model_id)
        if snapshot is None:
            raise UnknownModel(model_id)
        versions = await find_version_settings(connection, model_id)
        since = await oldest_of_newest(connection, model_id, now - timedelta(days=ADVICE_DAYS), MOST_EVALUATIONS)
    trials, not_tried = await _trials(context, snapshot, (since, now), began + MOST_SECONDS)
    in_force = await _replay(context, snapshot, versions, since, trials)
    rows = []
    for trial in trials:
        least = LEAST_WINDOWS * timedelta(seconds=trial.candidate.settings.current_seconds)
        if trial.replay.began is not None and now - trial.replay.began >= least:
            rows.append(advice_row(trial.candidate, trial.replay, in_force[trial.since], trial.found, now))
        else:
            not_tried.append(_not_tried(trial.candidate, TOO_SHORT if trial.since else TOO_FEW))
    return AdviceView(
        to=now,
        seconds=round(loop.time() - began, 1),
        segments_left_out=segments_left_out(snapshot.settings),
        rows=rows,
        not_tried=not_tried,
    )


async def _trials(
    context: Context,
    snapshot: Snapshot,
    span: tuple[datetime, datetime],
    deadline: float,
) -> tuple[list[Trial], list[NotTried]]:
    """The candidates that can be tried, and why the others cannot."""
    since, now = span
    in_force, *others = candidates(snapshot.settings.model_copy(update={"enabled": True}))
    trials, not_tried = [], []
    newest, why_none = await _recomputed(context, snapshot, in_force, now, 1)
    for each in (in_force, *others):
        if not what_differs(in_force.settings, each.settings):
            trials.append(Trial(each, Replay(snapshot.model_id, each.settings), newest))
            continue
        if why_none is None and asyncio.get_running_loop().time() > deadline:
            why_none = NO_TIME
        found, why = None, why_none
        if why is None:
            found, why = await _recomputed(context, snapshot, each, since, MOST_RECOMPUTED)
        if found is None or not found.evaluations:
            not_tried.append(_not_tried(each, why or TOO_SHORT))
        else:
            replay = Replay(snapshot.model_id, each.settings, found.evaluations)
            await asyncio.to_thread(replay.finish)
            trials.append(Trial(each, replay, found, replay.began))
    return trials, not_tried


async def _recomputed(
    context: Context, snapshot: Snapshot, candidate: Candidate, since: datetime, most: int
) -> tuple[Recomputed | None, str | None]:
    """What was recomputed with the candidate's settings, or why nothing was."""
    try:
        return await recompute(context, monitor_of(snapshot, candidate.settings), since, most), None
    except NotRecomputed as err:
        return None, str(err)


async def _replay(
    context: Context,
    snapshot: Snapshot,
    versions: Mapping[int, MonitorSettings],
    since: datetime,
    trials: Sequence[Trial],
) -> dict[datetime | None, Replay]:
    """Take the trials of stored evaluations over these; and the monitor in force, over the time of each trial. Stored
    PSI of before the windows were as they are now says nothing."""
    settings = snapshot.settings.model_copy(update={"enabled": True})
    in_force = {trial.since: Replay(snapshot.model_id, settings) for trial in trials}
    others = {version for version, made_under in versions.items() if what_differs(made_under, settings)}
    since_version = max(others, default=0) + 1

    def take(page: list[Evaluation]) -> None:
        known = [each for each in page if each.monitor_version >= since_version]
        for trial in trials:
            if trial.since is None:
                trial.replay.take(known, versions)
        for start, replay in in_force.items():
            replay.take([each for each in known if start is None or each.evaluated_at >= start], versions)

    await replay_history(context, snapshot.model_id, since, take)
    return in_force


def _not_tried(candidate: Candidate, because: str) -> NotTried:
    return NotTried(settings=candidate.changed, because=because)
