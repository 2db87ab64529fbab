"""A stand-in for ingest, and clients of it that are closed at the end."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import pytest

import sentryml.delivery
from sentryml import Client
from tests.support.ingest_stand_in import KEY, StandIn, stand_in

NewClient = Callable[..., Client]


@pytest.fixture
def ingest() -> Iterator[StandIn]:
    """A server in the place of ingest."""
    with stand_in() as state:
        yield state


@pytest.fixture(autouse=True)
def _short_delays(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sentryml.delivery, "FIRST_DELAY_SECONDS", 0.001)


@pytest.fixture
def new_client(ingest: StandIn) -> Iterator[NewClient]:
    """Make clients of the stand-in."""
    made: list[Client] = []

    def new(**settings: Any) -> Client:
        made.append(Client(ingest.url, KEY, **{"flush_seconds": 20.0, **settings}))
        return made[-1]

    yield new
    ingest.gate.set()
    for client in made:
        client.close(0.1)


@pytest.fixture
def client(new_client: NewClient) -> Client:
    """A client with the usual settings."""
    return new_client()
