"""`DELETE /v1/models/{id}`: in two steps, so that nobody loses a model by a slip."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Annotated

from fastapi import APIRouter, Query, Response

from sentryml_common.contracts.transition import Actor
from sentryml_common.http.access import actor_of
from sentryml_common.http.problems import Problem, problem_answers
from sentryml_common.logging import get_logger
from sentryml_common.postgres.pool import Connection
from sentryml_incidents.api.auth import Admin
from sentryml_incidents.api.models import PathModelId, check_model, unknown_model
from sentryml_incidents.journal import report_transitions
from sentryml_incidents.store.deletions import Belongings, count_belongings, delete_model, find_confirmation_key
from sentryml_incidents.store.snapshots import lock_snapshot, save_decision
from sentryml_incidents.usecases.context import Context, WithContext
from sentryml_lifecycle.deletion import expiry_of, make_confirmation, why_not_confirmed
from sentryml_lifecycle.lifecycle import ModelDeleted, decide
from sentryml_lifecycle.snapshot import Snapshot

log = get_logger(__name__)

router = APIRouter(prefix="/v1/models", tags=["models"])

Confirmation = Annotated[
    str | None, Query(description="The `confirmation` that the same request without one has answered.", max_length=100)
]


@router.delete(
    "/{model_id}",
    status_code=204,
    responses=problem_answers(
        (404, "when no such model has been seen, or it was deleted already"),
        (409, "when no valid `confirmation` came: says what would be lost, and gives one"),
    ),
)
async def delete(
    context: WithContext, key: Admin, model_id: PathModelId, confirmation: Confirmation = None
) -> Response:
    """Delete a model: its monitor, evaluations, activity and what was counted. A live incident is closed, which alerts;
    incidents and their timelines stay readable. Events that come later register the model anew.

    The first request is answered 409 with what would be lost and a `confirmation`, valid for ten minutes and only while
    the model stands as it does; the second brings it.
    """
    check_model(key, model_id)
    await delete_confirmed(context, actor_of(key), model_id, confirmation)
    return Response(status_code=204)


async def delete_confirmed(context: Context, actor: Actor, model_id: str, confirmation: str | None) -> None:
    """Delete a model, in a transaction of its own.

    Raises:
        Problem: 404 there is no such model; 409 it is not confirmed, with what would be lost.
        Unavailable: PostgreSQL is away.
    """
    now = context.now()
    async with context.transaction() as connection:
        snapshot = await lock_snapshot(connection, model_id)
        if snapshot is None:
            raise unknown_model(model_id)
        key = await find_confirmation_key(connection)
        why_not = why_not_confirmed(key, snapshot, confirmation, now)
        if why_not is not None:
            raise _not_confirmed(why_not, model_id, await offer_deletion(connection, snapshot, now))
        decision = decide(snapshot, ModelDeleted(actor), now)
        await save_decision(connection, snapshot, decision)
        await delete_model(connection, model_id, snapshot.monitor_version, actor, now)
    report_transitions(decision)
    log.info("model_deleted", model_id=model_id, actor=actor.name)


@dataclass(frozen=True, slots=True)
class Offered:
    """What a deletion would take away, and what confirms it."""

    confirmation: str
    expires_at: datetime
    belongings: Belongings
    live_incident: int | None


async def offer_deletion(connection: Connection, snapshot: Snapshot, now: datetime) -> Offered:
    """What deleting a model that stands so would take away, and the confirmation for it."""
    confirmation = make_confirmation(await find_confirmation_key(connection), snapshot, now)
    live = snapshot.incident if snapshot.incident is not None and snapshot.incident.live else None
    return Offered(
        confirmation=confirmation,
        expires_at=expiry_of(confirmation),
        belongings=await count_belongings(connection, snapshot.model_id),
        live_incident=live.incident_number if live else None,
    )


def _not_confirmed(why_not: str, model_id: str, offered: Offered) -> Problem:
    live, belongings = offered.live_incident, offered.belongings
    return Problem(
        409,
        "confirmation-needed",
        f"{why_not}. {belongings.evaluations} evaluations, the monitor and what was counted of {model_id} "
        f"will be lost{f', and its live incident {live} closed' if live else ''}; "
        f"{belongings.incidents} incidents stay readable. To go on, repeat the request with "
        f"?confirmation={offered.confirmation}",
        confirmation=offered.confirmation,
        expires_at=offered.expires_at.isoformat(),
        evaluations=belongings.evaluations,
        incidents=belongings.incidents,
        live_incident=live,
    )
