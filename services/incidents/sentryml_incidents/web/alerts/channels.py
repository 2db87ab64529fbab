"""Forms for channels: making, changing, testing and removing one. A secret goes in and never comes out again."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Mapping, Sequence
from time import perf_counter
from typing import Annotated, Any
from uuid import UUID

from fastapi import APIRouter, Form, Query, Request, Response

from sentryml_common.contracts.internal.notifier_api import ChannelKindResponse, ChannelResponse, TrialResponse
from sentryml_common.http.problems import Problem
from sentryml_incidents.web.alerts.notifier import AlertsRoute, NotifierClient, WithNotifier, in_words
from sentryml_incidents.web.people.session import Administrator, Reader, Responder
from sentryml_incidents.web.rendering import go_to, render
from sentryml_incidents.web.view.alerts import refusal
from sentryml_incidents.web.view.channel_forms import (
    SECRET,
    ChannelForm,
    config_of,
    entered_again,
    form_of,
    harmless,
    shown_settings,
    wrong_fields,
)
from sentryml_incidents.web.view.deliveries import latency

CHANNELS = "/alerts/channels"

router = APIRouter(prefix=CHANNELS, include_in_schema=False, route_class=AlertsRoute)

KindField = Annotated[str, Query(max_length=40)]


@router.get("/new")
async def show_new(
    request: Request, visitor: Administrator, notifier: WithNotifier, kind: KindField | None = None
) -> Response:
    """The form for another channel of a kind."""
    kinds = await notifier.kinds()
    form = _form_of_known(kinds, kinds[0].name if kind is None else kind)
    return _new(request, kinds, form, "", shown_settings(form, {}))


@router.post("/make")
async def make(request: Request, visitor: Administrator, notifier: WithNotifier) -> Response:
    """Add channel. Nothing goes there until a route leads to it."""
    entered = await _entered(request)
    kinds = await notifier.kinds()
    form = _form_of_known(kinds, entered.get("kind", ""))
    requested = {"name": entered.get("name", ""), "kind": form.kind.name, **config_of(form, entered)}
    try:
        made = await notifier.ask("POST", "/v1/channels", requested)
    except Problem as err:
        return _new(request, kinds, form, harmless(entered.get("name", "")), entered_again(form, entered), err)
    return go_to(request, f"{CHANNELS}/{made['channel_id']}")


@router.get("/{channel_id}")
async def show(request: Request, visitor: Reader, notifier: WithNotifier, channel_id: UUID) -> Response:
    """One channel: its state, and what can be done."""
    return await _page(request, notifier, channel_id)


@router.post("/{channel_id}/test")
async def test(request: Request, visitor: Responder, notifier: WithNotifier, channel_id: UUID) -> Response:
    """Send a test message, and show what became of it."""
    began = perf_counter()
    try:
        trial = await notifier.test(channel_id)
    except Problem as err:
        return await _page(request, notifier, channel_id, err=err)
    return await _page(request, notifier, channel_id, trial=trial, took=latency(perf_counter() - began))


@router.post("/{channel_id}/change")
async def change(request: Request, visitor: Administrator, notifier: WithNotifier, channel_id: UUID) -> Response:
    """Change a channel; secrets that are left empty stay as they are."""
    entered = await _entered(request)
    channel = _known_channel(await notifier.channels(), channel_id)
    form = _form_of_known(await notifier.kinds(), channel.kind)
    requested = {"name": entered.get("name", ""), **config_of(form, entered)}
    if form.secret_optional and entered.get("forget"):
        requested[SECRET] = {}
    try:
        await notifier.ask("PATCH", f"/v1/channels/{channel_id}", requested)
    except Problem as err:
        return await _page(request, notifier, channel_id, err=err, entered=entered)
    return go_to(request, f"{CHANNELS}/{channel_id}")


@router.post("/{channel_id}/fallback")
async def set_fallback(
    request: Request,
    visitor: Administrator,
    notifier: WithNotifier,
    channel_id: UUID,
    fallback: Annotated[UUID | None, Form()] = None,
) -> Response:
    """Name the fallback of this channel, or none."""
    body = {"channel_id": str(fallback) if fallback else None}
    try:
        await notifier.ask("PUT", f"/v1/channels/{channel_id}/fallback", body)
    except Problem as err:
        return await _page(request, notifier, channel_id, err=err)
    return go_to(request, f"{CHANNELS}/{channel_id}")


@router.post("/{channel_id}/remove")
async def remove(
    request: Request,
    visitor: Administrator,
    notifier: WithNotifier,
    channel_id: UUID,
    discard: Annotated[bool, Form()] = False,
) -> Response:
    """Remove a channel to which no route leads; with `discard` also if messages wait on it."""
    target = f"/v1/channels/{channel_id}?discard=true" if discard else f"/v1/channels/{channel_id}"
    try:
        await notifier.ask("DELETE", target)
    except Problem as err:
        return await _page(request, notifier, channel_id, err=err)
    return go_to(request, "/alerts")


async def _page(
    request: Request,
    notifier: NotifierClient,
    channel_id: UUID,
    *,
    err: Problem | None = None,
    trial: TrialResponse | None = None,
    took: str = "",
    entered: Mapping[str, str] | None = None,
) -> Response:
    channels, routes, kinds = await asyncio.gather(notifier.channels(), notifier.routes(), notifier.kinds())
    channel = _known_channel(channels, channel_id)
    form = _form_of(kinds, channel.kind)
    return render(
        request,
        "alerts/channel.html",
        status=err.status if err else 200,
        channel=channel,
        kind=form.kind.title if form else channel.kind,
        others=[each for each in channels if each.channel_id != channel_id],
        names={each.channel_id: each.name for each in channels},
        routes=[each for each in routes if each.channel_id == channel_id],
        form=form,
        name=harmless(entered.get("name", "")) if entered else channel.name,
        values=(entered_again(form, entered) if entered else shown_settings(form, channel.settings)) if form else {},
        trial=trial,
        took=took,
        **_refused(form, err),
    )


def _new(
    request: Request,
    kinds: Sequence[ChannelKindResponse],
    form: ChannelForm,
    name: str,
    values: Mapping[str, str],
    err: Problem | None = None,
) -> Response:
    return render(
        request,
        "alerts/new_channel.html",
        status=err.status if err else 200,
        form=form,
        kinds=kinds,
        name=name,
        values=values,
        channel=None,
        **_refused(form, err),
    )


def _refused(form: ChannelForm | None, err: Problem | None) -> dict[str, Any]:
    """What a page says of a refusal: beside each field that is wrong, and above the form the rest."""
    if err is None or form is None:
        return {"wrong": {}, "refused_because": in_words(err) if err else ()}
    wrong, others = wrong_fields(form, err.extra.get("errors"))
    if wrong and not others:
        return {"wrong": wrong, "refused_because": ("Nothing was saved: see the marked fields.",)}
    return {"wrong": wrong, "refused_because": refusal(err.kind, err.detail, others)}


async def _entered(request: Request) -> dict[str, str]:
    """What was entered, by name; files, which no form of ours has, are left out."""
    return {name: value for name, value in (await request.form()).items() if isinstance(value, str)}


def _known_channel(channels: Iterable[ChannelResponse], channel_id: UUID) -> ChannelResponse:
    found = next((each for each in channels if each.channel_id == channel_id), None)
    if found is None:
        raise Problem(404, "unknown-channel", "There is no such channel: it may have been removed meanwhile.")
    return found


def _form_of(kinds: Iterable[ChannelKindResponse], name: str) -> ChannelForm | None:
    return next((form_of(kind) for kind in kinds if kind.name == name), None)


def _form_of_known(kinds: Iterable[ChannelKindResponse], name: str) -> ChannelForm:
    form = _form_of(kinds, name)
    if form is None:
        known = ", ".join(kind.name for kind in kinds)
        raise Problem(422, "invalid-request", f"The notifier has no such kind of channel: known are {known}.")
    return form
