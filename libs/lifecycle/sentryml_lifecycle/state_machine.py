"""The state machine of incidents: one pure function for evaluations and people alike.

                 warn × confirm_warn, critical × confirm_critical
        (nothing) ─────────────────────────────────────────────▶ OPEN ◀──────────────┐
            ▲                                                    │  ▲                │ escalated: nobody has seen
            │                                        acknowledge │  │ unacknowledge  │ *this* yet
            │                                                    ▼  │                │
            │                                                 ACKNOWLEDGED ──────────┘
            │                                                  │      │
            │      clean × confirm_resolve, and for as long    │      │ close (people; latched if it still drifts)
            │      as resolve_dwell_seconds (from OPEN too)    ▼      │
            │        ┌──────────────────────────────────── RESOLVED   │
            │        │ drift within reopen_window_seconds:   │  │     │
            │        ▼ reopened, the same incident           │  │     ▼
            │       OPEN                                     │  └▶ CLOSED
            │                                                │ close (people), close_after_seconds (system),
            └────────────────────────────────────────────────┘ drift later (system): a new one, linked to this

    Beside the state, the severity: warn ─ critical × confirm_critical ▶ critical ─ below × confirm_deescalate ▶ warn.
    A live incident whose monitor is disabled, or whose model is deleted, is closed, and says so. Too little data
    pauses evaluation: `evaluation_paused` and `evaluation_resumed` go on the timeline once each. Nothing that a
    person does ever mutes what comes after.

Who may close: nobody while it is open and unseen; so a live incident can only end by clean data, by a monitor
that was switched off, by the deletion of its model, by someone who has acknowledged it, or by a person's word that
what it is about is normal (`on_word_about_normal`).
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from sentryml_common.contracts.evaluation import Evaluation
from sentryml_common.contracts.monitor import MonitorSettings
from sentryml_common.contracts.transition import Actor, Cause
from sentryml_lifecycle.decision import Decision, Mark, Outcome
from sentryml_lifecycle.events.on_action import Action, on_asked
from sentryml_lifecycle.events.on_evaluation import on_evaluation
from sentryml_lifecycle.events.on_model_deletion import on_model_deleted
from sentryml_lifecycle.events.on_monitor_change import on_monitor_changed
from sentryml_lifecycle.events.on_reference_change import on_reference_changed
from sentryml_lifecycle.events.on_tick import on_tick
from sentryml_lifecycle.snapshot import Snapshot


@dataclass(frozen=True, slots=True)
class Evaluated:
    """An evaluation has arrived."""

    evaluation: Evaluation


@dataclass(frozen=True, slots=True)
class Asked:
    """A person, or a program with a key, asks for something; `since` is when an accepted new normal begins."""

    action: Action
    actor: Actor
    note: str | None = None
    since: datetime | None = None


@dataclass(frozen=True, slots=True)
class MonitorChanged:
    """The model's monitor has new settings."""

    settings: MonitorSettings
    version: int
    actor: Actor


@dataclass(frozen=True, slots=True)
class ReferenceChanged:
    """The model has another reference, or is to get one from its next clean evaluation."""

    reference_id: UUID | None
    actor: Actor


@dataclass(frozen=True, slots=True)
class ModelDeleted:
    """The model is about to be forgotten."""

    actor: Actor


@dataclass(frozen=True, slots=True)
class Ticked:
    """Time has passed."""


Event = Evaluated | Asked | MonitorChanged | ReferenceChanged | ModelDeleted | Ticked


def decide(snapshot: Snapshot, event: Event, now: datetime) -> Decision:
    """Decide what one event does to one model's incident.

    `now` is the evaluation's own time for evaluations, so that a replay decides the same, else the clock's.
    An event that may not or need not do anything is an outcome too; the snapshot is then returned as it was.
    """
    match event:
        case Evaluated(evaluation):
            return on_evaluation(snapshot, evaluation)
        case Asked():
            return _on_asked(snapshot, event, now)
        case MonitorChanged(settings, version, actor):
            return on_monitor_changed(snapshot, settings, version, actor, now)
        case ReferenceChanged(reference_id, actor):
            return on_reference_changed(snapshot, reference_id, actor, now)
        case ModelDeleted(actor):
            return on_model_deleted(snapshot, actor, now)
        case Ticked():
            return on_tick(snapshot, now)


def _on_asked(snapshot: Snapshot, asked: Asked, now: datetime) -> Decision:
    if snapshot.incident is None:
        return Decision(Outcome.NOT_ALLOWED, snapshot)
    mark = Mark(at=now, cause=Cause.REQUESTED, actor=asked.actor, note=asked.note)
    return on_asked(snapshot, snapshot.incident, asked.action, mark, asked.since)
