"""What the pages show in browser tests: people, keys, models and incidents of every kind, on the shared stack.

Evaluations are written to Kafka as the processor would write them, so that an incident is there in a second and not
after days of drift; all that follows is the real system.
"""

from __future__ import annotations

import re
import time
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

import httpx
from aiokafka import AIOKafkaProducer

from sentryml_common.clock import system_clock
from sentryml_common.contracts.evaluation import (
    Evaluation,
    Signal,
    SignalEvaluation,
    SliceEvaluation,
    SliceSignal,
    Slicing,
)
from sentryml_common.contracts.message import encode
from sentryml_common.contracts.topics import EVALUATIONS, PREDICTIONS
from sentryml_incidents.domain.roles import Role
from sentryml_local.stack import Stack
from tests.support.eventually import eventually
from tests.support.http_client import http_client
from tests.support.signing_in import sign_in, submit
from tests.unit.incidents.builders import BINS, a_categorical_bin, a_signal, an_evaluation, proposing, slowly

PASSWORD = "correct horse battery"
MINUTE = timedelta(minutes=1)
LONGEST = ("a-model-with-the-longest-name-that-is-allowed." * 3)[:128]
HOSTILE = "<script>alert(1)</script> " + "W" * 100


@dataclass
class Scene:
    """The stack as its users know it, and what is on its pages."""

    environment: dict[str, str]
    admin: httpx.AsyncClient
    api: httpx.AsyncClient
    producer: AIOKafkaProducer
    cookies: dict[Role, dict[str, str]] = field(default_factory=dict)
    numbers: dict[str, int] = field(default_factory=dict)
    user_ids: dict[str, str] = field(default_factory=dict)

    @property
    def url(self) -> str:
        """Where the pages are."""
        return self.environment["SENTRYML_INCIDENTS_URL"]

    async def add_person(self, email: str, role: Role) -> httpx.AsyncClient:
        """An account with PASSWORD; returns a client that is signed in as its owner."""
        shown = await submit(self.admin, "/users", "/users/add", email=email, role=role.value)
        found = re.search(r'class="secret"><code>([^<]+)<', shown.text)
        assert found is not None, shown.text
        client = a_client(self.url)
        assert (await sign_in(client, email, found[1])).status_code == 303
        await submit(client, "/account", "/account/password", current=found[1], new=PASSWORD)
        await submit(client, "/account", "/account/name", name=email.partition("@")[0].capitalize())
        return client

    async def sees(self, model_id: str, *grades: str, last: datetime | None = None, every: timedelta = MINUTE) -> None:
        """Let evaluations of a model arrive, `every` so often, up to `last` (default: now)."""
        end = last or system_clock()
        times = [end - every * back for back in reversed(range(len(grades)))]
        await self.take([an_evaluation(grade, at, model_id=model_id) for grade, at in zip(grades, times, strict=True)])

    async def take(self, evaluations: Sequence[Evaluation]) -> None:
        """Let evaluations arrive, as they are."""
        for each in evaluations:
            await self.producer.send(EVALUATIONS.name, encode(each), key=each.model_id.encode())
        await self.producer.flush()

    async def incident(self, model_id: str, state: str = "open") -> int:
        """The number of a model's latest incident, once it is in `state`."""

        async def found() -> int | None:
            items = (await self._get("/v1/incidents", model=model_id))["items"]
            return items[0]["incident_number"] if items and items[0]["state"] == state else None

        return await eventually(found, what=f"an incident of {model_id} that is {state}")

    async def set_models(self) -> None:
        """One of each kind: critical, warning with hostile names, acknowledged, resolved, quiet, slow, warming up."""
        now = system_clock()
        day = ["ok", "hold", "ok", "ok"] * 30
        await self.sees("checkout-fraud", *day, "warn", "warn", "critical", every=5 * MINUTE)
        hostile = (*BINS, a_categorical_bin(HOSTILE, 0.1, 0.3))
        times = [now - 2 * MINUTE, now - MINUTE]
        sliced = [an_evaluation("warn", at, model_id=LONGEST, bins=hostile) for at in times]
        found = {"slices": slices(times[0]), "segments": segments()}
        await self.take([each.model_copy(update=found) for each in sliced])
        await self.sees("search-rank", "critical")
        await self.sees("churn", "critical", *["ok"] * 12, last=now, every=15 * MINUTE)
        await self.sees("quiet", *day, every=5 * MINUTE)
        await self.drift_slowly("pricing", now)
        await self.send("just-seen", 500)
        await self.send_unreadable()
        self.numbers = {
            "open": await self.incident("checkout-fraud"),
            "longest": await self.incident(LONGEST),
            "resolved": await self.incident("churn", "resolved"),
            "acknowledged": await self.incident("search-rank"),
            "slow": await self.incident("pricing"),
        }
        answer = await self.api.post(
            f"/v1/incidents/{self.numbers['acknowledged']}/acknowledge", json={"note": "Looking at it: " + "x" * 300}
        )
        assert answer.status_code == 200, answer.text

        answer = await self.api.post(f"/v1/models/{LONGEST}/markers", json={"text": HOSTILE[:100].replace("\n", " ")})
        assert answer.status_code == 201, answer.text

    async def send_unreadable(self) -> None:
        """Records that cannot be used: from a producer with the wrong serializer, and from one without a name."""
        named = [("sentryml-sender", b"pricing-service")]
        for _ in range(12):
            await self.producer.send(PREDICTIONS.name, b"\x00\x00\x00\x00\x11{}", headers=named)
        await self.producer.send(PREDICTIONS.name, b'{"model_id": "quiet", "price": 12}')
        await self.producer.flush()

        async def counted() -> bool:
            items = (await self._get("/v1/unreadable-records"))["items"]
            return sum(each["in_all"] for each in items) == 13

        await eventually(counted, what="unreadable records to be counted")

    async def drift_slowly(self, model_id: str, now: datetime) -> None:
        """A reference, and comparisons with it that open a warning."""
        first, *later = (an_evaluation("ok", now - back * MINUTE, model_id=model_id) for back in (180, 120, 60))
        await self.take([proposing(first), *(slowly(each, "warn") for each in later)])

    async def send(self, model_id: str, count: int) -> None:
        """Send events of now."""
        scores = [round(0.05 + 0.9 * (number % 97) / 97, 4) for number in range(count)]
        events = [
            {"model_id": model_id, "prediction": "late" if score > 0.5 else "on time", "score": score,
             "timestamp": time.time()}
            for score in scores
        ]  # fmt: skip
        key = {"Authorization": f"Bearer {self.environment['SENTRYML_EVENTS_KEY']}"}
        async with http_client(headers=key, timeout=60) as client:
            answer = await client.post(f"{self.environment['SENTRYML_INGEST_URL']}/v1/events", json=events)
        assert answer.status_code == 202, answer.text

    async def _get(self, path: str, **query: str) -> Any:
        answer = await self.api.get(path, params=query)
        assert answer.status_code == 200, f"{path}: {answer.text}"
        return answer.json()


