"""Outboxes: rows that a transaction left for Kafka, and how a relay takes them."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from datetime import datetime

from sentryml_common.contracts.message import Message
from sentryml_common.postgres.pool import Connection


@dataclass(frozen=True, slots=True)
class Claim:
    """One message that a transaction may publish, under its Kafka key; without a message it is a tombstone."""

    key: str
    message: Message | None


@dataclass(frozen=True, slots=True)
class Outbox:
    """Rows to publish, and the topic they go to. What `claim` takes is taken if the caller's transaction commits."""

    topic: str
    claim: Callable[[Connection, datetime], Awaitable[list[Claim]]]
