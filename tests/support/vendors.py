"""Stand-ins for PagerDuty, Alertmanager, Microsoft Teams and Discord: they take what the vendors' references let
through, keep what the other side would then know, and answer an error first where a test has planned one."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

import orjson
from fastapi import FastAPI, Request, Response

ROUTING_KEY = "R0123456789ABCDEF0123456789ABCDE"
SEVERITIES = ("critical", "error", "warning", "info")


@dataclass
class Planned:
    """An answer that is given instead of the vendor's own."""

    status: int
    body: object = ""
    headers: dict[str, str] = field(default_factory=dict)


@dataclass
class Vendor:
    """What it was sent, in order, and what it answers next."""

    received: list[Any] = field(default_factory=list)
    refused: list[str] = field(default_factory=list)
    planned: list[Planned] = field(default_factory=list)
    alerts: dict[str, str] = field(default_factory=dict)
    """PagerDuty's alerts by `dedup_key`, and their state."""
    headers: list[dict[str, str]] = field(default_factory=list)

    def app(self, path: str, take: Callable[[Vendor, bytes], Response]) -> FastAPI:
        """Serve one address."""
        app = FastAPI()

        @app.post(path)
        async def receive(request: Request) -> Response:
            self.headers.append(dict(request.headers))
            if self.planned:
                planned = self.planned.pop(0)
                body = planned.body if isinstance(planned.body, str) else orjson.dumps(planned.body)
                return Response(body, planned.status, planned.headers)
            return take(self, await request.body())

        return app

    def refuse(self, status: int, why: str, body: object) -> Response:
        """Answer an error, and remember why."""
        self.refused.append(why)
        return answer(status, body)


def answer(status: int, body: object) -> Response:
    """An answer in JSON."""
    return Response(orjson.dumps(body), status, media_type="application/json")


def pagerduty(vendor: Vendor, body: bytes) -> Response:
    """`POST /v2/enqueue`, as the reference of the Events API v2 has it."""
    event = orjson.loads(body)
    wrong = next(_wrong_with_event(event, len(body)), None)
    if wrong:
        refusal = {"status": "invalid event", "message": "Event object is invalid", "errors": [wrong]}
        return vendor.refuse(400, wrong, refusal)
    action, key = event["event_action"], event["dedup_key"]
    known = vendor.alerts.get(key, "resolved")
    if action == "trigger" and known == "resolved":
        vendor.alerts[key] = "triggered"
    elif action != "trigger" and known != "resolved":
        vendor.alerts[key] = {"acknowledge": "acknowledged", "resolve": "resolved"}[action]
    vendor.received.append(event)
    return answer(202, {"status": "success", "message": "Event processed", "dedup_key": key})


def _wrong_with_event(event: dict[str, Any], size_of_body: int) -> Iterator[str]:
    if size_of_body > 512 * 1024:
        yield "too large"
    if len(event.get("routing_key", "")) != 32:
        yield "Length of 'routing_key' is incorrect (should be 32 characters)"
    if event.get("event_action") not in ("trigger", "acknowledge", "resolve"):
        yield "'event_action' is invalid"
    if not 0 < len(event.get("dedup_key", "")) <= 255:
        yield "'dedup_key' is invalid"
    if event["event_action"] != "trigger":
        return
    payload = event["payload"]
    datetime.fromisoformat(payload["timestamp"])
    if not (0 < len(payload["summary"]) <= 1024 and payload["source"] and payload["severity"] in SEVERITIES):
        yield "'payload' is invalid"
    if not isinstance(payload["custom_details"], dict) or not all(link["href"] for link in event["links"]):
        yield "'custom_details' is invalid"


def alertmanager(vendor: Vendor, body: bytes) -> Response:
    """`POST /api/v2/alerts`, as its OpenAPI document and its validation have it."""
    alerts = orjson.loads(body)
    for alert in alerts:
        starts_at = datetime.fromisoformat(alert["startsAt"])
        if not alert["labels"].get("alertname") or not all(alert["labels"].values()):
            return vendor.refuse(400, "labels", "at least one label pair required")
        if "endsAt" in alert and datetime.fromisoformat(alert["endsAt"]) < starts_at:
            return vendor.refuse(400, "times", "start time must be before end time")
        if not all(isinstance(each, str) for each in (alert["labels"] | alert["annotations"]).values()):
            return vendor.refuse(400, "texts", "invalid alert")
    vendor.received.append(alerts)
    return answer(200, "")


def teams(vendor: Vendor, body: bytes) -> Response:
    """The trigger of a workflow, and the limit of what it posts."""
    message = orjson.loads(body)
    if message.get("type") != "message" or not isinstance(message.get("attachments"), list):
        return vendor.refuse(400, "schema", {"error": {"code": "TriggerInputSchemaMismatch", "message": "…"}})
    if len(body) > 28 * 1024:
        return vendor.refuse(413, "too large", {"error": {"code": "RequestEntityTooLarge", "message": "…"}})
    (attachment,) = message["attachments"]
    card = attachment["content"]
    if attachment["contentType"] != "application/vnd.microsoft.card.adaptive" or card["type"] != "AdaptiveCard":
        return vendor.refuse(400, "no card", {"error": {"code": "BadRequest", "message": "…"}})
    vendor.received.append(card)
    return Response("", 202)


def discord(vendor: Vendor, body: bytes) -> Response:
    """Executing a webhook with `wait=true`, and the limits of embeds."""
    message = orjson.loads(body)
    wrong = next(_wrong_with_embeds(message), None)
    if wrong:
        return vendor.refuse(400, wrong, {"code": 50035, "message": "Invalid Form Body", "errors": {"embeds": wrong}})
    vendor.received.append(message)
    return answer(200, {"id": str(len(vendor.received)), "type": 0})


def _wrong_with_embeds(message: dict[str, Any]) -> Iterator[str]:
    embeds = message.get("embeds", [])
    parts = [(embed[name], longest) for embed in embeds for name, longest in (("title", 256), ("description", 4096))]
    fields = [each for embed in embeds for each in embed["fields"]]
    parts += [(each[name], longest) for each in fields for name, longest in (("name", 256), ("value", 1024))]
    yield from (text[:20] for text, longest in parts if not 0 < size(text) <= longest)
    if any(len(embed["fields"]) > 25 for embed in embeds) or sum(size(text) for text, _ in parts) > 6000:
        yield "too much"
    if size(message.get("content", "")) > 2000 or not (embeds or message.get("content")):
        yield "content"


def size(text: str) -> int:
    """Length in UTF-16 units: no vendor counts more."""
    return len(text.encode("utf-16-le", "surrogatepass")) // 2
