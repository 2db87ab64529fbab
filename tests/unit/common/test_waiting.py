"""Waiting for a server: as long as it takes, with a log line, and only for the errors that waiting helps."""

from __future__ import annotations

import asyncio

import pytest

from sentryml_common import waiting
from sentryml_common.health import Health
from sentryml_common.waiting import happened, wait_for


class Server:
    """Answers after some refusals; keeps what `/readyz` said at each attempt."""

    def __init__(self, health: Health, *refusals: Exception) -> None:
        self._health, self._refusals = health, list(refusals)
        self.said: list[str | None] = []

    async def attempt(self) -> str:
        self.said.append(self._health.waiting_for.get("kafka"))
        if self._refusals:
            raise self._refusals.pop(0)
        return "connected"


@pytest.fixture(autouse=True)
def _short_pauses(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(waiting, "FIRST_PAUSE_SECONDS", 0.001)
    monkeypatch.setattr(waiting, "LONGEST_PAUSE_SECONDS", 0.002)


def ready_but_for(*names: str) -> Health:
    health = Health()
    health.ready("start")
    for name in names:
        health.waiting(name, "connecting")
    return health


async def test_a_server_that_answers_is_not_waited_for() -> None:
    health = ready_but_for()
    server = Server(health)
    assert await wait_for("kafka", "k:9092", server.attempt, health, (OSError,)) == "connected"
    assert server.said == ["connecting to k:9092"]
    assert health.waiting_for == {}


async def test_a_server_that_is_away_is_asked_again_and_readyz_says_why() -> None:
    health = ready_but_for("postgres")
    server = Server(health, OSError("refused"), OSError("refused"), TimeoutError("too slow"), OSError("reset"))
    assert await wait_for("kafka", "k:9092", server.attempt, health, (OSError,)) == "connected"
    assert server.said == [
        "connecting to k:9092",
        "k:9092 does not answer: OSError: refused",
        "k:9092 does not answer: OSError: refused",
        "k:9092 does not answer: TimeoutError: too slow",
        "k:9092 does not answer: OSError: reset",
    ]
    assert health.waiting_for == {"postgres": "connecting"}


async def test_an_error_that_waiting_does_not_help_is_raised_at_once() -> None:
    health = ready_but_for()
    server = Server(
        health, ConnectionError("refused"), PermissionError("wrong password"), ConnectionError("not reached")
    )
    with pytest.raises(PermissionError, match="wrong password"):
        await wait_for("kafka", "k:9092", server.attempt, health, (ConnectionError,))
    assert len(server.said) == 2


async def test_event_is_waited_for_and_left_as_it_is() -> None:
    event = asyncio.Event()
    asyncio.get_running_loop().call_soon(event.set)
    assert await happened(event, 60)
    assert event.is_set()


async def test_event_that_does_not_come_is_not_waited_for_longer() -> None:
    assert not await happened(asyncio.Event(), 0.01)
