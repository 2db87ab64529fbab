"""However many obsolete reminders lie before what is due, they are ended, and only some of them at once."""

from __future__ import annotations

from datetime import UTC, datetime
from types import SimpleNamespace
from typing import Any, cast
from uuid import UUID

import pytest

from sentryml_common.postgres.pool import Connection
from sentryml_notifier.store.queue import queue
from sentryml_notifier.store.queue.together import Unneeded

NOW = datetime(2026, 11, 23, 12, tzinfo=UTC)
SENDING = queue.Sending(UUID(int=1), UUID(int=2), NOW)
OBSOLETE = 2_000


async def test_any_number_of_obsolete_reminders_is_ended_some_in_each_transaction(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    ended = 0

    async def lock_channel(*_: Any) -> Any:
        return {"bucket_full_at": NOW, "paused_until": None}

    async def next_one(*_: Any) -> Unneeded | None:
        return Unneeded(cast(Any, [SimpleNamespace()]), "not needed") if ended < OBSOLETE else None

    async def end(*_: Any) -> None:
        nonlocal ended
        ended += 1

    monkeypatch.setattr(queue, "_lock_channel", lock_channel)
    monkeypatch.setattr(queue, "_next", next_one)
    monkeypatch.setattr(queue, "_end", end)
    transactions = 1
    while await queue.claim_due(cast(Connection, None), SENDING, "fingerprint", NOW) == queue.Cleared():
        transactions += 1
    assert ended == OBSOLETE
    assert transactions >= OBSOLETE / queue.ENDED_AT_ONCE
