"""`/v1/channels/{id}/fallback`: the fallback of a broken one. Channels of settings have one too."""

from __future__ import annotations

from uuid import UUID

from fastapi import APIRouter, Response
from pydantic import BaseModel, ConfigDict, Field

from sentryml_common.http.etags import VERSIONED, IfMatch
from sentryml_common.http.problems import Problem, problem_answers
from sentryml_common.http.versions import etag
from sentryml_notifier.domain.change import Action, differences
from sentryml_notifier.http.auth import Admin
from sentryml_notifier.http.channels import MOVED_ON, UNKNOWN, ChannelView, check_seen, unknown_channel, view_of
from sentryml_notifier.http.context import WithContext
from sentryml_notifier.store.channel_changes import lock_stored_channel
from sentryml_notifier.store.channels import list_stored_channels
from sentryml_notifier.store.fallback import find_fallback, set_fallback

router = APIRouter(prefix="/v1/channels", tags=["channels"])


class Fallback(BaseModel):
    """The fallback; null if there is none."""

    model_config = ConfigDict(
        extra="forbid", json_schema_extra={"examples": [{"channel_id": "0f0c3c1e-7a50-4a01-8f29-9d0c1d0a7c2f"}]}
    )

    channel_id: UUID | None = Field(
        description="The fallback: it receives what is parked on the broken channel, with a note that says so."
    )


@router.put(
    "/{channel_id:uuid}/fallback",
    responses={**VERSIONED, **UNKNOWN, **problem_answers((409, "The channel cannot be its own fallback."), MOVED_ON)},
)
async def change(
    context: WithContext,
    asker: Admin,
    channel_id: UUID,
    requested: Fallback,
    response: Response,
    if_match: IfMatch = None,
) -> ChannelView:
    """Set the fallback, which receives alerts while this channel is broken. Fallbacks may form a ring."""
    async with context.transaction() as connection:
        found = await lock_stored_channel(connection, channel_id)
        if found is None:
            raise unknown_channel(channel_id)
        await check_seen(connection, found, if_match)
        stored = await list_stored_channels(connection)
        names: dict[UUID | None, str] = {each.channel_id: each.name for each in stored}
        if requested.channel_id is not None and requested.channel_id not in names:
            raise unknown_channel(requested.channel_id)
        if requested.channel_id == channel_id:
            detail = "a channel cannot be its own fallback: name another one, GET /v1/channels lists them"
            raise Problem(409, "fallback-is-itself", detail)
        before = names.get(await find_fallback(connection, channel_id))
        text = differences({"fallback": before}, {"fallback": names.get(requested.channel_id)})
        if text:
            await set_fallback(connection, channel_id, requested.channel_id)
            await context.note(connection, asker.actor, Action.CHANNEL_CHANGED, channel_id, names[channel_id], text)
        view = await view_of(connection, channel_id)
    response.headers["ETag"] = etag(view.version)
    return view
