"""`DELETE /v1/models/{id}`: in two steps, so that nobody loses a model by a slip."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Query, Response

from sentryml_common.http.access import actor_of
from sentryml_common.http.problems import problem_answers
from sentryml_incidents.api.auth import Admin
from sentryml_incidents.api.models import PathModelId, check_model
from sentryml_incidents.usecases.context import WithContext
from sentryml_incidents.usecases.delete_model import delete_model

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
    incidents and their timelines stay readable. Events that come later register the model again.

    The first request is answered 409 with what would be lost and a `confirmation`, valid for ten minutes and only while
    the model does not change; the second brings it.
    """
    check_model(key, model_id)
    await delete_model(context, actor_of(key), model_id, confirmation)
    return Response(status_code=204)
