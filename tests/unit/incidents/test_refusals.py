"""What a use case refuses: a sentence for people, and one status and type for programs."""

from __future__ import annotations

from uuid import UUID

import pytest

from sentryml_common.contracts.monitor import Monitor
from sentryml_incidents.api.refusals import problem_of
from sentryml_incidents.store.deletions import Belongings
from sentryml_incidents.usecases.errors import (
    ApiKeyNotRotatable,
    DeletionNotConfirmed,
    IncidentMovedOn,
    InvalidMonitor,
    ModelDeleted,
    MonitorChangedMeanwhile,
    MonitorMovedOn,
    NotAllowed,
    Offered,
    ReferenceMovedOn,
    Refused,
    UnknownApiKey,
    UnknownIncident,
    UnknownMarker,
    UnknownModel,
)
from sentryml_lifecycle.events.on_action import Action
from sentryml_lifecycle.snapshot import Incident
from tests.unit.incidents.builders import Story, at

URL = "https://sentryml.example"


def incident() -> Incident:
    story = Story()
    story.sees("critical")
    assert story.snapshot.incident is not None
    return story.snapshot.incident


REFUSALS: list[tuple[Refused, int, str]] = [
    (UnknownIncident("7"), 404, "unknown-incident"),
    (UnknownModel("flights"), 404, "unknown-model"),
    (UnknownMarker(UUID(int=7)), 404, "unknown-marker"),
    (UnknownApiKey("abc123def456"), 404, "unknown-api-key"),
    (ApiKeyNotRotatable("this key was rotated already"), 409, "api-key-not-rotatable"),
    (IncidentMovedOn(incident()), 412, "incident-moved-on"),
    (NotAllowed(incident(), Action.CLOSE), 409, "not-allowed"),
    (ModelDeleted(incident()), 409, "model-deleted"),
    (MonitorMovedOn(Monitor(model_id="flights", version=3)), 412, "monitor-moved-on"),
    (ReferenceMovedOn("flights", None), 412, "reference-moved-on"),
    (MonitorChangedMeanwhile(3, 2), 409, "monitor-changed-meanwhile"),
    (InvalidMonitor([{"field": "warn", "reason": "too low"}]), 422, "invalid-monitor"),
    (
        DeletionNotConfirmed("old", "flights", Offered("1-a", at(10), Belongings(1, 2), 7)),
        409,
        "confirmation-needed",
    ),
]


@pytest.mark.parametrize(("err", "status", "kind"), REFUSALS, ids=lambda value: str(value)[:30])
def test_every_refusal_is_a_problem_with_its_own_sentence(err: Refused, status: int, kind: str) -> None:
    problem = problem_of(err, URL)
    assert (problem.status, problem.kind, problem.detail) == (status, kind, str(err))


def test_no_refusal_is_forgotten() -> None:
    assert {type(err) for err, _, _ in REFUSALS} == set(Refused.__subclasses__())


def test_who_acts_on_what_has_moved_on_gets_its_state() -> None:
    problem = problem_of(IncidentMovedOn(incident()), URL)
    assert problem.headers["ETag"] == '"v1"'
    assert problem.extra["incident"]["state"] == "open"
    assert problem.extra["incident"]["incident_url"].startswith(URL)
