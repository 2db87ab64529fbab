"""`DELETE /v1/models/{id}`: in two steps, so that nobody loses a model by a slip."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Query, Response

from sentryml_common.contracts.api_key import ApiKey
from sentryml_common.http.access import actor_of, check_model
from sentryml_common.http.problems import Problem, problem_answers
from sentryml_common.logging import get_logger
from sentryml_common.postgres.pool import Connection
from sentryml_incidents.domain.decision import Decision
from sentryml_incidents.domain.deletion import expiry_of, make_confirmation, why_not_confirmed
from sentryml_incidents.domain.lifecycle import ModelDeleted, decide
from sentryml_incidents.domain.snapshot import Snapshot
from sentryml_incidents.http.auth import Admin
from sentryml_incidents.http.context import Context, WithContext
from sentryml_incidents.http.models import PathModelId, unknown_model
from sentryml_incidents.journal import report_transitions
from sentryml_incidents.store.deletions import count_belongings, delete_model, find_confirmation_key
from sentryml_incidents.store.snapshots import lock_snapshot, save_decision

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
    now, actor = context.now(), actor_of(key)
    async with context.transaction() as connection:
        snapshot = await lock_snapshot(connection, model_id)
        if snapshot is None:
            raise unknown_model(model_id)
        await _check_confirmed(context, connection, snapshot, confirmation)
        decision = decide(snapshot, ModelDeleted(actor), now)
        await save_decision(connection, snapshot, decision)
        await delete_model(connection, model_id, snapshot.monitor_version, actor, now)
    _report(decision, key)
    return Response(status_code=204)


async def _check_confirmed(
    context: Context, connection: Connection, snapshot: Snapshot, confirmation: str | None
) -> None:
    key = await find_confirmation_key(connection)
    why_not = why_not_confirmed(key, snapshot, confirmation, context.now())
    if why_not is None:
        return
    belongings = await count_belongings(connection, snapshot.model_id)
    live = snapshot.incident if snapshot.incident is not None and snapshot.incident.live else None
    offered = make_confirmation(key, snapshot, context.now())
    raise Problem(
        409,
        "confirmation-needed",
        f"{why_not}. {belongings.evaluations} evaluations, the monitor and what was counted of {snapshot.model_id} "
        f"will be lost{f', and its live incident {live.incident_number} closed' if live else ''}; "
        f"{belongings.incidents} incidents stay readable. To go on, repeat the request with ?confirmation={offered}",
        confirmation=offered,
        expires_at=expiry_of(offered).isoformat(),
        evaluations=belongings.evaluations,
        incidents=belongings.incidents,
        live_incident=live.incident_number if live else None,
    )


def _report(decision: Decision, key: ApiKey) -> None:
    report_transitions(decision)
    log.info("model_deleted", model_id=decision.snapshot.model_id, actor=key.name)
