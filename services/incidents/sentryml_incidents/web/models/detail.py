"""The page of one model: how it is doing, PSI over time, any evaluation bin by bin, what it has been predicting."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import IntEnum
from typing import Annotated
from uuid import UUID

from fastapi import APIRouter, Form, Query, Request, Response

from sentryml_common.contracts.activity import Activity
from sentryml_common.contracts.evaluation import Evaluation
from sentryml_common.contracts.monitor import Monitor
from sentryml_common.http.times import WithOffset
from sentryml_common.postgres.pool import Connection
from sentryml_incidents.domain.bin_retention import KEPT_PER_WINDOW
from sentryml_incidents.domain.psi_series import Span
from sentryml_incidents.domain.status import Status
from sentryml_incidents.store.evaluations.curves import read_curve
from sentryml_incidents.store.evaluations.evaluations import find_latest_evaluation, find_slow_drift
from sentryml_incidents.store.evaluations.neighbours import Found, find_evaluation_at, find_nearest_with_bins
from sentryml_incidents.store.evaluations.slices import read_slices
from sentryml_incidents.store.incidents import IncidentFilter, list_incidents
from sentryml_incidents.store.markers import Marker, markers_between
from sentryml_incidents.store.models import ModelSummary, read_unevaluated
from sentryml_incidents.store.monitors import find_activity
from sentryml_incidents.store.references import KeptReference, find_reference, list_references
from sentryml_incidents.usecases.change_reference import etag_of, forget_reference
from sentryml_incidents.usecases.context import WithContext
from sentryml_incidents.usecases.known_model import known_model
from sentryml_incidents.usecases.texts import MARKER_LENGTH_MAX
from sentryml_incidents.web.people.session import Reader, Responder
from sentryml_incidents.web.rendering import PageRoute, go_to, render
from sentryml_incidents.web.view.chart_click_areas import ClickArea, click_areas, worst_of
from sentryml_incidents.web.view.charts import (
    HistogramChart,
    PsiChart,
    Stretch,
    VolumeChart,
    WindowsChart,
    between,
    histogram_chart,
    psi_chart,
    recent,
    volume_chart,
    windows_chart,
)
from sentryml_incidents.web.view.comparison_text import compared_with
from sentryml_incidents.web.view.slices import SegmentTable, SliceTable, segment_table, slice_tables, version_marks
from sentryml_incidents.web.view.warm_up import WarmUp, warm_up
from sentryml_lifecycle.snapshot import Incident
from sentryml_lifecycle.text.psi_explanation import explained, in_words, why_of
from sentryml_lifecycle.text.reference_text import found_slowly, made_of, when_made

router = APIRouter(include_in_schema=False, route_class=PageRoute)

INCIDENT_ROWS, MARKED_INCIDENTS, REFERENCES_SHOWN, MARKERS_SHOWN = 10, 100, 10, 50
CURVE_STEPS = 288
AHEAD = timedelta(days=366)
"""How far ahead markers are listed: events may be known before they happen."""


class Days(IntEnum):
    """How far back the curve goes."""

    DAY, WEEK, MONTH, QUARTER = 1, 7, 30, 90

    @property
    def text(self) -> str:
        """`a day`, `90 days`."""
        return {1: "a day", 7: "a week"}.get(self, f"{self:d} days")


Edge = Annotated[WithOffset | None, Query(description="An end of the curve, instead of `days`.")]
At = Annotated[WithOffset | None, Query(description="The evaluation of this time, instead of the newest.")]


@dataclass(frozen=True, slots=True)
class Shown:
    """One evaluation, bin by bin: the newest, or one that was picked on the curve. `place` is where it is on the curve;
    `nearest` is when the nearest one was made that has bins, if this one has none. `slowly` is what it has found
    against the reference, where it has compared with it."""

    evaluation: Evaluation
    newest: bool
    place: float | None
    earlier: datetime | None
    later: datetime | None
    nearest: datetime | None
    why: tuple[str, ...]
    compared_with: tuple[str, ...]
    slowly: tuple[str, ...]
    windows: WindowsChart | None
    histograms: tuple[HistogramChart, ...]


@dataclass(frozen=True, slots=True)
class ReferencePart:
    """The reference, or when there will be one; what was found against it last; and those before it."""

    kept: KeptReference | None
    words: str
    compared_at: datetime | None
    found: tuple[str, ...]
    earlier: tuple[KeptReference, ...]


@dataclass(frozen=True, slots=True)
class ModelPage:
    """Everything on the page."""

    model: ModelSummary
    monitor: Monitor
    status: Status
    missed_since: datetime | None
    why_missed: str | None
    latest: Evaluation | None
    why: tuple[str, ...]
    warm_up: WarmUp | None
    curve: PsiChart
    click_areas: tuple[ClickArea, ...]
    shown: Shown | None
    slices: tuple[SliceTable, ...]
    segments: SegmentTable | None
    markers: list[Marker]
    reference: ReferencePart
    activity: Activity | None
    volume: VolumeChart | None
    incidents: list[Incident]
    more_incidents: bool

    @property
    def worst(self) -> datetime | None:
        """When the evaluation with the highest PSI on the curve was made; None if that is the one shown."""
        found = worst_of(self.click_areas)
        shown = self.shown.evaluation.evaluated_at if self.shown else None
        return None if found is None or found.at == shown else found.at


@router.get("/models/{model_id}")
async def show(
    request: Request,
    context: WithContext,
    visitor: Reader,
    model_id: str,
    days: Days = Days.DAY,
    at: At = None,
    since: Edge = None,
    until: Edge = None,
) -> Response:
    """One model, with its PSI over the last `days` or between two times, and the evaluation of `at`."""
    stretch = None if since is None or until is None else (since, until)
    async with context.transaction() as connection:
        page = await _read(connection, model_id, stretch or timedelta(days=days), at, context.now())
    return render(
        request,
        "models/detail.html",
        page=page,
        model=page.model,
        days=days,
        all_days=list(Days),
        stretch=stretch,
        picked=at and page.shown and page.shown.evaluation.evaluated_at,
        kept_per_window=KEPT_PER_WINDOW,
        marker_length_max=MARKER_LENGTH_MAX,
    )


@router.post("/models/{model_id}/reference/forget")
async def forget(
    request: Request, context: WithContext, visitor: Responder, model_id: str, seen: Annotated[UUID, Form()]
) -> Response:
    """Have a new reference made from the next clean evaluation; `seen` is the one that one has seen."""
    await forget_reference(context, visitor.actor, model_id, etag_of(seen))
    return go_to(request, f"/models/{model_id}#reference")


async def _read(
    connection: Connection, model_id: str, time: timedelta | Stretch, at: datetime | None, now: datetime
) -> ModelPage:
    model, monitor = await known_model(connection, model_id)
    latest = await find_latest_evaluation(connection, model_id)
    activity = await find_activity(connection, model_id)
    incidents = await list_incidents(connection, IncidentFilter(model_id=model_id), None, MARKED_INCIDENTS)
    every = timedelta(seconds=monitor.every_seconds)
    if isinstance(time, timedelta):
        span = recent(model.first_seen, now, time, CURVE_STEPS, every)
    else:
        span = between(model.first_seen, now, time, CURVE_STEPS, every)
    points, missed = await read_curve(connection, model_id, span), model.not_evaluated_since(now)
    history = await read_slices(connection, model_id, span) if latest is not None and latest.slices else []
    markers = await markers_between(connection, model_id, span.start, now + AHEAD, MARKERS_SHOWN)
    return ModelPage(
        model=model,
        monitor=monitor,
        status=model.status(now),
        missed_since=missed,
        why_missed=(await read_unevaluated(connection, now)).why if missed else None,
        latest=latest,
        why=in_words(why_of(latest)) if latest is not None else (),
        warm_up=warm_up(monitor, latest, model.first_seen, now),
        curve=psi_chart(
            points,
            span,
            [*_marks(incidents), *version_marks(history), *((each.at, "marker", each.text) for each in markers)],
        ),
        slices=slice_tables(latest, history, span),
        segments=segment_table(latest, asked=monitor.evaluate_segments),
        markers=markers,
        click_areas=click_areas(points, span),
        shown=await _shown(connection, model_id, span, at and min(max(at, model.first_seen), now)),
        reference=await _reference(connection, monitor, latest),
        activity=activity,
        volume=_volume(activity),
        incidents=incidents[:INCIDENT_ROWS],
        more_incidents=len(incidents) > INCIDENT_ROWS,
    )


async def _shown(connection: Connection, model_id: str, span: Span, at: datetime | None) -> Shown | None:
    found = await find_evaluation_at(connection, model_id, at)
    if found is None:
        return None
    evaluation, histograms = found.evaluation, _histograms(found)
    when = evaluation.evaluated_at
    return Shown(
        evaluation=evaluation,
        newest=found.later is None,
        place=span.place(when) if span.start <= when <= span.end else None,
        earlier=found.earlier,
        later=found.later,
        nearest=None if histograms else await find_nearest_with_bins(connection, model_id, when),
        why=in_words(why_of(evaluation)),
        compared_with=compared_with(evaluation),
        slowly=found_slowly(evaluation.slow_drift) if evaluation.slow_drift is not None else (),
        windows=windows_chart(evaluation.baseline, evaluation.current),
        histograms=histograms,
    )


async def _reference(connection: Connection, monitor: Monitor, latest: Evaluation | None) -> ReferencePart:
    kept = await find_reference(connection, monitor.model_id)
    listed = await list_references(connection, monitor.model_id, REFERENCES_SHOWN)
    earlier = tuple(each for each in listed if each != kept)
    if kept is None:
        return ReferencePart(None, when_made(monitor, latest), None, (), earlier)
    at, found = await find_slow_drift(connection, kept.reference) or (None, None)
    sentences = found_slowly(found) if found is not None else ()
    return ReferencePart(kept, made_of(kept.reference), at, sentences, earlier)


def _histograms(found: Found) -> tuple[HistogramChart, ...]:
    return tuple(histogram_chart(signal) for signal in explained(found.evaluation) if signal.bins)


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
