"""What the demo can see, and how: the public REST API and the stand-in for Slack, as anybody else would.

`poll` returns what is new since the last poll. Everything seen is kept, for the verdict at the end.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime
from typing import Any
from uuid import UUID

import httpx

from sentryml_common.contracts.delivery import Delivery
from sentryml_common.contracts.evaluation import Evaluation
from sentryml_common.contracts.transition import Transition
from sentryml_common.errors import Unavailable
from sentryml_local.demo.verdict import SlackMessage
from sentryml_local.slack_stand_in.page import as_text

EVALUATIONS_PER_POLL = 20


@dataclass(slots=True)
class Seen:
    """What was seen, each kind in the order in which it happened."""

    evaluations: list[Evaluation] = field(default_factory=list)
    transitions: list[Transition] = field(default_factory=list)
    messages: list[SlackMessage] = field(default_factory=list)
    deliveries: dict[UUID, Delivery] = field(default_factory=dict)
    """Each in its newest state."""


class Rest:
    """A JSON API, with a key or without."""

    def __init__(self, client: httpx.AsyncClient, url: str, key: str | None = None) -> None:
        self._client, self._url = client, url
        self._headers = {"Authorization": f"Bearer {key}"} if key else {}

    async def get(self, path: str, **query: Any) -> Any:
        """The JSON of a resource, or None where there is none.

        Raises:
            Unavailable: the service did not answer, or refused.
        """
        return await self._call("GET", path, params=query)

    async def put(self, path: str, body: dict[str, Any]) -> Any:
        """Change a resource and return what it is now; None where there is none."""
        return await self._call("PUT", path, json=body)

    async def _call(self, method: str, path: str, **arguments: Any) -> Any:
        try:
            answer = await self._client.request(method, self._url + path, headers=self._headers, **arguments)
        except httpx.TransportError as err:
            raise Unavailable(f"{self._url} does not answer: {type(err).__name__} {err}".rstrip()) from err
        if answer.status_code == httpx.codes.NOT_FOUND:
            return None
        if answer.is_error:
            raise Unavailable(f"{method} {self._url}{path} was answered {answer.status_code}: {answer.text}")
        return answer.json()


class Observer:
    """Watches some models, all incidents, and Slack's stand-in."""

    def __init__(self, incidents: Rest, stand_in: Rest, models: tuple[str, ...]) -> None:
        self._incidents, self._hand_over, self._models = incidents, stand_in, models
        self.seen = Seen()
        self._evaluations: set[UUID] = set()
        self._sequences: dict[int, int] = {}

    async def poll(self) -> Seen:
        """What is new.

        Effects are read before their causes, so that no effect is seen before its cause.
        """
        messages, deliveries = await self._new_messages(), await self._all_deliveries()
        transitions = await self._new_transitions()
        evaluations = [each for model_id in self._models for each in await self._new_evaluations(model_id)]
        new = Seen(evaluations, transitions, messages, deliveries)
        self.seen.evaluations += new.evaluations
        self.seen.transitions += new.transitions
        self.seen.messages += new.messages
        self.seen.deliveries |= new.deliveries
        return new

    async def _new_evaluations(self, model_id: str) -> list[Evaluation]:
        page = await self._incidents.get(f"/v1/models/{model_id}/evaluations", limit=EVALUATIONS_PER_POLL)
        found = [Evaluation.model_validate(item) for item in page["items"]] if page else []
        new = [each for each in reversed(found) if each.evaluation_id not in self._evaluations]
        self._evaluations.update(each.evaluation_id for each in new)
        return new

    async def _new_transitions(self) -> list[Transition]:
        """The new steps of each incident whose sequence has moved on."""
        page = await self._incidents.get("/v1/incidents")
        new: list[Transition] = []
        for incident in reversed(page["items"]):
            number, known = incident["incident_number"], self._sequences.get(incident["incident_number"], 0)
            if incident["sequence"] > known:
                timeline = await self._incidents.get(f"/v1/incidents/{number}/timeline")
                steps = [Transition.model_validate(item) for item in timeline["items"]]
                new += [step for step in steps if step.sequence > known]
                self._sequences[number] = max(step.sequence for step in steps)
        return sorted(new, key=lambda step: step.at)

    async def _all_deliveries(self) -> dict[UUID, Delivery]:
        """The deliveries of all incidents that were seen."""
        pages = [await self._incidents.get(f"/v1/incidents/{number}/deliveries") for number in self._sequences]
        found = [Delivery.model_validate(item) for page in pages for item in page["items"]]
        return {each.delivery_id: each for each in found}

    async def _new_messages(self) -> list[SlackMessage]:
        posted = await self._hand_over.get("/control/messages")
        messages = [_message(item) for item in posted]
        known = len(self.seen.messages)
        return messages[known:]


def _message(posted: dict[str, Any]) -> SlackMessage:
    """A message as the stand-in keeps it."""
    payload = posted["payload"]
    summary = as_text({"text": payload.get("text", "")})
    return SlackMessage(posted["number"], datetime.fromisoformat(posted["at"]), summary, as_text(payload))
