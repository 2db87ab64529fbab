"""What the page of one incident shows, gathered and put into words."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from uuid import UUID

from sentryml_common.contracts.evaluation import Bin, Evaluation, SignalEvaluation
from sentryml_common.contracts.monitor import MonitorSettings
from sentryml_common.contracts.transition import Transition, TransitionKind
from sentryml_common.postgres.pool import Connection
from sentryml_incidents.domain.charts import HistogramChart, PsiChart, Span, histogram_chart, psi_chart
from sentryml_incidents.domain.deliveries import UNKNOWN, DeliveryLine, Tone, line_of
from sentryml_incidents.domain.figures import bin_name, share
from sentryml_incidents.domain.levels import DRIFTING
from sentryml_incidents.domain.snapshot import EvidenceRole, Incident, deleted_model
from sentryml_incidents.domain.why import carrying, in_words, why_of
from sentryml_incidents.domain.words import headline, step_in_words, what_next
from sentryml_incidents.store.curves import read_curve
from sentryml_incidents.store.deliveries import BEFORE_ALL, list_deliveries
from sentryml_incidents.store.evaluations import find_latest_evaluation
from sentryml_incidents.store.incidents import find_incident
from sentryml_incidents.store.snapshots import read_snapshot
from sentryml_incidents.store.timeline import list_evidence, list_transitions

TIMELINE_ROWS = 500
CURVE_STEPS = 288
AROUND, LOOKS_AROUND = 0.25, 12
"""How much is shown before and after an incident: a part of its length, and at least so many looks."""
ALARMING = (TransitionKind.OPENED, TransitionKind.ESCALATED, TransitionKind.REOPENED)


@dataclass(frozen=True, slots=True)
class BinRow:
    """One bin in the table. Widths are per cent of the widest bar."""

    name: str
    baseline: str
    current: str
    baseline_width: float
    current_width: float
    contribution: float
    moved: str


@dataclass(frozen=True, slots=True)
class SignalTable:
    """One signal's figures and bins."""

    found: SignalEvaluation
    rows: tuple[BinRow, ...]
    chart: HistogramChart


@dataclass(frozen=True, slots=True)
class Step:
    """One entry of the timeline, its words, and where its alert went."""

    entry: Transition
    words: str
    deliveries: tuple[DeliveryLine, ...]


@dataclass(frozen=True, slots=True)
class IncidentPage:
    """Everything on the page. `look` is the evaluation shown: the newest while it drifts, else the worst."""

    incident: Incident
    previous_number: int | None
    headline: str
    next: tuple[str, ...]
    look: Evaluation
    worst: bool
    curve: PsiChart
    why: tuple[str, ...]
    tables: tuple[SignalTable, ...]
    steps: tuple[Step, ...]

    @property
    def stuck(self) -> int:
        """How many messages are stuck."""
        return self._count(Tone.STUCK)

    @property
    def unheard(self) -> int:
        """Of how many alerts nobody was told."""
        return self._count(Tone.NOBODY)

    def _count(self, tone: Tone) -> int:
        return sum(line.tone is tone for step in self.steps for line in step.deliveries)


async def read_incident_page(
    connection: Connection, reference: UUID | int, public_url: str, now: datetime
) -> IncidentPage | None:
    """Gather the page of an incident; None if there is no such incident."""
    found = await find_incident(connection, reference)
    if found is None:
        return None
    snapshot = await read_snapshot(connection, found.model_id, found.incident_id)
    if snapshot is None:
        snapshot = replace(deleted_model(found.model_id, MonitorSettings()), incident=found)
    incident = snapshot.incident or found
    previous = await find_incident(connection, found.previous_incident_id) if found.previous_incident_id else None
    newest = max(0, incident.sequence - TIMELINE_ROWS)
    steps = await list_transitions(connection, found.incident_id, public_url, newest, TIMELINE_ROWS)
    lines = await _deliveries(connection, found.incident_id, newest, now)
    peak = await _peak(connection, found.incident_id)
    look = await _newest(connection, incident) or peak
    return IncidentPage(
        incident=incident,
        previous_number=previous.incident_number if previous else None,
        headline=headline(snapshot, incident, now),
        next=what_next(snapshot, incident, now),
        look=look,
        worst=look.evaluation_id == peak.evaluation_id,
        curve=await _curve(connection, incident, steps, snapshot.settings, now),
        why=in_words(why_of(look)),
        tables=tuple(_table(each) for each in look.signals if each.bins),
        steps=tuple(Step(step, step_in_words(step), _lines_of(step, lines)) for step in reversed(steps)),
    )


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
    """What is shown under a step; an alert that nothing was told of says so."""
    return tuple(lines.get(step.transition_id, [UNKNOWN] if step.alert else []))


async def _curve(
    connection: Connection, incident: Incident, steps: Sequence[Transition], settings: MonitorSettings, now: datetime
) -> PsiChart:
    """PSI from a while before it opened until a while after it was over, with what happened then."""
    over = incident.resolved_at or incident.closed_at or now
    around = max((over - incident.opened_at) * AROUND, timedelta(seconds=LOOKS_AROUND * settings.every_seconds))
    start, end = incident.opened_at - around, min(now, over + around)
    every = timedelta(seconds=settings.every_seconds)
    span = Span(start, end, max((end - start) / CURVE_STEPS, every))
    marks = [(step.at, _mark(step.kind), step_in_words(step)) for step in steps]
    return psi_chart(await read_curve(connection, incident.model_id, span), span, marks)


def _mark(kind: TransitionKind) -> str:
    """How loud a step is marked."""
    if kind in ALARMING:
        return "opened"
    return "resolved" if kind in (TransitionKind.RESOLVED, TransitionKind.CLOSED) else "step"


async def _peak(connection: Connection, incident_id: UUID) -> Evaluation:
    evidence = await list_evidence(connection, incident_id)
    return next(each.evaluation for each in evidence if each.role is EvidenceRole.PEAK)


async def _newest(connection: Connection, incident: Incident) -> Evaluation | None:
    """The model's newest evaluation, if the incident is live and it shows why."""
    if not incident.live:
        return None
    latest = await find_latest_evaluation(connection, incident.model_id)
    return latest if latest is not None and latest.level in DRIFTING else None


def _table(found: SignalEvaluation) -> SignalTable:
    widest = max((max(part.baseline_share, part.current_share) for part in found.bins), default=1.0) or 1.0
    top = carrying(found.bins)
    return SignalTable(
        found, tuple(_row(found, part, widest, moved=part in top) for part in found.bins), histogram_chart(found)
    )


def _row(found: SignalEvaluation, part: Bin, widest: float, *, moved: bool) -> BinRow:
    return BinRow(
        name=bin_name(found.signal, part),
        baseline=share(part.baseline_share),
        current=share(part.current_share),
        baseline_width=round(100 * part.baseline_share / widest, 2),
        current_width=round(100 * part.current_share / widest, 2),
        contribution=part.contribution,
        moved=("more" if part.current_share > part.baseline_share else "less") if moved else "",
    )
