"""`POST /v1/routes:preview`: where a transition would go, and why not elsewhere."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Annotated
from uuid import UUID

from fastapi import APIRouter, Body
from pydantic import BaseModel, ConfigDict, Field, JsonValue

from sentryml_common.contracts.internal.notifier_api import PreviewResponse, VerdictResponse
from sentryml_common.contracts.message import ModelId
from sentryml_common.contracts.transition import Severity, TransitionKind
from sentryml_common.http.access import check_model
from sentryml_common.http.problems import Problem, problem_answers
from sentryml_notifier.domain.routing import ALERTING, Route, Step, Why, assume_notified, step_of, verdicts
from sentryml_notifier.http.auth import Reader
from sentryml_notifier.http.context import WithContext
from sentryml_notifier.store.channels import broken_channels
from sentryml_notifier.store.inbox import find_transition, read_notified
from sentryml_notifier.store.routes import StoredRoute, list_stored_routes

router = APIRouter(prefix="/v1", tags=["routes"])

MAY_ALERT = ALERTING | {TransitionKind.RESOLVED, TransitionKind.MONITOR_CHANGED}
ASSUMED = "Assumes that the alert before it was routed by the current routes, with the same severity."


class Recorded(BaseModel):
    """A transition that has happened."""

    model_config = ConfigDict(extra="forbid")

    transition_id: UUID


class Described(BaseModel):
    """A transition as it might happen."""

    model_config = ConfigDict(
        extra="forbid",
        json_schema_extra={"examples": [{"model_id": "fraud-card", "kind": "opened", "severity": "critical"}]},
    )

    model_id: ModelId
    kind: TransitionKind = TransitionKind.OPENED
    severity: Severity = Severity.CRITICAL
    alert: bool | None = Field(None, strict=True, description="Whether it alerts; default: as its kind usually does.")


class VerdictView(VerdictResponse):
    """What one route would do."""

    why: Why


EXAMPLE: dict[str, JsonValue] = {
    "text": "This would go to on call.",
    "assumed": None,
    "channels": ["on call"],
    "routes": [
        {
            "route_id": "4d5c1e0b-1a2f-4b02-9f39-1f0c3c1e7a51",
            "name": "fraud on call",
            "channel_id": "9d0c1d0a-7c2f-4a01-8f29-0f0c3c1e7a50",
            "channel": "on call",
            "taken": True,
            "why": "matches",
            "text": Why.MATCHES.text,
            "held_until": None,
            "channel_broken": None,
        }
    ],
}


class PreviewView(PreviewResponse):
    """Where a transition would go."""

    model_config = ConfigDict(json_schema_extra={"examples": [EXAMPLE]})

    routes: tuple[VerdictView, ...] = Field(description="Every route, in order of evaluation.")


Asked = Annotated[Recorded | Described, Body(description="A transition by its id, or described.")]


@router.post("/routes:preview", responses=problem_answers((404, "There is no such transition.")))
async def preview(context: WithContext, asker: Reader, asked: Asked) -> PreviewView:
    """Where a transition would go by the routes as they are now, with the reason for each. Nothing is sent."""
    async with context.transaction() as connection:
        stored = [each for each in await list_stored_routes(connection) if each.route.may_concern(asker.models)]
        broken = await broken_channels(connection)
        routes = [each.route for each in stored]
        if isinstance(asked, Recorded):
            transition = await find_transition(connection, asked.transition_id)
            if transition is None or not asker.may_see(transition.model_id):
                raise Problem(404, "unknown-transition", f"there is no transition {asked.transition_id}")
            step, notified, assumed = step_of(transition), await read_notified(connection, transition), None
        else:
            check_model(asker.rights, asked.model_id)
            step = _step(asked)
            notified = assume_notified(step, routes)
            assumed = None if notified is None else ASSUMED
    found = verdicts(step, routes, notified)
    held = {each.route_id: each.held_until(step, context.clock()) for each, why in found if why.taken}
    return _view(stored, found, held, broken, assumed)


def _step(asked: Described) -> Step:
    alert = asked.kind in MAY_ALERT if asked.alert is None else asked.alert
    return Step(asked.model_id, asked.kind, asked.severity, alert)


def _view(
    stored: Sequence[StoredRoute],
    found: Sequence[tuple[Route, Why]],
    held: Mapping[UUID, datetime | None],
    broken: Mapping[UUID, str],
    assumed: str | None,
) -> PreviewView:
    views = tuple(
        VerdictView(
            route_id=route.route_id,
            name=known.name,
            channel_id=route.channel_id,
            channel=known.channel,
            taken=why.taken,
            why=why,
            text=why.text,
            held_until=held.get(route.route_id),
            channel_broken=broken.get(route.channel_id),
        )
        for known, (route, why) in zip(stored, found, strict=True)
    )
    channels = tuple(view.channel for view in views if view.taken)
    return PreviewView(text=_text(channels, views), assumed=assumed, channels=channels, routes=views)


def _text(channels: Sequence[str], views: Sequence[VerdictView]) -> str:
    if channels:
        return f"This would go to {', '.join(channels)}."
    if not views:
        return "Nobody would be notified: there is no route. Add one: POST /v1/routes."
    return "Nobody would be notified: no route takes it."
