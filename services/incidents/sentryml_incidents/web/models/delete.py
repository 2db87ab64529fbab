"""Deleting a model in two steps: a page that says what would be lost, and its button."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Form, Request, Response

from sentryml_incidents.store.snapshots import read_snapshot
from sentryml_incidents.usecases.context import Context, WithContext
from sentryml_incidents.usecases.delete_model import delete_model, offer_deletion
from sentryml_incidents.usecases.errors import DeletionNotConfirmed
from sentryml_incidents.usecases.known_model import known_model
from sentryml_incidents.web.people.session import Administrator
from sentryml_incidents.web.rendering import PageRoute, render

router = APIRouter(prefix="/models/{model_id}/delete", include_in_schema=False, route_class=PageRoute)

ConfirmationField = Annotated[str, Form(max_length=100)]


@router.get("")
async def show(request: Request, context: WithContext, visitor: Administrator, model_id: str) -> Response:
    """What would be lost, and the button that does it."""
    return await _page(request, context, model_id)


@router.post("/confirm")
async def confirm(
    request: Request,
    context: WithContext,
    visitor: Administrator,
    model_id: str,
    confirmation: ConfirmationField = "",
) -> Response:
    """Delete the model, if it is still as the page has shown it."""
    async with context.transaction() as connection:
        await known_model(connection, model_id)
    try:
        await delete_model(context, visitor.actor, model_id, confirmation)
    except DeletionNotConfirmed as err:
        refused = f"Nothing was deleted: {err.why_not}. Its current state is shown below; to delete it, confirm again."
        return await _page(request, context, model_id, 409, refused)
    return render(request, "models/deleted.html", model_id=model_id)


async def _page(
    request: Request, context: Context, model_id: str, status: int = 200, refused: str | None = None
) -> Response:
    async with context.transaction() as connection:
        model, _ = await known_model(connection, model_id)
        snapshot = await read_snapshot(connection, model_id)
        assert snapshot is not None
        offered = await offer_deletion(connection, snapshot, context.now())
    return render(request, "models/delete.html", status=status, model=model, offered=offered, refused=refused)
