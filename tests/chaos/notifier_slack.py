"""A Slack that fails in every way it can: the stand-in over HTTP, with a shuffled deck of faults."""

from __future__ import annotations

import asyncio
import random
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, nullcontext
from dataclasses import dataclass

import uvicorn

from sentryml_common.clock import system_clock
from sentryml_local.slack_stand_in.app import make_http
from sentryml_local.slack_stand_in.store import Ending, RateLimit, Script, Store

SEND_SECONDS = 2.0
"""How long the notifier under fire waits for an answer."""

TOKEN = "stand-in"

ELSEWHERE = {"Location": "http://127.0.0.1:1/elsewhere"}
ARCHIVED = Script(status=410, body="channel_is_archived")
FAULTS: dict[str, Script] = {
    "429": Script(status=429, body="rate_limited", headers={"Retry-After": "1"}),
    "500, taken": Script(status=500, body="rollup_error", accept=True),
    "500, lost": Script(status=500, body="rollup_error", accept=False),
    "503": Script(status=503),
    "302": Script(status=302, headers=ELSEWHERE),
    "404": Script(status=404, body="no_service"),
    "410": ARCHIVED,
    "slow": Script(delay_seconds=SEND_SECONDS / 4),
    "too slow, taken": Script(delay_seconds=SEND_SECONDS * 1.5, accept=True),
    "reset, taken": Script(ending=Ending.RESET, accept=True),
    "reset, lost": Script(ending=Ending.RESET, accept=False),
    "cut, taken": Script(ending=Ending.CUT, accept=True),
    "cut, lost": Script(ending=Ending.CUT, accept=False),
}
AS_USUAL, FOR_GOOD = "as usual", "410, for good"


class HostileStore(Store):
    """What the stand-in keeps, and which fault it has played at which request."""

    def __init__(self, rng: random.Random, each: int, as_usual: int) -> None:
        super().__init__(None)
        self._deck: list[str] = [*(list(FAULTS) * each), *[AS_USUAL] * as_usual]
        rng.shuffle(self._deck)
        self._gone = False
        self.played: dict[int, str] = {}

    @property
    def faults_left(self) -> int:
        return len(self._deck) - self._deck.count(AS_USUAL)

    def be_gone(self) -> None:
        """From now on the channel is archived."""
        self._gone = True

    def next_scripted(self) -> Script | None:
        """The next card of the deck; when it is used up, Slack works."""
        name = FOR_GOOD if self._gone else self._deck.pop() if self._deck else AS_USUAL
        self.played[len(self.requests) + 1] = name
        return ARCHIVED if self._gone else FAULTS.get(name)


@dataclass(frozen=True, slots=True)
class HostileSlack:
    """Where it listens, and what it got."""

    store: HostileStore
    authority: str

    @property
    def address(self) -> str:
        return f"http://{self.authority}/services/T0CHAOS/B0CHAOS/{TOKEN}"


@asynccontextmanager
async def hostile_slack(store: HostileStore, limit: RateLimit) -> AsyncIterator[HostileSlack]:
    """Serve it; what comes faster than `limit` is answered 429 beside all else."""
    store.limit(limit, system_clock().timestamp())
    listener = socket.create_server(("127.0.0.1", 0))
    config = uvicorn.Config(make_http(store, TOKEN, system_clock), log_config=None, access_log=False)
    server = uvicorn.Server(config)
    server.capture_signals = nullcontext  # type: ignore[assignment, method-assign]
    serving = asyncio.create_task(server.serve([listener]))
    try:
        yield HostileSlack(store, f"127.0.0.1:{listener.getsockname()[1]}")
    finally:
        server.should_exit = True
        await serving
