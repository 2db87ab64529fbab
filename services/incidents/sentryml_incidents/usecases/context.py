"""What every route needs: the database, the clock, the address that links begin with.

HTTP answers from the first moment on, so the pool may not be there yet: then it is 503, in words.
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Annotated

from fastapi import Depends, FastAPI, Request

from sentryml_common.clock import Clock, system_clock
from sentryml_common.errors import Unavailable
from sentryml_common.key_usage import KeyUsage
from sentryml_common.postgres.pool import Connection, Pool, transaction
from sentryml_incidents.clients.drift import Processors
from sentryml_incidents.clients.ingest import Ingest
from sentryml_incidents.clients.notifier import Notifier
from sentryml_incidents.streaming.hub import Hub

STALLED_AFTER = timedelta(minutes=10)
COUNTED_SECONDS = 20.0
"""Counting takes up to 15 s: 5 s until the combiner emits, 5 s until the processor reports what a model has sent."""


@dataclass(frozen=True, slots=True)
class KafkaAddress:
    """Where producers of their own write predictions to."""

    bootstrap: str
    topic: str


@dataclass(slots=True)
class Context:
    """Filled by the wiring as the parts become available. `stalled_after` is how long predictions may not be counted
    before that is a fault; `counted_seconds` how long a test event is waited for; `ingest_url` and `kafka` are the
    addresses that senders are shown."""

    public_url: str
    clock: Clock = system_clock
    pool: Pool | None = None
    hub: Hub | None = None
    processors: Processors | None = None
    notifier: Notifier | None = None
    ingest: Ingest | None = None
    ingest_url: str | None = None
    kafka: KafkaAddress | None = None
    counted_seconds: float = COUNTED_SECONDS
    stalled_after: timedelta = STALLED_AFTER
    key_usage: KeyUsage = field(default_factory=lambda: KeyUsage("incidents"))

    @asynccontextmanager
    async def transaction(self) -> AsyncIterator[Connection]:
        """One transaction.

        Raises:
            Unavailable: PostgreSQL is away, or has not answered yet since the start.
        """
        if self.pool is None:
            raise Unavailable("PostgreSQL does not answer yet: the service is starting")
        async with transaction(self.pool) as connection:
            yield connection

    def now(self) -> datetime:
        """The time of what people do."""
        return self.clock()


def install_context(app: FastAPI, context: Context) -> None:
    """Give `context` to the routes of `app`."""
    app.state.incidents = context


def context_of(request: Request) -> Context:
    """The context of a request's application."""
    context: Context = request.app.state.incidents
    return context


async def _context_of(request: Request) -> Context:
    """A coroutine, since FastAPI gives any other dependency to a thread, for each request."""
    return context_of(request)


WithContext = Annotated[Context, Depends(_context_of)]
