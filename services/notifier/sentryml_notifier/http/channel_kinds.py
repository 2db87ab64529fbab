"""`/v1/channel-kinds`: the kinds of channels, each with what a form for it needs to know."""

from __future__ import annotations

from typing import Any, Self

from fastapi import APIRouter
from pydantic import ConfigDict, JsonValue

from sentryml_common.contracts.internal.notifier_api import ChannelKindResponse
from sentryml_common.http.paging import Page
from sentryml_notifier.channels.base import Kind
from sentryml_notifier.channels.kinds import KINDS
from sentryml_notifier.http.auth import Reader

router = APIRouter(prefix="/v1/channel-kinds", tags=["channels"])

EXAMPLE: dict[str, JsonValue] = {
    "name": "apprise",
    "title": "Another service, by apprise",
    "help": "Some 170 services by their apprise address.",
    "settings": {"title": "Nothing", "type": "object", "properties": {}, "additionalProperties": False},
    "secret": {
        "title": "AppriseSecret",
        "type": "object",
        "properties": {"url": {"title": "Apprise address", "type": "string", "writeOnly": True}},
        "required": ["url"],
        "additionalProperties": False,
    },
    "threads": False,
    "edits": False,
    "buttons": False,
    "for_people": True,
}


class ChannelKindView(ChannelKindResponse):
    """A kind of channel."""

    model_config = ConfigDict(json_schema_extra={"examples": [EXAMPLE]})

    @classmethod
    def of(cls, kind: Kind[Any, Any]) -> Self:
        return cls(
            name=kind.name,
            title=kind.title,
            help=kind.help,
            settings=kind.settings.model_json_schema(),
            secret=_write_only(kind.secret.model_json_schema()),
            threads=kind.threads,
            edits=kind.edits,
            buttons=kind.buttons,
            for_people=kind.for_people,
        )


@router.get("")
async def list_all(_: Reader) -> Page[ChannelKindView]:
    """All kinds of channels: what each is for, the settings it takes, and what it can do."""
    return Page(items=[ChannelKindView.of(kind) for kind in KINDS.values()], next_cursor=None)


def _write_only(schema: dict[str, Any]) -> dict[str, Any]:
    properties = {name: {**each, "writeOnly": True} for name, each in schema["properties"].items()}
    return {**schema, "properties": properties}
