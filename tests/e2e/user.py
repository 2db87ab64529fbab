"""A user of the whole stack, and the traffic of a model."""

from __future__ import annotations

import asyncio
import random
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from typing import Any

import httpx

from sentryml_local.programs import WEBHOOK_PATH
from sentryml_local.stack import Stack
from tests.support.eventually import eventually
from tests.support.http_client import http_client
from tests.support.signing_in import sign_in

EVENTS_PER_SECOND, REQUEST_EVENTS = 500, 2000


class TooOld(Exception):
    """Events were refused since they are older than the monitor's windows reach back."""


@dataclass(slots=True)
class User:
    """Somebody who uses SentryML as its users do: over HTTP, with the two keys, and signed in on the pages."""

    ingest: httpx.AsyncClient
    incidents: httpx.AsyncClient
    notifier: httpx.AsyncClient
    slack: httpx.AsyncClient
    browser: httpx.AsyncClient
    channel_path: str
    """Path of a Slack webhook, with {} where a name of the channel stands."""

    async def send(self, events: list[dict[str, Any]]) -> None:
        answer = await self.ingest.post("/v1/events", json=events)
        if answer.status_code == 422 and " old and would not be counted" in answer.text:
            raise TooOld(answer.text)
        assert answer.status_code == 202, answer.text
        assert answer.json() == {"accepted": len(events)}

    async def get(self, path: str, **query: str | int) -> Any:
        assert "?" not in path, "httpx would put `query` in its place"
        answer = await self.incidents.get(path, params=query)
        assert answer.status_code == 200, f"{path}: {answer.text}"
        return answer.json()

    async def watch(self, model_id: str, **monitor: Any) -> None:
        """Wait until a model is registered, then change its monitor."""

        async def changed() -> bool:
            answer = await self.incidents.put(f"/v1/models/{model_id}/monitor", json=monitor)
            assert answer.status_code in {200, 404}, answer.text
            return answer.status_code == 200

        await eventually(changed, what=f"{model_id} to be registered")

    async def incident_of(self, model_id: str) -> dict[str, Any] | None:
        found = (await self.get("/v1/incidents", model=model_id))["items"]
        return found[0] if found else None

    async def timeline(self, incident_id: str) -> list[dict[str, Any]]:
        return list((await self.get(f"/v1/incidents/{incident_id}/timeline"))["items"])

    async def add_channel(self, name: str, models: str) -> None:
        """A Slack channel that gets the alerts of some models and of no others, so that none of its messages is about
        other tests' incidents as well. Alerts go to the first channel, too."""
        url = str(self.slack.base_url.copy_with(path=self.channel_path.format(name)))
        channel = await self._make("/v1/channels", name=name, kind="slack_webhook", secret={"url": url})
        await self._make("/v1/routes", name=name, channel_id=channel["channel_id"], model_patterns=[models])

    async def _make(self, path: str, **what: Any) -> dict[str, Any]:
        answer = await self.notifier.post(path, json=what)
        assert answer.status_code == 201, answer.text
        made: dict[str, Any] = answer.json()
        return made

    async def messages_on(self, channel: str) -> list[dict[str, Any]]:
        """The messages on a channel made with `add_channel`, oldest first."""
        hook = self.channel_path.format(channel).removeprefix("/services/").rpartition("/")[0]
        answer = await self.slack.get("/control/messages")
        return [message["payload"] for message in answer.json() if message["hook"] == hook]

    async def messages_about(self, model_id: str) -> list[str]:
        answer = await self.slack.get("/control/messages")
        return [str(message["payload"]) for message in answer.json() if model_id in str(message)]


@asynccontextmanager
async def a_user(stack: Stack) -> AsyncIterator[User]:
    """A user of a running stack."""
    env = stack.environment()
    events, admin = ({"Authorization": f"Bearer {env[key]}"} for key in ("SENTRYML_EVENTS_KEY", "SENTRYML_ADMIN_KEY"))
    async with (
        http_client(env["SENTRYML_INGEST_URL"], headers=events, timeout=30) as ingest,
        http_client(env["SENTRYML_INCIDENTS_URL"], headers=admin, timeout=30) as incidents,
        http_client(env["SENTRYML_NOTIFIER_URL"], headers=admin, timeout=30) as notifier,
        http_client(env["SENTRYML_SLACK_STAND_IN_URL"], timeout=30) as slack,
        http_client(env["SENTRYML_INCIDENTS_URL"], timeout=30) as browser,
    ):
        assert (await sign_in(browser, env["SENTRYML_ADMIN_EMAIL"], env["SENTRYML_ADMIN_PASSWORD"])).status_code == 303
        team, _, token = WEBHOOK_PATH.removeprefix("/services/").split("/")
        yield User(ingest, incidents, notifier, slack, browser, f"/services/{team}/B{{}}/{token}")


class Flow:
    """Events of now, `per_second` of them; `event` makes the one of an epoch second."""

    def __init__(self, user: User, per_second: float, event: Callable[[float], dict[str, Any]]) -> None:
        self._user, self._per_second, self._event = user, per_second, event
        self._task = asyncio.create_task(self._flow())

    async def _flow(self) -> None:
        """What a busy machine has held up is sent with the timestamps that it would have had; what it has held up for
        longer than the monitor's windows reach back is refused, and leaves a gap."""
        last = time.time()
        while True:
            await asyncio.sleep(0.1)
            count = min(int((time.time() - last) * self._per_second), REQUEST_EVENTS)
            if count:
                with suppress(TooOld):
                    await self._user.send([self._event(last + number / self._per_second) for number in range(count)])
            last += count / self._per_second

    async def stop(self) -> None:
        """End it; an error that has ended it before is raised here."""
        self._task.cancel()
        with suppress(asyncio.CancelledError):
            await self._task


class Traffic:
    """A model's live traffic: EVENTS_PER_SECOND of now. Its scores can drift, at once or slowly, and at some times
    (`weekend`, of an epoch second) they are as if they did. With `versions`, it is version 2 that drifts."""

    def __init__(
        self,
        user: User,
        model_id: str,
        seed: int,
        weekend: Callable[[float], bool] = lambda at: False,
        *,
        versions: bool = False,
    ) -> None:
        self._versions = versions
        self._model_id, self._rng, self._weekend = model_id, random.Random(seed), weekend
        self.drifting = False
        self._share, self._per_second, self._since = 0.0, 0.0, time.monotonic()
        self._flow = Flow(user, EVENTS_PER_SECOND, self._event)

    def ramp(self, per_second: float) -> None:
        """From now on let the share of events of the other distribution grow by so much each second."""
        self._share, self._per_second, self._since = self._share_now(), per_second, time.monotonic()

    def _share_now(self) -> float:
        return self._share + self._per_second * (time.monotonic() - self._since)

    def _event(self, at: float) -> dict[str, Any]:
        drifts = self.drifting or self._weekend(at) or self._rng.random() < self._share_now()
        score = a_score(self._rng, drifts=drifts)
        version = {"version": "2" if drifts else "1"} if self._versions else {}
        return {"model_id": self._model_id, "prediction": score > 0.5, "score": score, "timestamp": at, **version}

    async def stop(self) -> None:
        """End it; an error that has ended it before is raised here."""
        await self._flow.stop()


def a_score(rng: random.Random, *, drifts: bool) -> float:
    """A score of a usual distribution, or of one that nobody would take for it: PSI 4."""
    return rng.betavariate(6, 2) if drifts else rng.betavariate(2, 5)


def utc_text(epoch_seconds: float) -> str:
    """An epoch second as the API writes it, to the second: texts of times are in the order of the times."""
    return time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(epoch_seconds))
