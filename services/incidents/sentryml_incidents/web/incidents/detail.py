"""What the page of one incident shows, gathered and put into words."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from uuid import UUID

from sentryml_common.contracts.evaluation import Evaluation, Level, SignalEvaluation
from sentryml_common.contracts.monitor import MonitorSettings
from sentryml_common.contracts.transition import Cause, Transition, TransitionKind
from sentryml_common.postgres.pool import Connection
from sentryml_incidents.domain.evidence_choices import Choice, Moment, choices
from sentryml_incidents.domain.psi_series import Span
from sentryml_incidents.store.deliveries import BEFORE_ALL, find_group, list_deliveries
from sentryml_incidents.store.evaluations.curves import read_curve
from sentryml_incidents.store.evaluations.evaluations import find_latest_evaluation
from sentryml_incidents.store.evaluations.slices import read_slices
from sentryml_incidents.store.incidents import find_incident, find_neighbours
from sentryml_incidents.store.markers import Marker, markers_between
from sentryml_incidents.store.snapshots import read_snapshot
from sentryml_incidents.store.timeline import find_evidence, list_evidence_times, list_transitions
from sentryml_incidents.web.view.charts import (
    Bar,
    HistogramChart,
    PsiChart,
    VolumeChart,
    histogram_chart,
    psi_chart,
    volume_chart,
)
from sentryml_incidents.web.view.comparison_text import compared_with
from sentryml_incidents.web.view.deliveries import UNKNOWN, DeliveryLine, Tone, line_of
from sentryml_incidents.web.view.slices import (
    History,
    SegmentTable,
    SliceTable,
    segment_table,
    slice_tables,
    version_marks,
)
from sentryml_lifecycle.grades import DRIFTING
from sentryml_lifecycle.snapshot import ALARMING, EvidenceRole, Incident, deleted_model
from sentryml_lifecycle.text.number_format import BASELINE, REFERENCE, bin_name, share
from sentryml_lifecycle.text.psi_explanation import explained, in_words, why_of
from sentryml_lifecycle.text.what_next import what_next
from sentryml_lifecycle.text.wording import headline

TIMELINE_ROWS = 500
CURVE_STEPS, MARKERS_SHOWN = 288, 50
AROUND, EVALUATIONS_AROUND = 0.25, 12
"""How much is shown before and after an incident: a part of its length, and at least that number of evaluations."""


@dataclass(frozen=True, slots=True)
class BinRow:
    """One bin in the table, with its bar in the chart."""

    name: str
    baseline: str
    current: str
    contribution: float
    bar: Bar


@dataclass(frozen=True, slots=True)
class SignalTable:
    """One signal's figures and bins."""

    found: SignalEvaluation
    rows: tuple[BinRow, ...]
    chart: HistogramChart


@dataclass(frozen=True, slots=True)
class Step:
    """One entry of the timeline, and where its alert went."""

    entry: Transition
    deliveries: tuple[DeliveryLine, ...]


@dataclass(frozen=True, slots=True)
class IncidentPage:
    """Everything on the page. `evaluation` is the one shown, one of `choices`: the one asked for, else the newest
    while it drifts, else the worst; `against` is what the bins that are shown were compared with. `monitor_version` is
    the one in force now; `group` the alert group and the number of its incidents."""

    incident: Incident
    number_before: int | None
    number_after: int | None
    monitor_version: int
    headline: str
    next: tuple[str, ...]
    evaluation: Evaluation
    against: str
    choices: tuple[Choice, ...]
    curve: PsiChart
    volume: VolumeChart | None
    why: tuple[str, ...]
    compared_with: tuple[str, ...]
    tables: tuple[SignalTable, ...]
    slices: tuple[SliceTable, ...]
    segments: SegmentTable | None
    steps: tuple[Step, ...]
    markers: tuple[Marker, ...] = ()
    group: tuple[UUID, int] | None = None

    @property
    def timeline(self) -> list[Step | Marker]:
        """The steps of the incident, and what was marked then, the latest first."""
        return sorted((*self.markers, *self.steps), key=_time_of, reverse=True)

    @property
    def chosen(self) -> Choice:
        """What the evaluation shown is kept for."""
        return next(each for each in self.choices if each.evaluation_id == self.evaluation.evaluation_id)

    @property
    def kept(self) -> frozenset[UUID]:
        """The evaluations that can be shown."""
        return frozenset(each.evaluation_id for each in self.choices)

    @property
    def undeliverable(self) -> int:
        """How many messages are undeliverable."""
        return self._count(Tone.UNDELIVERABLE)

    @property
    def without_route(self) -> int:
        """Of how many alerts nobody was notified."""
        return self._count(Tone.NOBODY)

    def _count(self, tone: Tone) -> int:
        return sum(line.tone is tone for step in self.steps for line in step.deliveries)