def slices(began: datetime) -> tuple[SliceEvaluation, ...]:
    """Versions and segments, one of them with a name as long and as hostile as may be."""
    score = SliceSignal(signal=Signal.SCORE, psi=0.61, warn_at=0.1, others_psi=0.02, others_warn_at=0.1)
    values = ((Slicing.VERSION, "2.3", began), (Slicing.VERSION, "2.2", None), (Slicing.SEGMENT, HOSTILE[:64], None))
    return tuple(
        SliceEvaluation(slicing=slicing, value=value, events=500, share=0.5, began=since, signals=(score,))
        for slicing, value, since in values
    )


def segments() -> tuple[SignalEvaluation, ...]:
    """Segments that are evaluated by themselves: one that drifts, with such a name, and one that does not."""
    drifting = a_signal("warn").model_copy(update={"segment": HOSTILE[:64]})
    return drifting, a_signal("ok").model_copy(update={"segment": "eu", "bins": ()})


def a_client(url: str, **headers: str) -> httpx.AsyncClient:
    """A client that keeps no connection: the service would close it while a browser is looked at."""
    limits = httpx.Limits(max_keepalive_connections=0)
    return http_client(url, headers=headers, limits=limits, timeout=60)


@asynccontextmanager
async def a_scene(stack: Stack) -> AsyncIterator[Scene]:
    """On a running stack: people and keys, and no models yet."""
    environment = stack.environment()
    url, key = environment["SENTRYML_INCIDENTS_URL"], environment["SENTRYML_ADMIN_KEY"]
    producer = AIOKafkaProducer(bootstrap_servers=environment["SENTRYML_KAFKA_BOOTSTRAP"])
    await producer.start()
    try:
        async with a_client(url) as admin, a_client(url, Authorization=f"Bearer {key}") as api:
            scene = Scene(environment, admin, api, producer)
            await _set_people(scene)
            yield scene
    finally:
        await producer.stop()


async def _set_people(scene: Scene) -> None:
    email, password = (scene.environment[name] for name in ("SENTRYML_ADMIN_EMAIL", "SENTRYML_ADMIN_PASSWORD"))
    assert (await sign_in(scene.admin, email, password)).status_code == 303
    scene.cookies[Role.ADMIN] = dict(scene.admin.cookies)
    for name, role in (("rosa", Role.RESPONDER), ("vera", Role.VIEWER)):
        client = await scene.add_person(f"{name}@example.org", role)
        scene.cookies[role] = dict(client.cookies)
        await client.aclose()
    listed = (await scene.admin.get("/users")).text
    scene.user_ids = {
        email.partition("@")[0]: user_id for user_id, email in re.findall(r'users/([0-9a-f-]{36})">([^<]+)</a>', listed)
    }
    await submit(scene.admin, "/keys", "/keys/make", name="batch scoring", scopes="read", models="fraud-* churn-*")
