"""`/v1/unreadable-records`: records that could not be used, by topic, reason and sender."""

from __future__ import annotations

from datetime import datetime

from fastapi import APIRouter
from pydantic import BaseModel, ConfigDict, Field, JsonValue

from sentryml_common.http.paging import Page
from sentryml_incidents.api.auth import Reader
from sentryml_incidents.api.views import view_of
from sentryml_incidents.domain.system.unreadable import Unreadable
from sentryml_incidents.usecases.context import WithContext
from sentryml_incidents.usecases.unreadable_records import read_unreadable

router = APIRouter(prefix="/v1/unreadable-records", tags=["models"])

EXAMPLE: dict[str, JsonValue] = {
    "topic": "sentryml.predictions.v1",
    "reason": "schema_registry_prefix",
    "text": "begin with a schema-registry prefix",
    "what_to_do": "Give the producer a plain JSON or string serializer instead of one that registers schemas.",
    "sender": "pricing-service",
    "recently": 1200,
    "in_day": 1200,
    "in_all": 1200,
    "newest_at": "2026-11-23T09:29:58Z",
    "newest_partition": 2,
    "newest_offset": 81234,
    "newest_detail": "the record begins with a schema-registry prefix (schema 17): send plain JSON without it",
}


class UnreadableView(BaseModel):
    """Records of one topic, reason and sender. The newest is named by its place; the record itself is in its topic."""

    model_config = ConfigDict(json_schema_extra={"examples": [EXAMPLE]})

    topic: str
    reason: str = Field(description="A code.")
    text: str = Field(description="What is wrong with them, after “they”.")
    what_to_do: str
    sender: str | None = Field(description="Header `sentryml-sender` of the records; null if they have none.")
    recently: int = Field(description="Since the beginning of the hour before this one.")
    in_day: int
    in_all: int = Field(description="In all that is kept, 14 days.")
    newest_at: datetime
    newest_partition: int
    newest_offset: int
    newest_detail: str


@router.get("")
async def list_all(context: WithContext, key: Reader) -> Page[UnreadableView]:
    """The most frequent of late first, 200 at most. They belong to no model: a key for some models sees none."""
    if key.models:
        return Page(items=[], next_cursor=None)
    async with context.transaction() as connection:
        found = (await read_unreadable(connection, context.now())).found
    return Page(items=[_view(each) for each in found], next_cursor=None)


def _view(found: Unreadable) -> UnreadableView:
    return view_of(
        UnreadableView,
        found,
        text=found.meaning.many,
        what_to_do=found.meaning.what_to_do,
        sender=found.sender or None,
        newest_partition=found.partition,
        newest_offset=found.offset,
        newest_detail=found.detail,
    )
