"""Records that could not be used: what is shown of them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from sentryml_common.postgres.pool import Connection
from sentryml_incidents.domain.system.unreadable import Unreadable, in_short
from sentryml_incidents.store.unreadable import list_unreadable


@dataclass(frozen=True, slots=True)
class UnreadableRecords:
    """All that is kept, `since` when the recent ones are counted, and these in a sentence, if there are any."""

    found: Sequence[Unreadable]
    since: datetime
    in_short: str | None


async def read_unreadable(connection: Connection, now: datetime) -> UnreadableRecords:
    """Of late is since the beginning of the hour before this one: counts are by the hour."""
    since = now.replace(minute=0, second=0, microsecond=0) - timedelta(hours=1)
    found = await list_unreadable(connection, since, now)
    return UnreadableRecords(found, since, in_short(found, since))