@dataclass(frozen=True, slots=True)
class Curves:
    """The time of an incident and a while around it: PSI, events in the current window, and markers."""

    psi: PsiChart
    volume: VolumeChart | None
    markers: tuple[Marker, ...]


async def read_incident_page(
    connection: Connection, reference: UUID | int, public_url: str, now: datetime, requested: UUID | None = None
) -> IncidentPage | None:
    """Gather the page of an incident, with the evaluation `requested`; None if there is no such incident,
    or it keeps no such evaluation."""
    found = await find_incident(connection, reference)
    if found is None:
        return None
    snapshot = await read_snapshot(connection, found.model_id, found.incident_id)
    if snapshot is None:
        snapshot = replace(deleted_model(found.model_id, MonitorSettings()), incident=found)
    incident = snapshot.incident or found
    before, after = await find_neighbours(connection, incident)
    oldest = max(0, incident.sequence - TIMELINE_ROWS)
    steps = await list_transitions(connection, found.incident_id, public_url, oldest, TIMELINE_ROWS)
    lines = await _deliveries(connection, found.incident_id, oldest, now)
    newest, evidence_times = (
        await _newest(connection, incident),
        await list_evidence_times(connection, found.incident_id),
    )
    evaluation = await _shown(connection, incident, newest, evidence_times, requested)
    if evaluation is None:
        return None
    span = _span(incident, snapshot.settings, now)
    slices = await read_slices(connection, incident.model_id, span) if evaluation.slices else []
    curves = await _curves(connection, incident, span, steps, slices)
    slow = evaluation.slow_drift if any(step.cause is Cause.SLOW_DRIFT for step in steps) else None
    against = BASELINE if slow is None else REFERENCE
    signals = explained(evaluation) if slow is None else slow.signals
    return IncidentPage(
        incident=incident,
        number_before=before,
        number_after=after,
        monitor_version=snapshot.monitor_version,
        headline=headline(snapshot, incident, now),
        next=what_next(snapshot, incident, now),
        evaluation=evaluation,
        against=against,
        choices=choices(evidence_times, (newest.evaluation_id, newest.evaluated_at) if newest else None),
        curve=curves.psi,
        volume=curves.volume,
        why=in_words(why_of(evaluation, slow=slow is not None)),
        compared_with=compared_with(evaluation),
        tables=tuple(_table(each, against) for each in signals if each.bins),
        slices=slice_tables(evaluation, slices, span),
        segments=segment_table(evaluation, asked=False),
        steps=tuple(Step(step, _lines_of(step, lines)) for step in reversed(steps)),
        markers=curves.markers,
        group=await find_group(connection, found.incident_id),
    )


def _time_of(found: Step | Marker) -> tuple[datetime, int]:
    """Steps of one time keep their order; a marker comes before them."""
    return (found.at, 0) if isinstance(found, Marker) else (found.entry.at, found.entry.sequence)


