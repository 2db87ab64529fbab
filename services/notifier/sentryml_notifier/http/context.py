"""What every route needs: the database, the clock, the channels.

HTTP answers from the first moment on, so the pool may not be there yet: then the answer is 503.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Annotated
from uuid import UUID

from fastapi import Depends, FastAPI, Request
from pydantic import SecretStr

from sentryml_common.clock import Clock
from sentryml_common.contracts.transition import Actor
from sentryml_common.errors import Unavailable
from sentryml_common.http.access import Gatekeeper
from sentryml_common.postgres.pool import Connection, Pool, transaction
from sentryml_notifier.channel_registry import ChannelRegistry
from sentryml_notifier.domain.change import Action, Change
from sentryml_notifier.secrets import SecretBox
from sentryml_notifier.store.audit import Audit
from sentryml_notifier.store.changes import insert_change


@dataclass(slots=True)
class Context:
    """Filled by the wiring as the parts become available. `reserved_names` are those of channels that settings make,
    by name of the setting; `wake` lets what has become due leave now; `audit` is the last audit of the whole ledger;
    without `internal_secret` no other service asks."""

    gatekeeper: Gatekeeper
    clock: Clock
    new_id: Callable[[], UUID]
    reserved_names: Mapping[str, str] = field(default_factory=dict)
    secret_box: SecretBox = field(default_factory=lambda: SecretBox([]))
    pool: Pool | None = None
    registry: ChannelRegistry | None = None
    wake: Callable[[], None] = lambda: None
    audit: Audit | None = None
    internal_secret: SecretStr | None = None

    @asynccontextmanager
    async def transaction(self) -> AsyncIterator[Connection]:
        """One transaction.

        Raises:
            Unavailable: PostgreSQL is away, or has not answered yet since the start.
        """
        if self.pool is None:
            raise _starting()
        async with transaction(self.pool) as connection:
            yield connection

    async def note(
        self, connection: Connection, actor: Actor, action: Action, subject_id: UUID, subject: str, text: str
    ) -> None:
        """Write down what somebody does, in the transaction that does it; `subject` is what it is called now."""
        await insert_change(connection, Change(self.clock(), actor, action, subject_id, subject, text))

    def keep_audit(self, audit: Audit) -> None:
        self.audit = audit

    def channels(self) -> ChannelRegistry:
        """The channels of this process.

        Raises:
            Unavailable: PostgreSQL has not answered yet since the start.
        """
        if self.registry is None:
            raise _starting()
        return self.registry


def _starting() -> Unavailable:
    return Unavailable("PostgreSQL does not answer yet: the service is starting")


def install_context(app: FastAPI, context: Context) -> None:
    """Give `context` to the routes of `app`."""
    app.state.notifier = context


async def _context_of(request: Request) -> Context:
    """A coroutine, since FastAPI gives any other dependency to a thread, for each request."""
    context: Context = request.app.state.notifier
    return context


WithContext = Annotated[Context, Depends(_context_of)]
