"""What people and programs do to an incident, one way for the API and for the pages."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Annotated

from pydantic import StringConstraints

from sentryml_common.http.problems import Problem
from sentryml_common.postgres.pool import Connection
from sentryml_incidents.domain.decision import Outcome
from sentryml_incidents.domain.lifecycle import Asked, decide
from sentryml_incidents.domain.people import ALLOWED, Action
from sentryml_incidents.domain.snapshot import Incident
from sentryml_incidents.http.context import Context
from sentryml_incidents.http.incidents import etag_of
from sentryml_incidents.http.views import incident_view
from sentryml_incidents.journal import report_transitions
from sentryml_incidents.store.snapshots import lock_snapshot, save_decision

NOTE_LENGTH_MAX = 4000
NoteText = Annotated[
    str, StringConstraints(strip_whitespace=True, min_length=1, max_length=NOTE_LENGTH_MAX, pattern=r"^[^\x00]*$")
]


async def act(
    context: Context, find: Callable[[Connection], Awaitable[Incident]], asked: Asked, if_match: str | None
) -> Incident:
    """Do what is asked to the incident that `find` finds, and return it as it is then.

    Raises:
        Problem: 409, the state does not allow it; 412, it has moved on since it was looked at; or what `find` raises.
        Unavailable: PostgreSQL is away.
    """
    async with context.transaction() as connection:
        found = await find(connection)
        snapshot = await lock_snapshot(connection, found.model_id, found.incident_id)
        assert snapshot is not None
        assert snapshot.incident is not None
        _check_match(context, snapshot.incident, if_match)
        decision = decide(snapshot, asked, context.now())
        if decision.outcome is Outcome.NOT_ALLOWED:
            raise _not_allowed(snapshot.incident, asked.action)
        if decision.outcome is Outcome.APPLIED:
            await save_decision(connection, snapshot, decision)
    report_transitions(decision)
    assert decision.snapshot.incident is not None
    return decision.snapshot.incident


def _check_match(context: Context, incident: Incident, if_match: str | None) -> None:
    """Refuse to act on an incident that has moved on since it was looked at."""
    if if_match is None or if_match.strip() == "*":
        return
    if etag_of(incident) in {tag.strip() for tag in if_match.split(",")}:
        return
    raise Problem(
        412,
        "incident-moved-on",
        f"incident {incident.incident_number} is at {etag_of(incident)} by now: look at it again",
        headers={"ETag": etag_of(incident)},
        incident=incident_view(incident, context.public_url).model_dump(mode="json"),
    )


def _not_allowed(incident: Incident, action: Action) -> Problem:
    allowed = [str(each) for each in ALLOWED[incident.state]]
    hint = "; acknowledge it first" if action is Action.CLOSE else ""
    return Problem(
        409,
        "not-allowed",
        f"incident {incident.incident_number} is {incident.state}: {action} is not allowed{hint}. Allowed now: "
        f"{', '.join(allowed)}",
        state=incident.state,
        allowed=allowed,
    )
