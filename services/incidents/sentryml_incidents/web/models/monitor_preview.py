"""A preview for the eye: what changed settings would have done, what those in force would have, what happened."""

from __future__ import annotations

from collections.abc import Iterable, Sequence, Set
from dataclasses import dataclass
from datetime import datetime, timedelta
from uuid import UUID

from sentryml_common.contracts.transition import Severity
from sentryml_incidents.api.previews.preview_view import INCIDENTS_SHOWN, PreviewView, ReplayView, WouldBeView
from sentryml_incidents.domain.psi_series import Span
from sentryml_incidents.web.view.episodes import Episode, EpisodesChart, episodes_chart
from sentryml_incidents.web.view.monitor_form import reason_in_words
from sentryml_lifecycle.snapshot import Incident

CHANGED, IN_FORCE, HAPPENED = "these settings", "those in force", "actually happened"


@dataclass(frozen=True, slots=True)
class MonitorPreview:
    """A preview with its chart; `happened` are the incidents that there really were in that time, newest first."""

    view: PreviewView
    chart: EpisodesChart
    happened: tuple[Incident, ...]
    notes: tuple[str, ...]

    @property
    def capped(self) -> bool:
        """Whether more would have been opened than are shown."""
        return self.view.preview.incident_count > INCIDENTS_SHOWN

    def lasted(self, found: WouldBeView) -> str:
        """How long an incident would have lasted."""
        return _episode(found).lasted(self.view.to)


def monitor_preview_of(view: PreviewView, incidents: Iterable[Incident], critical: Set[UUID]) -> MonitorPreview:
    """`incidents` are the newest of the model; those in `critical` were so at any time."""
    happened = tuple(each for each in incidents if (_end(each) or view.to) >= view.since)
    rows = (
        (CHANGED, _all(view.preview)),
        (IN_FORCE, _all(view.in_force)),
        (HAPPENED, [_was(each, critical) for each in happened]),
    )
    notes = tuple(_note(each) for each in view.notes)
    return MonitorPreview(view, episodes_chart(rows, Span(view.since, view.to, timedelta(0))), happened, notes)


def _all(replayed: ReplayView) -> Sequence[Episode]:
    return [_episode(each) for each in replayed.incidents]


def _episode(found: WouldBeView) -> Episode:
    return Episode(found.opened_at, found.resolved_at or found.closed_at, found.severity, found.peak_psi)


def _was(incident: Incident, critical: Set[UUID]) -> Episode:
    worst = Severity.CRITICAL if incident.incident_id in critical else incident.severity
    return Episode(incident.opened_at, _end(incident), worst, incident.peak_psi)


def _end(incident: Incident) -> datetime | None:
    return incident.resolved_at or incident.closed_at


def _note(text: str) -> str:
    return reason_in_words("", text)
