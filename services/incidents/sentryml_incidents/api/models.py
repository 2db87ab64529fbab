"""`/v1/models`: every model that was ever seen, what was last found, what it has been doing."""

from __future__ import annotations

from typing import Annotated
from uuid import UUID

from fastapi import APIRouter, Path, Query
from pydantic import TypeAdapter

from sentryml_common.contracts.activity import Activity
from sentryml_common.contracts.api_key import ApiKey
from sentryml_common.contracts.evaluation import Evaluation, Level
from sentryml_common.contracts.message import MODEL_ID_PATTERN, ModelId, UtcDatetime
from sentryml_common.http.paging import Cursor, Limit, Page, from_cursor, next_cursor
from sentryml_common.http.problems import Problem, problem_answers
from sentryml_incidents.api.auth import Reader
from sentryml_incidents.api.views import ModelDetail, ModelView, model_view
from sentryml_incidents.store.evaluations.evaluations import find_latest_evaluation, list_evaluations
from sentryml_incidents.store.models import ModelFilter, list_models, read_unevaluated
from sentryml_incidents.store.monitors import find_activity
from sentryml_incidents.usecases.context import WithContext
from sentryml_incidents.usecases.errors import UnknownModel
from sentryml_incidents.usecases.known_model import known_model

router = APIRouter(prefix="/v1/models", tags=["models"])

UNKNOWN = problem_answers((404, "No model with this id has been seen, or the key may not access it."))

PathModelId = Annotated[
    str,
    Path(pattern=MODEL_ID_PATTERN, description="The model's id, as its events name it.", examples=["flights-delay"]),
]

Levels = Annotated[
    list[Level] | None,
    Query(alias="level", description="Only models whose newest evaluation has this level; may be repeated."),
]
Enabled = Annotated[bool | None, Query(description="Only models that are watched, or that are not.")]
HasIncident = Annotated[bool | None, Query(alias="live", description="Only models with a live incident, or without.")]
Search = Annotated[
    str | None,
    Query(
        pattern=r"^[A-Za-z0-9._:-]{1,128}$",
        description="Only models whose id contains this, in upper or lower case.",
        examples=["fraud"],
    ),
]

_MODEL_CURSOR = TypeAdapter(ModelId)
_EVALUATION_CURSOR = TypeAdapter(tuple[UtcDatetime, UUID])


@router.get("")
async def list_all(
    context: WithContext,
    key: Reader,
    levels: Levels = None,
    enabled: Enabled = None,
    live: HasIncident = None,
    search: Search = None,
    cursor: Cursor = None,
    limit: Limit = 100,
) -> Page[ModelView]:
    """Every model, in the order of their ids: newest level and PSI, when it was last seen, whether it is watched, what
    is live."""
    requested = ModelFilter(tuple(levels or ()) or None, enabled, live, search, patterns=key.models)
    async with context.transaction() as connection:
        found = await list_models(connection, from_cursor(cursor, _MODEL_CURSOR), limit, requested)
    items = [model_view(model, context.public_url, context.now()) for model in found]
    return Page(items=items, next_cursor=next_cursor(found, limit, lambda last: last.model_id))


@router.get("/{model_id}", responses=UNKNOWN)
async def show(context: WithContext, key: Reader, model_id: PathModelId) -> ModelDetail:
    """One model with its monitor and its newest evaluation."""
    check_model(key, model_id)
    async with context.transaction() as connection:
        model, monitor = await known_model(connection, model_id)
        latest = await find_latest_evaluation(connection, model_id)
        view = model_view(model, context.public_url, context.now())
        why = (await read_unevaluated(connection, context.now())).why if view.not_evaluated_since else None
    return ModelDetail(**dict(view), monitor=monitor, latest_evaluation=latest, not_evaluated_because=why)


@router.get("/{model_id}/evaluations", responses=UNKNOWN)
async def show_evaluations(
    context: WithContext, key: Reader, model_id: PathModelId, cursor: Cursor = None, limit: Limit = 50
) -> Page[Evaluation]:
    """A model's evaluations, newest first. The newest has its bins, and so has one in each 24th of the current window
    (an hour by default); of the others they are not kept, except as the evidence of an incident."""
    check_model(key, model_id)
    before = from_cursor(cursor, _EVALUATION_CURSOR)
    async with context.transaction() as connection:
        await known_model(connection, model_id)
        found = await list_evaluations(connection, model_id, before, limit)
    return Page(
        items=found, next_cursor=next_cursor(found, limit, lambda last: (last.evaluated_at, last.evaluation_id))
    )


@router.get(
    "/{model_id}/activity",
    responses=problem_answers((404, "No such model has been seen, or it has not reported any activity yet.")),
)
async def show_activity(context: WithContext, key: Reader, model_id: PathModelId) -> Activity:
    """The recent activity of a model: volume, quantiles, most frequent categories, last events."""
    check_model(key, model_id)
    async with context.transaction() as connection:
        await known_model(connection, model_id)
        activity = await find_activity(connection, model_id)
    if activity is None:
        raise Problem(404, "no-activity", f"the model {model_id} has not reported any activity yet")
    return activity


def check_model(key: ApiKey, model_id: str) -> None:
    """Refuse a key that may not access a model, in the words for one that does not exist: which others there are is
    not revealed.

    Raises:
        UnknownModel: there is none with this id.
    """
    if not key.allows_model(model_id):
        raise UnknownModel(model_id)
