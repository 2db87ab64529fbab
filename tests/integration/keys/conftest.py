"""Incidents and ingest as processes on one Kafka, and keys made by either way there is."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx

from tests.integration.incidents.test_service import Service, running
from tests.integration.ingest.conftest import Ingest, start_ingest
from tests.support.eventually import eventually

__all__ = ["start_ingest"]

EVENT = {"model_id": "keys-test", "prediction": "late"}


@dataclass(frozen=True, slots=True)
class Incidents:
    """A running incidents, asked with its admin key unless a test brings another."""

    service: Service

    async def ask(self, method: str, path: str, **how: Any) -> httpx.Response:
        answer = await self.service.ask(method, path, **how)
        assert answer is not None
        return answer

    async def make_key(self, *scopes: str, name: str = "test") -> str:
        """A new key."""
        answer = await self.ask("POST", "/v1/api-keys", json={"name": name, "scopes": scopes})
        assert answer.status_code == 201, answer.text
        return str(answer.json()["api_key"])

    async def shown(self, key: str) -> dict[str, Any]:
        """What is listed of a key."""
        items = (await self.ask("GET", "/v1/api-keys")).json()["items"]
        return next(each for each in items if each["key_id"] == key_id(key))


@contextmanager
def incidents(folder: Path, admin_key: str, **settings: str) -> Iterator[Incidents]:
    with running(folder, admin_key, **settings) as service:
        yield Incidents(service)


def key_id(key: str) -> str:
    return key[4:16]


async def until(ingest: Ingest, key: str, status: int) -> None:
    """Wait until ingest answers so to events sent with a key."""

    async def answered() -> bool:
        return (await ingest.send(key, EVENT)).status_code == status

    await eventually(answered, what=f"{status} from ingest", within=10)
