"""`POST /v1/models/{id}/monitor:preview`: what a changed monitor would have done over the kept history."""

from __future__ import annotations

import asyncio
from datetime import datetime, timedelta
from typing import Literal

from fastapi import APIRouter
from pydantic import BaseModel, ConfigDict, Field

from sentryml_common.contracts.monitor import MonitorSettings
from sentryml_common.contracts.transition import Severity, State
from sentryml_common.http.problems import problem_answers
from sentryml_incidents.domain.monitor_changes import changes, in_words
from sentryml_incidents.domain.preview import Replay
from sentryml_incidents.domain.regrading import CANNOT, Basis
from sentryml_incidents.domain.snapshot import Snapshot
from sentryml_incidents.http.auth import Reader, check_model
from sentryml_incidents.http.context import Context, WithContext
from sentryml_incidents.http.models import UNKNOWN, PathModelId, unknown_model
from sentryml_incidents.http.wanted import Wanted, merge
from sentryml_incidents.store.history import Position, find_version_settings, oldest_of_newest, read_history
from sentryml_incidents.store.snapshots import read_snapshot

router = APIRouter(prefix="/v1/models", tags=["monitors"])

HISTORY_DAYS = 90
MOST_EVALUATIONS = 30_000
"""90 days at the default of one every 5 minutes are 25,920."""
PAGE = 1_000
INCIDENTS_SHOWN = 100

NEVER_REPLAYED = "What people did (acknowledge, close) is not replayed, and the replay begins with nothing live."


class WouldBeView(BaseModel):
    """An incident that would have been opened."""

    model_config = ConfigDict(from_attributes=True)

    opened_at: datetime
    severity: Severity = Field(description="The highest it would have reached.")
    state: State = Field(description="Where it would stand now.")
    peak_psi: float
    peak_at: datetime
    resolved_at: datetime | None
    closed_at: datetime | None
    reopened: int
    alerts: int


class ReplayView(BaseModel):
    """What one monitor would have done."""

    incident_count: int
    alerts: int = Field(description="Messages that would have been sent.")
    incidents: list[WouldBeView] = Field(description=f"Newest first, at most {INCIDENTS_SHOWN}.")


class PreviewView(BaseModel):
    """A changed monitor beside the one in force, over the same history."""

    changes: str = Field(description="What would change, in words; empty if nothing would.")
    basis: Literal["stored_psi"] = Field(
        "stored_psi", description="Thresholds are applied anew to the PSI that was found then; nothing is counted anew."
    )
    since: datetime = Field(serialization_alias="from", description="From when on evaluations were used.")
    to: datetime = Field(description="Until when.")
    evaluations: int = Field(description="How many were used for the changed monitor.")
    exact: int = Field(description="Of these: graded exactly as the changed monitor would have.")
    approximate: int = Field(description="Of these: the stored PSI stands for one that was not computed.")
    unknown: int = Field(description="Of these: there was too little data then, and the changed monitor asks for less.")
    approximate_because: list[str] = Field(description="The settings that stored PSI cannot answer for.")
    notes: list[str] = Field(description="The same in words.")
    preview: ReplayView = Field(description="The changed monitor.")
    in_force: ReplayView = Field(description="The monitor in force, by the same replay.")


@router.post(
    "/{model_id}/monitor:preview",
    responses=UNKNOWN
    | problem_answers(
        (409, "when the monitor has another version by now"),
        (422, "when settings are unknown, out of range or contradict each other: all of them, by name"),
    ),
)
async def preview(context: WithContext, key: Reader, model_id: PathModelId, wanted: Wanted) -> PreviewView:
    """What the monitor would have done if it had been changed so, over up to 90 days of kept evaluations, beside what
    the one in force would have. Changes nothing. Figures are by stored PSI: `approximate_because` names the changed
    settings for which they are approximate."""
    check_model(key, model_id)
    now = context.now()
    async with context.transaction() as connection:
        snapshot = await read_snapshot(connection, model_id)
        if snapshot is None:
            raise unknown_model(model_id)
        settings = merge(snapshot, wanted)
        versions = await find_version_settings(connection, model_id)
        since = await oldest_of_newest(connection, model_id, now - timedelta(days=HISTORY_DAYS), MOST_EVALUATIONS)
    replays = Replay(model_id, settings), Replay(model_id, snapshot.settings)
    first = await _replay(context, model_id, since, versions, replays)
    return _view(snapshot, settings, (first or now, now), *replays)


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
            return first


def _view(
    snapshot: Snapshot, settings: MonitorSettings, span: tuple[datetime, datetime], changed: Replay, in_force: Replay
) -> PreviewView:
    because = sorted(changed.approximate)
    return PreviewView(
        changes=in_words(changes(snapshot.settings, settings)),
        since=span[0],
        to=span[1],
        evaluations=changed.used.total(),
        exact=changed.used[Basis.EXACT],
        approximate=changed.used[Basis.APPROXIMATE],
        unknown=changed.used[Basis.UNKNOWN],
        approximate_because=because,
        notes=[*(f"{name}: {CANNOT[name]}." for name in because), *_unknown(changed), NEVER_REPLAYED],
        preview=_replay_view(changed),
        in_force=_replay_view(in_force),
    )


def _unknown(changed: Replay) -> list[str]:
    unknown = changed.used[Basis.UNKNOWN]
    if not unknown:
        return []
    return [f"{unknown} evaluations had too little data then, and might have had enough for the changed monitor."]


def _replay_view(replay: Replay) -> ReplayView:
    newest = replay.incidents[-INCIDENTS_SHOWN:]
    shown = [WouldBeView.model_validate(each) for each in reversed(newest)]
    return ReplayView(incident_count=len(replay.incidents), alerts=replay.alerts, incidents=shown)
