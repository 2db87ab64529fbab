"""Forms for channels: making, changing, testing and removing one. A secret goes in and never comes out again."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from time import perf_counter
from typing import Annotated
from uuid import UUID

from fastapi import APIRouter, Form, Query, Request, Response

from sentryml_common.contracts.notifier_api import ChannelResponse, TrialResponse
from sentryml_common.http.problems import Problem
from sentryml_incidents.usecases.context import Context, WithContext
from sentryml_incidents.web.alerts.notifier import AlertsRoute, NotifierClient, in_words, notifier_for
from sentryml_incidents.web.people.session import Administrator, Reader, Responder, Visitor
from sentryml_incidents.web.rendering import go_to, render
from sentryml_incidents.web.view.channel_forms import (
    KINDS,
    SECRET,
    KindForm,
    config_of,
    form_of,
    harmless,
    kind_label,
    shown_settings,
    typed_again,
)
from sentryml_incidents.web.view.deliveries import latency

CHANNELS = "/alerts/channels"

router = APIRouter(prefix=CHANNELS, include_in_schema=False, route_class=AlertsRoute)

KindField = Annotated[str, Query(max_length=40)]


@router.get("/new")
async def show_new(
    request: Request, context: WithContext, visitor: Administrator, kind: KindField = KINDS[0].kind
) -> Response:
    """The form for another channel of a kind."""
    form = _known_kind(kind)
    await notifier_for(context, visitor).channels()  # without the notifier nobody should fill in a form
    return _new(request, form, "", shown_settings(form, {}))


@router.post("/make")
async def make(request: Request, context: WithContext, visitor: Administrator) -> Response:
    """Add channel. Nothing goes there until a route leads to it."""
    typed = await _typed(request)
    form = _known_kind(typed.get("kind", ""))
    wanted = {"name": typed.get("name", ""), "kind": form.kind, **config_of(form, typed)}
    try:
        made = await notifier_for(context, visitor).ask("POST", "/v1/channels", wanted)
    except Problem as err:
        return _new(request, form, harmless(typed.get("name", "")), typed_again(form, typed), err)
    return go_to(request, f"{CHANNELS}/{made['channel_id']}")


@router.get("/{channel_id}")
async def show(request: Request, context: WithContext, visitor: Reader, channel_id: UUID) -> Response:
    """One channel: how it stands, and what can be done."""
    return await _page(request, context, visitor, channel_id)


@router.post("/{channel_id}/test")
async def test(request: Request, context: WithContext, visitor: Responder, channel_id: UUID) -> Response:
    """Send a test message, and show what became of it."""
    began = perf_counter()
    try:
        trial = await notifier_for(context, visitor).test(channel_id)
    except Problem as err:
        return await _page(request, context, visitor, channel_id, err=err)
    return await _page(request, context, visitor, channel_id, trial=trial, took=latency(perf_counter() - began))


@router.post("/{channel_id}/change")
async def change(request: Request, context: WithContext, visitor: Administrator, channel_id: UUID) -> Response:
    """Change a channel; secrets that are left empty stay as they are."""
    typed, notifier = await _typed(request), notifier_for(context, visitor)
    channel = await _known_channel(notifier, channel_id)
    form = _known_kind(channel.kind)
    wanted = {"name": typed.get("name", ""), **config_of(form, typed)}
    if form.secret_optional and typed.get("forget"):
        wanted[SECRET] = {}
    try:
        await notifier.ask("PATCH", f"/v1/channels/{channel_id}", wanted)
    except Problem as err:
        return await _page(request, context, visitor, channel_id, err=err, typed=typed)
    return go_to(request, f"{CHANNELS}/{channel_id}")


@router.post("/{channel_id}/fallback")
async def set_fallback(
    request: Request,
    context: WithContext,
    visitor: Administrator,
    channel_id: UUID,
    fallback: Annotated[UUID | None, Form()] = None,
) -> Response:
    """Name the channel that is told while this one is broken, or none."""
    body = {"channel_id": str(fallback) if fallback else None}
    try:
        await notifier_for(context, visitor).ask("PUT", f"/v1/channels/{channel_id}/fallback", body)
    except Problem as err:
        return await _page(request, context, visitor, channel_id, err=err)
    return go_to(request, f"{CHANNELS}/{channel_id}")


@router.post("/{channel_id}/remove")
async def remove(
    request: Request,
    context: WithContext,
    visitor: Administrator,
    channel_id: UUID,
    discard: Annotated[bool, Form()] = False,
) -> Response:
    """Remove a channel to which no route leads; with `discard` also if messages wait on it."""
    target = f"/v1/channels/{channel_id}?discard=true" if discard else f"/v1/channels/{channel_id}"
    try:
        await notifier_for(context, visitor).ask("DELETE", target)
    except Problem as err:
        return await _page(request, context, visitor, channel_id, err=err)
    return go_to(request, "/alerts")


async def _page(
    request: Request,
    context: Context,
    visitor: Visitor,
    channel_id: UUID,
    *,
    err: Problem | None = None,
    trial: TrialResponse | None = None,
    took: str = "",
    typed: Mapping[str, str] | None = None,
) -> Response:
    notifier = notifier_for(context, visitor)
    channels, routes = await asyncio.gather(notifier.channels(), notifier.routes())
    channel = next((each for each in channels if each.channel_id == channel_id), None) or await _known_channel(
        notifier, channel_id
    )
    form = form_of(channel.kind)
    return render(
        request,
        "alerts/channel.html",
        status=err.status if err else 200,
        channel=channel,
        kind=kind_label(channel.kind),
        others=[each for each in channels if each.channel_id != channel_id],
        names={each.channel_id: each.name for each in channels},
        routes=[each for each in routes if each.channel_id == channel_id],
        form=form,
        name=harmless(typed.get("name", "")) if typed else channel.name,
        values=(typed_again(form, typed) if typed else shown_settings(form, channel.settings)) if form else {},
        trial=trial,
        took=took,
        refused_because=in_words(err) if err else (),
    )


def _new(
    request: Request, form: KindForm, name: str, values: Mapping[str, str], err: Problem | None = None
) -> Response:
    return render(
        request,
        "alerts/new_channel.html",
        status=err.status if err else 200,
        form=form,
        kinds=KINDS,
        name=name,
        values=values,
        channel=None,
        refused_because=in_words(err) if err else (),
    )


async def _typed(request: Request) -> dict[str, str]:
    """What was typed, by name; files, which no form of ours has, are left out."""
    return {name: value for name, value in (await request.form()).items() if isinstance(value, str)}


async def _known_channel(notifier: NotifierClient, channel_id: UUID) -> ChannelResponse:
    found = next((each for each in await notifier.channels() if each.channel_id == channel_id), None)
    if found is None:
        raise Problem(404, "unknown-channel", "There is no such channel: it may have been removed meanwhile.")
    return found


def _known_kind(kind: str) -> KindForm:
    form = form_of(kind)
    if form is None:
        known = ", ".join(each.kind for each in KINDS)
        raise Problem(422, "invalid-request", f"These pages have no form for that kind of channel: known are {known}.")
    return form
