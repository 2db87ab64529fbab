"""`/v1/changes`: who changed what about routes and channels, asked for a retry, sent a test."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter
from pydantic import ConfigDict, Field, JsonValue, TypeAdapter

from sentryml_common.contracts.internal.notifier_api import ChangeResponse
from sentryml_common.http.paging import Cursor, Limit, Page, from_cursor, next_cursor
from sentryml_notifier.domain.change import Action
from sentryml_notifier.http.auth import Reader
from sentryml_notifier.http.context import WithContext
from sentryml_notifier.store.changes import list_changes

router = APIRouter(prefix="/v1/changes", tags=["changes"])

_KEPT_BACK = {"text": "what changed is shown to keys for all models"}
"""The text of a changed route may name models."""

_CURSOR = TypeAdapter(Annotated[int, Field(ge=1, lt=2**63)])


EXAMPLE: dict[str, JsonValue] = {
    "change_id": 7,
    "at": "2026-11-23T09:30:00Z",
    "actor": {"type": "api_key", "id": "0a1b2c3d4e5f", "name": "deploy"},
    "action": "route_changed",
    "subject_id": "4d5c1e0b-1a2f-4b02-9f39-1f0c3c1e7a51",
    "subject": "fraud on call",
    "text": "least severity: warn → critical",
}


class ChangeView(ChangeResponse):
    """One change: who changed what. It is never modified."""

    model_config = ConfigDict(json_schema_extra={"examples": [EXAMPLE]})

    action: Action


@router.get("")
async def list_all(context: WithContext, key: Reader, cursor: Cursor = None, limit: Limit = 100) -> Page[ChangeView]:
    """The changes, newest first. A key for some models is not shown who retried deliveries of others, nor for
    which models a route was made."""
    async with context.transaction() as connection:
        rows = await list_changes(connection, from_cursor(cursor, _CURSOR), limit, key.models)
    items = [ChangeView.model_validate(dict(row)) for row in rows]
    if key.models:
        items = [each.model_copy(update=_KEPT_BACK) if each.action is Action.ROUTE_CHANGED else each for each in items]
    return Page(items=items, next_cursor=next_cursor(items, limit, lambda last: last.change_id))
