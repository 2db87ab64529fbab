"""The page of one model: how it is doing, what is compared with what, PSI over time, what it has been predicting."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import IntEnum

from fastapi import APIRouter, Request, Response

from sentryml_common.contracts.activity import Activity
from sentryml_common.contracts.api_key import without_keys
from sentryml_common.contracts.evaluation import Evaluation
from sentryml_common.contracts.monitor import Monitor
from sentryml_common.http.problems import Problem
from sentryml_common.postgres.pool import Connection
from sentryml_incidents.domain.charts import (
    HistogramChart,
    PsiChart,
    VolumeChart,
    WindowsChart,
    histogram_chart,
    psi_chart,
    recent,
    volume_chart,
    windows_chart,
)
from sentryml_incidents.domain.snapshot import Incident
from sentryml_incidents.domain.status import Status, status_of
from sentryml_incidents.domain.why import in_words, why_of
from sentryml_incidents.http.context import WithContext
from sentryml_incidents.http.rendering import PageRoute, render
from sentryml_incidents.http.session import Reader
from sentryml_incidents.store.curves import read_curve
from sentryml_incidents.store.evaluations import find_latest_evaluation
from sentryml_incidents.store.incidents import IncidentFilter, list_incidents
from sentryml_incidents.store.models import ModelSummary, find_model
from sentryml_incidents.store.monitors import find_activity, find_monitor

router = APIRouter(include_in_schema=False, route_class=PageRoute)

INCIDENT_ROWS = 20
CURVE_STEPS = 288


class Days(IntEnum):
    """How far back the curve goes."""

    DAY, WEEK, MONTH, QUARTER = 1, 7, 30, 90

    @property
    def words(self) -> str:
        """`a day`, `90 days`."""
        return {1: "a day", 7: "a week"}.get(self, f"{self:d} days")


@dataclass(frozen=True, slots=True)
class ModelPage:
    """Everything on the page."""

    model: ModelSummary
    monitor: Monitor
    status: Status
    latest: Evaluation | None
    why: tuple[str, ...]
    curve: PsiChart
    windows: WindowsChart | None
    histograms: tuple[HistogramChart, ...]
    activity: Activity | None
    volume: VolumeChart | None
    incidents: list[Incident]


@router.get("/models/{model_id}")
async def show(
    request: Request, context: WithContext, visitor: Reader, model_id: str, days: Days = Days.DAY
) -> Response:
    """One model, with its PSI over the last `days`."""
    async with context.transaction() as connection:
        page = await _read(connection, model_id, timedelta(days=days), context.now())
    return render(request, "model.html", page=page, model=page.model, days=days, all_days=list(Days))


async def _read(connection: Connection, model_id: str, length: timedelta, now: datetime) -> ModelPage:
    model = await find_model(connection, model_id) if "\x00" not in model_id else None
    monitor = await find_monitor(connection, model_id) if model is not None else None
    if model is None or monitor is None:
        raise Problem(404, "unknown-model", f"No model {without_keys(model_id)} has been seen.")
    latest = await find_latest_evaluation(connection, model_id)
    activity = await find_activity(connection, model_id)
    incidents = await list_incidents(connection, IncidentFilter(model_id=model_id), None, INCIDENT_ROWS)
    span = recent(model.first_seen, now, length, CURVE_STEPS, timedelta(seconds=monitor.every_seconds))
    looks = await read_curve(connection, model_id, span)
    return ModelPage(
        model=model,
        monitor=monitor,
        status=status_of(model.enabled, model.level, model.reason),
        latest=latest,
        why=in_words(why_of(latest)) if latest is not None else (),
        curve=psi_chart(looks, span, _marks(incidents)),
        windows=windows_chart(latest.baseline, latest.current) if latest is not None else None,
        histograms=tuple(histogram_chart(found) for found in latest.signals if found.bins) if latest else (),
        activity=activity,
        volume=_volume(activity),
        incidents=incidents,
    )


def _marks(incidents: list[Incident]) -> list[tuple[datetime, str, str]]:
    opened = [(each.opened_at, "opened", f"Incident #{each.incident_number} opened") for each in incidents]
    ended = [
        (each.resolved_at, "resolved", f"Incident #{each.incident_number} resolved")
        for each in incidents
        if each.resolved_at is not None
    ]
    return opened + ended


def _volume(activity: Activity | None) -> VolumeChart | None:
    """Events over the time that is kept finely; all of it, where nothing is kept coarsely yet."""
    if activity is None:
        return None
    counts = [(pane.start, pane.count) for pane in activity.fine_panes]
    return volume_chart(counts, timedelta(seconds=activity.fine_pane_seconds))
