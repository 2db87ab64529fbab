"""Deliveries on the pages of alerts: what was sent, what waits, what is undeliverable, and trying that again."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Annotated
from uuid import UUID

from fastapi import APIRouter, Form, Query, Request, Response

from sentryml_common.contracts.delivery import LATEST_ATTEMPTS_MAX, Delivery, DeliveryState
from sentryml_common.contracts.internal.notifier_api import DeliveryResponse
from sentryml_common.http.problems import Problem
from sentryml_incidents.clients.notifier import read_answer
from sentryml_incidents.usecases.context import WithContext
from sentryml_incidents.web.alerts.notifier import AlertsRoute, WithNotifier
from sentryml_incidents.web.people.session import Reader, Responder
from sentryml_incidents.web.rendering import go_to, render
from sentryml_incidents.web.view.channel_forms import harmless
from sentryml_incidents.web.view.deliveries import DeliveryLine, Tone, line_of
from sentryml_lifecycle.text.step_text import STEPS

DELIVERIES = "/alerts/deliveries"
ROWS = 30
FOR_GOOD = ("channel_deleted", "not_needed")
"""Why something is parked that is not sent any more, on purpose."""

router = APIRouter(prefix=DELIVERIES, include_in_schema=False, route_class=AlertsRoute)


class Shown(StrEnum):
    """Which deliveries are listed."""

    ALL = "all"
    UNDELIVERABLE = "undeliverable"
    WAITING = "waiting"
    DELIVERED = "delivered"


STATES: dict[Shown, dict[str, object]] = {
    Shown.ALL: {},
    Shown.UNDELIVERABLE: {"undeliverable": "true"},
    Shown.WAITING: {"state": ["pending", "sending"]},
    Shown.DELIVERED: {"state": "delivered"},
}

StateField = Annotated[Shown, Query(alias="state")]
TextField = Annotated[str, Query(max_length=200)]
CursorField = Annotated[str | None, Query(max_length=500)]


@dataclass(frozen=True, slots=True)
class Row:
    """One delivery of the list."""

    response: DeliveryResponse
    step: str
    line: DeliveryLine

    @property
    def retryable(self) -> bool:
        """Whether somebody may want to try it again now."""
        return self.line.tone in (Tone.UNDELIVERABLE, Tone.WAITING) and self.response.state != "sending"


def delivery_lines(deliveries: Sequence[DeliveryResponse], now: datetime) -> tuple[Row, ...]:
    """Deliveries as they are listed."""
    return tuple(Row(response, _step(response), line_of(_as_published(response), now)) for response in deliveries)


@router.get("")
async def show(
    request: Request,
    context: WithContext,
    visitor: Reader,
    notifier: WithNotifier,
    shown: StateField = Shown.ALL,
    channel: TextField = "",
    model: TextField = "",
    cursor: CursorField = None,
) -> Response:
    """Deliveries, newest first."""
    channel, model, refused = channel.strip(), model.strip(), ""
    ids = {each.name: each.channel_id for each in await notifier.channels()}
    try:
        page = await notifier.deliveries(
            **STATES[shown], channel=channel or None, model=model or None, cursor=cursor, limit=ROWS
        )
    except Problem as err:
        if err.status != 422:
            raise
        page, refused = None, "That is not a model id, or not a page of this list: correct the address."
    return render(
        request,
        "alerts/deliveries.html",
        status=422 if refused else 200,
        rows=delivery_lines(page.items, context.now()) if page else (),
        older=page.next_cursor if page else None,
        first=cursor is None,
        shown=shown,
        choices=list(Shown),
        channel=channel if channel in ids else harmless(channel),
        channels=list(ids),
        ids=ids,
        model=harmless(model) if refused else model,
        filtered=bool(channel or model or shown is not Shown.ALL),
        refused=refused,
    )


@router.post("/{delivery_id}/retry")
async def retry(
    request: Request,
    visitor: Responder,
    notifier: WithNotifier,
    delivery_id: UUID,
    back: Annotated[str, Form(pattern=r"^(all|undeliverable|waiting|delivered|alerts)$")] = "undeliverable",
) -> Response:
    """Try again now what waits or is undeliverable; leads `back` to where the button was."""
    await notifier.retry(delivery_id)
    return go_to(request, "/alerts" if back == "alerts" else f"{DELIVERIES}?state={back}")


def _step(response: DeliveryResponse) -> str:
    return next((text for kind, text in STEPS.items() if kind == response.kind), response.kind)


def _as_published(response: DeliveryResponse) -> Delivery:
    """The same as the notifier tells it on its topic, so that one place puts deliveries into words.

    Raises:
        NotifierAway: it tells what is not known here.
    """
    over = response.state == "parked" and response.parked_because in FOR_GOOD
    happened_at = response.happened_at or response.created_at
    latency = max(0.0, (response.delivered_at - happened_at).total_seconds()) if response.delivered_at else None
    return read_answer(
        Delivery,
        {
            **dict(response),
            "v": 1,
            "revision": 1,
            "happened_at": happened_at,
            "changed_at": response.created_at,
            "state": DeliveryState.NOT_SENT if over else response.state,
            "text": response.last_text,
            "latency_seconds": latency,
            "attempts": len(response.attempts),
            "latest_attempts": response.attempts[-LATEST_ATTEMPTS_MAX:],
        },
    )
