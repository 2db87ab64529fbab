"""The observer reports each thing once, whatever the services repeat."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import httpx
import pytest

from sentryml_common.contracts.delivery import DeliveryState
from sentryml_common.contracts.evaluation import Evaluation
from sentryml_common.contracts.message import Message
from sentryml_common.contracts.transition import Transition, TransitionKind
from sentryml_common.errors import Unavailable
from sentryml_local.demo.observer import Observer, Rest
from sentryml_local.demo.time_scale import LABEL_MODEL, SCORE_MODEL
from tests.unit.demo.builders import NOON, a_delivery, an_evaluation, an_incident


class Services:
    """The REST API and the stand-in, as far as the observer asks them."""

    def __init__(self) -> None:
        self.evaluations: list[Evaluation] = []
        self.transitions: list[Transition] = []
        self.messages: list[str] = []
        self.state = DeliveryState.PENDING

    def answer(self, request: httpx.Request) -> httpx.Response:
        path = request.url.path
        if path == "/control/messages":
            return httpx.Response(200, json=[_posted(number, text) for number, text in enumerate(self.messages, 1)])
        if path == "/v1/incidents":
            return httpx.Response(200, json={"items": self._incidents(), "next_cursor": None})
        if path.endswith("/timeline"):
            steps = [step for step in self.transitions if f"/{step.incident_number}/" in path]
            return _page(steps)
        if path.endswith("/deliveries"):
            steps = [step for step in self.transitions if f"/{step.incident_number}/" in path]
            return _page([a_delivery(step, self.state) for step in steps])
        if path == f"/v1/models/{SCORE_MODEL}/evaluations":
            return _page(list(reversed(self.evaluations)))
        return httpx.Response(404, json={"detail": "no such model"})

    def _incidents(self) -> list[dict[str, int]]:
        newest = {step.incident_number: step.sequence for step in self.transitions}
        return [{"incident_number": n, "sequence": newest[n]} for n in sorted(newest, reverse=True)]

    def observer(self) -> Observer:
        client = httpx.AsyncClient(transport=httpx.MockTransport(self.answer))
        rest = Rest(client, "http://incidents", "sml_key")
        return Observer(rest, Rest(client, "http://stand-in"), (SCORE_MODEL, LABEL_MODEL))


def _page(items: list[Any]) -> httpx.Response:
    def dump(item: Message) -> Any:
        return item.model_dump(mode="json", by_alias=True)

    return httpx.Response(200, json={"items": [dump(item) for item in items], "next_cursor": None})


def _posted(number: int, text: str) -> dict[str, Any]:
    payload = {"text": text, "blocks": [{"type": "section", "text": {"type": "mrkdwn", "text": f"*{text}* in full"}}]}
    return {"number": number, "at": NOON.isoformat(), "payload": payload}


async def test_everything_is_new_once() -> None:
    services = Services()
    services.evaluations = [an_evaluation(0.1), an_evaluation(0.5, at=NOON + timedelta(seconds=1))]
    services.transitions = an_incident(TransitionKind.OPENED)
    services.messages = ["CRITICAL drift"]
    observer = services.observer()
    first, second = await observer.poll(), await observer.poll()
    assert [each.signals[0].psi for each in first.evaluations] == [0.1, 0.5]
    assert [step.kind for step in first.transitions] == [TransitionKind.OPENED]
    assert [(message.summary, message.text) for message in first.messages] == [
        ("CRITICAL drift", "*CRITICAL drift* in full")
    ]
    assert (second.evaluations, second.transitions, second.messages) == ([], [], [])


async def test_later_steps_are_added_to_what_was_seen() -> None:
    services = Services()
    services.transitions = an_incident(TransitionKind.OPENED)
    observer = services.observer()
    await observer.poll()
    services.transitions = an_incident(TransitionKind.OPENED, TransitionKind.RESOLVED)
    new = await observer.poll()
    assert [step.kind for step in new.transitions] == [TransitionKind.RESOLVED]
    assert [step.kind for step in observer.seen.transitions] == [TransitionKind.OPENED, TransitionKind.RESOLVED]


async def test_a_delivery_is_kept_in_its_newest_state() -> None:
    services = Services()
    services.transitions = an_incident(TransitionKind.OPENED)
    observer = services.observer()
    await observer.poll()
    await observer.poll()
    assert [each.state for each in observer.seen.deliveries.values()] == [DeliveryState.PENDING]
    services.state = DeliveryState.DELIVERED
    await observer.poll()
    assert [each.state for each in observer.seen.deliveries.values()] == [DeliveryState.DELIVERED]


async def test_a_model_that_is_not_registered_yet_has_nothing_to_see() -> None:
    assert (await Services().observer().poll()).evaluations == []


async def test_a_service_that_is_away_is_named() -> None:
    def refuse(request: httpx.Request) -> httpx.Response:
        raise httpx.ConnectError("connection refused", request=request)

    client = httpx.AsyncClient(transport=httpx.MockTransport(refuse))
    with pytest.raises(Unavailable, match="http://incidents does not answer: ConnectError connection refused"):
        await Rest(client, "http://incidents").get("/v1/models")