async def _markers(connection: Connection, incident: Incident, span: Span) -> list[Marker]:
    """What was marked in the time of the chart; of a model that was deleted, markers are deleted, too."""
    if incident.model_deleted_at is not None:
        return []
    return await markers_between(connection, incident.model_id, span.start, span.end, MARKERS_SHOWN)


async def _deliveries(
    connection: Connection, incident_id: UUID, after: int, now: datetime
) -> dict[UUID, list[DeliveryLine]]:
    """By transition, from sequence `after` on: where its alert went."""
    lines = defaultdict(list)
    found = await list_deliveries(connection, incident_id, (after, BEFORE_ALL[1]))
    for delivery in sorted(found, key=lambda each: each.channel or ""):
        lines[delivery.transition_id].append(line_of(delivery, now))
    return lines


def _lines_of(step: Transition, lines: dict[UUID, list[DeliveryLine]]) -> tuple[DeliveryLine, ...]:
    """What is shown under a step; an alert without a known delivery says so."""
    return tuple(lines.get(step.transition_id, [UNKNOWN] if step.alert else []))


def _span(incident: Incident, settings: MonitorSettings, now: datetime) -> Span:
    """From a while before it opened until a while after it was over."""
    over = incident.resolved_at or incident.closed_at or now
    around = max((over - incident.opened_at) * AROUND, timedelta(seconds=EVALUATIONS_AROUND * settings.every_seconds))
    start, end = incident.opened_at - around, min(now, over + around)
    every = timedelta(seconds=settings.every_seconds)
    return Span(start, end, max((end - start) / CURVE_STEPS, every))


async def _curves(
    connection: Connection, incident: Incident, span: Span, steps: Sequence[Transition], slices: History
) -> Curves:
    """The time of an incident, with its steps, the versions that began, and what was marked then."""
    markers = await _markers(connection, incident, span)
    points = await read_curve(connection, incident.model_id, span)
    counts: dict[datetime, int] = {}
    for point in points:
        counts[point.at] = max(counts.get(point.at, 0), point.current_count or 0)
    marks = [
        *((step.at, _mark(step.kind), f"{step.text.step}: {step.text.headline}") for step in steps),
        *version_marks(slices),
        *((each.at, "marker", each.text) for each in markers),
    ]
    volume = volume_chart(list(counts.items()), span.step, span)
    return Curves(psi_chart(points, span, marks), volume, tuple(markers))


def _mark(kind: TransitionKind) -> str:
    """How loud a step is marked."""
    if kind in ALARMING:
        return "opened"
    return "resolved" if kind in (TransitionKind.RESOLVED, TransitionKind.CLOSED) else "step"


async def _shown(
    connection: Connection,
    incident: Incident,
    newest: Evaluation | None,
    evidence_times: Sequence[Moment],
    requested: UUID | None,
) -> Evaluation | None:
    """The evaluation to be shown: the one asked for, else the newest while it drifts, else the peak."""
    if newest is not None and (requested == newest.evaluation_id or (requested is None and newest.level in DRIFTING)):
        return newest
    peak = next(each.evaluation_id for each in evidence_times if each.role is EvidenceRole.PEAK)
    return await find_evidence(connection, incident.incident_id, requested or peak)


async def _newest(connection: Connection, incident: Incident) -> Evaluation | None:
    """The model's newest evaluation, if the incident is live and something was judged."""
    if not incident.live:
        return None
    latest = await find_latest_evaluation(connection, incident.model_id)
    return latest if latest is not None and latest.level is not Level.INSUFFICIENT_DATA else None


def _table(found: SignalEvaluation, against: str) -> SignalTable:
    chart = histogram_chart(found, against)
    rows = tuple(
        BinRow(
            bin_name(found.signal, part, against),
            share(part.baseline_share),
            share(part.current_share),
            part.contribution,
            bar,
        )
        for part, bar in zip(found.bins, chart.bars, strict=True)
    )
    return SignalTable(found, rows, chart)
