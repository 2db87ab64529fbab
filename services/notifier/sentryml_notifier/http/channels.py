"""`/v1/channels`: the places that messages go to. A secret is taken, encrypted, and never shown."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from typing import Annotated, Any
from uuid import UUID

import asyncpg
from fastapi import APIRouter, Query, Response
from pydantic import ConfigDict, JsonValue

from sentryml_common.contracts.internal.notifier_api import ChannelResponse
from sentryml_common.http.etags import ETAG_HEADER, VERSIONED, IfMatch, moved_on
from sentryml_common.http.paging import Page
from sentryml_common.http.problems import Problem, problem_answers
from sentryml_common.http.versions import etag, matches
from sentryml_common.postgres.pool import Connection
from sentryml_notifier.channels.base import Identity
from sentryml_notifier.channels.kinds import KINDS
from sentryml_notifier.domain.change import Action, differences
from sentryml_notifier.http.auth import Admin, Reader
from sentryml_notifier.http.channel_config import Changed, Config, Requested, check_opens, read_change, read_new
from sentryml_notifier.http.context import Context, WithContext
from sentryml_notifier.secrets import Sealed
from sentryml_notifier.store.channel_changes import (
    count_waiting,
    delete_channel,
    insert_channel,
    lock_stored_channel,
    routes_to,
    update_channel,
)
from sentryml_notifier.store.channels import StoredChannel, release_waiting
from sentryml_notifier.store.ledger import list_channels

router = APIRouter(prefix="/v1/channels", tags=["channels"])

UNKNOWN = problem_answers((404, "There is no such channel."))
REFUSED = (422, "Invalid input; `errors` names each field. Nothing was changed.")
MOVED_ON = (412, "It has changed since the version in `If-Match`; `channel` is its current version.")
NAME_TAKEN_OR_NO_KEY = (409, "Another channel has this name; or there is no key to encrypt the secret with.")


EXAMPLE: dict[str, JsonValue] = {
    "channel_id": "9d0c1d0a-7c2f-4a01-8f29-0f0c3c1e7a50",
    "name": "on call",
    "kind": "slack_webhook",
    "settings": {},
    "secret_setting": None,
    "secret_hint": "…/B0…/****",
    "state": "active",
    "broken_reason": None,
    "retry_at": None,
    "paused_until": None,
    "fallback_channel_id": None,
    "version": 1,
    "created_at": "2026-11-20T08:00:00Z",
    "waiting": 1,
    "parked": 0,
    "oldest_at": "2026-11-23T09:15:00Z",
}


class ChannelView(ChannelResponse):
    """A channel and its state: never its secret, only a hint of it."""

    model_config = ConfigDict(json_schema_extra={"examples": [EXAMPLE]})


@router.get("")
async def list_all(context: WithContext, _: Reader) -> Page[ChannelView]:
    """All channels, with what waits on each and how to fix a broken one."""
    async with context.transaction() as connection:
        rows = await list_channels(connection)
    return Page(items=[ChannelView.model_validate(dict(row)) for row in rows], next_cursor=None)


@router.get("/{channel_id:uuid}", responses={**VERSIONED, **UNKNOWN})
async def show(context: WithContext, _: Reader, channel_id: UUID, response: Response) -> ChannelView:
    """One channel. Its `ETag` changes with every change that people make, not with how it fares."""
    async with context.transaction() as connection:
        view = await view_of(connection, channel_id)
    response.headers["ETag"] = etag(view.version)
    return view


@router.post(
    "", status_code=201, responses={201: {"headers": ETAG_HEADER}, **problem_answers(NAME_TAKEN_OR_NO_KEY, REFUSED)}
)
async def create(context: WithContext, asker: Admin, requested: Requested, response: Response) -> ChannelView:
    """Make a channel; it is served at once. Nothing goes there until a route leads to it."""
    config = read_new(requested, context.reserved_names)
    identity = Identity(context.new_id(), config.name)
    check_opens(context.channels(), config, identity)
    stored = StoredChannel(
        identity.channel_id, config.name, config.kind, config.settings, None, _sealed(context, config), _new(context)
    )
    async with context.transaction() as connection:
        with _free_name():
            await insert_channel(connection, stored, KINDS[config.kind].hinted(config.secret), context.clock())
        text = f"of the kind {stored.kind}"
        await context.note(connection, asker.actor, Action.CHANNEL_MADE, stored.channel_id, stored.name, text)
        view = await view_of(connection, stored.channel_id)
    context.channels().changed.set()
    response.headers["ETag"] = etag(view.version)
    return view


@router.patch(
    "/{channel_id:uuid}",
    responses={
        **VERSIONED,
        **UNKNOWN,
        **problem_answers(
            (409, "It is defined by a setting; or another channel has this name; or its secret cannot be decrypted."),
            MOVED_ON,
            REFUSED,
        ),
    },
)
async def change(
    context: WithContext,
    asker: Admin,
    channel_id: UUID,
    requested: Changed,
    response: Response,
    if_match: IfMatch = None,
) -> ChannelView:
    """Change a channel. What waits on it is due again, now."""
    async with context.transaction() as connection:
        before = await _locked(connection, context, channel_id)
        if before.kind not in KINDS:
            raise Problem(
                409, "unknown-kind", "this notifier does not support channels of that kind: install a newer version"
            )
        known = Config(before.name, before.kind, before.settings, _opened(context, before, requested))
        config = read_change(requested, known, context.reserved_names)
        await check_seen(connection, before, if_match)
        if config != known or "secret" in requested:
            check_opens(context.channels(), config, Identity(channel_id, config.name))
            secret = _sealed(context, config) if "secret" in requested else before.secret
            after = replace(
                before, name=config.name, settings=config.settings, secret=secret, fingerprint=_new(context)
            )
            hint = KINDS[config.kind].hinted(config.secret) if "secret" in requested else None
            with _free_name():
                await update_channel(connection, after, hint)
            await release_waiting(connection, channel_id, context.clock())
            text = differences({"name": before.name, **before.settings}, {"name": after.name, **after.settings})
            if text:
                await context.note(connection, asker.actor, Action.CHANNEL_CHANGED, channel_id, after.name, text)
            if "secret" in requested:
                text = "the secret was replaced"
                await context.note(connection, asker.actor, Action.SECRET_REPLACED, channel_id, after.name, text)
        view = await view_of(connection, channel_id)
    context.channels().changed.set()
    context.wake()
    response.headers["ETag"] = etag(view.version)
    return view


@router.delete(
    "/{channel_id:uuid}",
    status_code=204,
    responses={
        **UNKNOWN,
        **problem_answers((409, "It is defined by a setting, routes use it, or deliveries wait on it."), MOVED_ON),
    },
)
async def delete(
    context: WithContext,
    asker: Admin,
    channel_id: UUID,
    discard: Annotated[
        bool, Query(description="Also if deliveries wait on it: they end as parked, and say that it was deleted.")
    ] = False,
    if_match: IfMatch = None,
) -> None:
    """Delete a channel to which no route leads any more. Its secret is forgotten, its deliveries stay in the ledger."""
    async with context.transaction() as connection:
        before = await _locked(connection, context, channel_id)
        await check_seen(connection, before, if_match)
        routes = await routes_to(connection, channel_id)
        if routes:
            detail = f"routes use it ({', '.join(routes)}): change or delete them first"
            raise Problem(409, "channel-in-use", detail, routes=routes)
        waiting = await count_waiting(connection, channel_id)
        if waiting and not discard:
            raise Problem(
                409,
                "deliveries-waiting",
                f"not delivered yet: {waiting}. Fix the channel, or discard what waits with ?discard=true",
                waiting=waiting,
            )
        text = f"Not delivered: the channel {before.name} was deleted by {asker.actor.name}."
        await delete_channel(connection, channel_id, text, context.clock())
        gave_up = f"deliveries discarded: {waiting}" if waiting else "nothing waited on it"
        await context.note(connection, asker.actor, Action.CHANNEL_DELETED, channel_id, before.name, gave_up)
    context.channels().changed.set()


async def check_seen(connection: Connection, found: StoredChannel, if_match: str | None) -> None:
    """See that a locked channel still is as the `If-Match` says.

    Raises:
        Problem: 412, with its current state.
    """
    if not matches(if_match, etag(found.version)):
        raise moved_on("channel", found.version, await view_of(connection, found.channel_id))


async def _locked(connection: Connection, context: Context, channel_id: UUID) -> StoredChannel:
    """A channel that people may change here, locked."""
    found = await lock_stored_channel(connection, channel_id)
    if found is None:
        raise unknown_channel(channel_id)
    if found.secret_setting is not None and context.channels().is_from_settings(found):
        detail = f"{found.secret_setting} defines this channel: change it there, and restart the notifier"
        raise Problem(409, "channel-of-settings", detail, setting=found.secret_setting)
    return found


@contextmanager
def _free_name() -> Iterator[None]:
    try:
        yield
    except asyncpg.UniqueViolationError as err:
        raise Problem(409, "name-taken", "another channel has this name: choose another") from err


def _sealed(context: Context, config: Config) -> bytes | None:
    if not KINDS[config.kind].secret.model_fields:
        return None
    try:
        return context.secret_box.seal(config.secret)
    except Sealed as err:
        raise Problem(409, "no-secrets-key", str(err)) from err


def _opened(context: Context, before: StoredChannel, requested: dict[str, Any]) -> dict[str, Any]:
    """The secret as it is, unless it is not needed."""
    if before.secret is None or "secret" in requested:
        return {}
    try:
        return context.secret_box.open(before.secret)
    except Sealed as err:
        raise Problem(409, "no-secrets-key", str(err)) from err


def _new(context: Context) -> str:
    """Another fingerprint with every change, so that nobody sends or judges by what was before."""
    return context.new_id().hex


async def view_of(connection: Connection, channel_id: UUID) -> ChannelView:
    """A channel as it is shown.

    Raises:
        Problem: 404.
    """
    rows = await list_channels(connection, channel_id)
    if not rows:
        raise unknown_channel(channel_id)
    return ChannelView.model_validate(dict(rows[0]))


def unknown_channel(channel_id: UUID) -> Problem:
    """404, and where to look."""
    return Problem(404, "unknown-channel", f"there is no channel {channel_id}: GET /v1/channels lists them")
