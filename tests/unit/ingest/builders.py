"""Events, a publisher that records, and the application with a client: what tests of ingest are made of."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from typing import Any

import httpx
import orjson
from fastapi import FastAPI
from prometheus_client import REGISTRY

from sentryml_common.contracts.monitor import Monitor
from sentryml_common.contracts.topics import MONITORS
from sentryml_common.http.problems import MEDIA_TYPE, install_problems
from sentryml_common.kafka.follower import Follower
from sentryml_ingest.app import create_app, limits_of
from sentryml_ingest.domain.sent_events import Sent, read_sent
from sentryml_ingest.http.gateway import Gateway
from sentryml_ingest.publisher import EventPublisher
from sentryml_ingest.settings import IngestSettings
from tests.unit.common.keys import KEY, api_key, clock, gatekeeper_of


def event(**changes: Any) -> dict[str, Any]:
    """An event as a sender writes it."""
    return {"model_id": "flights-delay", "prediction": "late", **changes}


def read(*changes: dict[str, Any]) -> Sent:
    """Events as they were read, each with its changes."""
    return read_sent(orjson.dumps([event(**each) for each in changes]), most_events=len(changes))


def known_monitors(*monitors: Monitor, caught_up: bool = True) -> Follower[Monitor]:
    """The monitors as they are after reading the topic."""
    follower = Follower(MONITORS, Monitor)
    follower.current.update({monitor.model_id: monitor for monitor in monitors})
    if caught_up:
        follower.caught_up.set()
    return follower


class RecordingPublisher(EventPublisher):
    """Takes every record, or raises `error` instead."""

    def __init__(self) -> None:
        super().__init__(seconds=1.0)
        self.records: list[bytes] = []
        self.request_ids: list[bytes | None] = []
        self.error: Exception | None = None

    def publish(self, array: bytes, events: int, request_id: bytes | None = None) -> asyncio.Future[None]:
        answered = asyncio.get_running_loop().create_future()
        if self.error is not None:
            answered.set_exception(self.error)
            return answered
        self.records.append(array)
        self.request_ids.append(request_id)
        answered.set_result(None)
        return answered


@dataclass(frozen=True, slots=True)
class Ingest:
    """The application with a client whose key may write, and what was published."""

    client: httpx.AsyncClient
    publisher: RecordingPublisher

    async def send(self, body: Any, **headers: str) -> httpx.Response:
        content = body if isinstance(body, bytes) else orjson.dumps(body)
        known = {"authorization": f"Bearer {KEY}", "content-type": "application/json"}
        return await self.client.post("/v1/events", content=content, headers={**known, **headers})

    async def refused(self, body: Any, status: int, kind: str, **headers: str) -> dict[str, Any]:
        """The problem that answers `body`; nothing was published."""
        answer = await self.send(body, **headers)
        assert answer.status_code == status, answer.text
        assert answer.headers["content-type"] == MEDIA_TYPE
        problem: dict[str, Any] = answer.json()
        assert problem["type"] == f"urn:sentryml:problem:{kind}"
        assert problem["status"] == status
        assert self.publisher.records == []
        return problem


def app_with(
    publisher: EventPublisher, settings: IngestSettings, monitors: Follower[Monitor] | None = None, **key: Any
) -> FastAPI:
    monitors = monitors or known_monitors()
    app = create_app(Gateway(settings, gatekeeper_of(api_key(**key)), monitors, limits_of(settings), publisher, clock))
    install_problems(app)
    return app


def client_of(app: FastAPI) -> httpx.AsyncClient:
    transport = httpx.ASGITransport(app, raise_app_exceptions=False)
    return httpx.AsyncClient(transport=transport, base_url="http://ingest")


def counted(name: str, **labels: str) -> float:
    return REGISTRY.get_sample_value(name, labels) or 0.0
