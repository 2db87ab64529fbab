"""Models and the versions of their monitors. A model is registered by being seen, also again after it was deleted."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sentryml_common.contracts.activity import Activity
from sentryml_common.contracts.monitor import Monitor, MonitorSettings
from sentryml_common.contracts.transition import SYSTEM, Actor
from sentryml_common.postgres.pool import Connection
from sentryml_common.postgres.rows import insert_into, names_of, reader_of, values_of
from sentryml_incidents.store.wake import wake_relay
from sentryml_lifecycle.events.on_monitor_change import changes


def monitor_of(message: dict[str, Any] | None) -> Monitor | None:
    """A monitor as it is published; None for the deletion of its model."""
    return None if message is None else Monitor.model_validate(message)


async def find_registered(connection: Connection, model_ids: Iterable[str]) -> set[str]:
    """Those among models that are registered."""
    rows = await connection.fetch("SELECT model_id FROM model WHERE model_id = ANY ($1)", list(model_ids))
    return {row["model_id"] for row in rows}


async def find_deleted(connection: Connection, model_ids: Iterable[str]) -> set[str]:
    """Those among models that were deleted, and not seen since."""
    rows = await connection.fetch(
        "SELECT model_id FROM model WHERE model_id = ANY ($1) AND last_seen <= deleted_at", list(model_ids)
    )
    return {row["model_id"] for row in rows}


async def register_model(
    connection: Connection, model_id: str, settings: MonitorSettings, *, first_seen: datetime, last_seen: datetime
) -> bool:
    """Register a model with the monitor that new models get; False if it is known already."""
    new = await connection.fetchval(
        """
        INSERT INTO model (model_id, first_seen, last_seen) VALUES ($1, $2, $3)
        ON CONFLICT (model_id) DO NOTHING
        RETURNING model_id
        """,
        model_id,
        first_seen,
        last_seen,
    )
    if new is None:
        return False
    await _begin(connection, Monitor(**dict(settings), model_id=model_id, version=1), last_seen)
    return True


async def register_model_again(connection: Connection, activity: Activity, settings: MonitorSettings) -> bool:
    """Register a deleted model that was seen after its deletion; False if it is not deleted, or was not seen since.

    The versions of its monitor go on, so that none is ever taken for another. What was reported before the deletion is
    of before, also where the sender's clock is ahead.
    """
    deleted_at = await connection.fetchval(
        """
        UPDATE model
           SET first_seen = greatest(deleted_at, $2::timestamptz), last_seen = $3::timestamptz
         WHERE model_id = $1 AND last_seen <= deleted_at AND deleted_at < least($3, $4::timestamptz)
        RETURNING deleted_at
        """,
        activity.model_id,
        activity.first_seen,
        activity.last_seen,
        activity.at,
    )
    if deleted_at is None:
        return False
    last = await connection.fetchval("SELECT max(version) FROM monitor_version WHERE model_id = $1", activity.model_id)
    monitor = Monitor(**dict(settings), model_id=activity.model_id, version=last + 1, kept_since=deleted_at)
    await _begin(connection, monitor, activity.at)
    return True


async def _begin(connection: Connection, monitor: Monitor, at: datetime) -> None:
    await insert_monitor_version(connection, monitor, SYSTEM, at)
    await connection.execute(
        "INSERT INTO monitor (model_id, version, first_version) VALUES ($1, $2, $2)", monitor.model_id, monitor.version
    )
    await queue_monitors(connection, [monitor.model_id])


async def insert_monitor_version(connection: Connection, monitor: Monitor, actor: Actor, now: datetime) -> None:
    """Keep a new version of a monitor."""
    settings = monitor.model_dump(mode="json", include=set(MonitorSettings.model_fields))
    await _insert_version(connection, monitor.model_id, monitor.version, settings, actor, now, monitor.kept_since)


async def insert_deletion(connection: Connection, model_id: str, version: int, actor: Actor, now: datetime) -> None:
    """Keep the deletion of a model as a version of its monitor; the relay publishes it as a tombstone."""
    await _insert_version(connection, model_id, version, None, actor, now)
    await connection.execute("INSERT INTO monitor_message (model_id) VALUES ($1)", model_id)
    await wake_relay(connection)


async def _insert_version(
    connection: Connection,
    model_id: str,
    version: int,
    settings: dict[str, Any] | None,
    actor: Actor,
    now: datetime,
    kept_since: datetime | None = None,
) -> None:
    await connection.execute(
        """
        INSERT INTO monitor_version (model_id, version, settings, actor, at, kept_since)
        VALUES ($1, $2, $3, $4, $5, $6)
        """,
        model_id,
        version,
        settings,
        actor,
        now,
        kept_since,
    )


MESSAGE = """
       settings || jsonb_build_object(
         'model_id', model_id, 'version', version, 'kept_since', kept_since, 'normal_time', normal_time)
"""


async def queue_monitors(connection: Connection, model_ids: Iterable[str]) -> None:
    """Have the monitors of models published as they are now, with their normal time."""
    await connection.execute(
        f"""
        INSERT INTO monitor_message (model_id, message)
        SELECT model_id, {MESSAGE}
          FROM monitor JOIN monitor_version USING (model_id, version)
         WHERE model_id = ANY ($1)
        """,
        list(model_ids),
    )
    await wake_relay(connection)


async def find_monitor(connection: Connection, model_id: str) -> Monitor | None:
    """The monitor in force."""
    message = await connection.fetchval(
        f"SELECT {MESSAGE} FROM monitor JOIN monitor_version USING (model_id, version) WHERE model_id = $1", model_id
    )
    return monitor_of(message)


@dataclass(frozen=True, slots=True)
class MonitorVersion:
    """One entry in the history of a monitor. `settings` is None where the model was deleted, `before` where there was
    none in force."""

    version: int
    at: datetime
    actor: Actor
    settings: MonitorSettings | None
    before: MonitorSettings | None

    @property
    def happened(self) -> str | None:
        """What happened to the model, where it is not that somebody changed settings."""
        if self.settings is None:
            return "the model was deleted"
        if self.before is None:
            return "the model was registered" if self.version == 1 else "the model was registered again"
        return None

    @property
    def changed(self) -> dict[str, tuple[Any, Any]]:
        """What differs from the version before: (before, after) by field."""
        return changes(self.before, self.settings) if self.before and self.settings else {}


_version = reader_of(MonitorVersion)


async def list_monitor_versions(
    connection: Connection, model_id: str, before: int | None, limit: int
) -> list[MonitorVersion]:
    """The versions of a model's monitor, newest first, from below version `before` on."""
    rows = await connection.fetch(
        """
        SELECT this.version, this.at, this.actor, this.settings, earlier.settings AS before
          FROM monitor_version AS this
          LEFT JOIN monitor_version AS earlier
                 ON earlier.model_id = this.model_id AND earlier.version = this.version - 1
         WHERE this.model_id = $1 AND ($2::integer IS NULL OR this.version < $2)
         ORDER BY this.version DESC
         LIMIT $3
        """,
        model_id,
        before,
        limit,
    )
    return [_version(row) for row in rows]


@dataclass(frozen=True, slots=True)
class Applied:
    """What files have put in force last: `settings` are those that they name, as of `version`."""

    source: str
    applied_at: datetime
    applied_by: Actor
    version: int
    settings: dict[str, Any]


_APPLIED_NAMES = names_of(Applied)
_applied = reader_of(Applied)


async def save_applied(connection: Connection, model_id: str, applied: Applied) -> None:
    """Keep that a monitor is managed by files."""
    await connection.execute(
        f"""
        {insert_into("managed_monitor", ("model_id", *_APPLIED_NAMES))}
        ON CONFLICT (model_id) DO UPDATE
           SET source = excluded.source, applied_at = excluded.applied_at, applied_by = excluded.applied_by,
               version = excluded.version, settings = excluded.settings
        """,
        model_id,
        *values_of(applied, _APPLIED_NAMES),
    )


async def find_applied(connection: Connection, model_id: str) -> Applied | None:
    """What files have put in force last; None if no file manages the monitor."""
    row = await connection.fetchrow("SELECT * FROM managed_monitor WHERE model_id = $1", model_id)
    return None if row is None else _applied(row)


async def forget_applied(connection: Connection, model_id: str) -> None:
    """No file manages the monitor any more."""
    await connection.execute("DELETE FROM managed_monitor WHERE model_id = $1", model_id)


async def save_activities(connection: Connection, activities: Sequence[Activity]) -> None:
    """Keep activity of models, each once; one older than what is known, or of before the model was deleted, changes
    nothing."""
    await connection.executemany(
        """
        INSERT INTO activity (model_id, at, activity)
        SELECT $1::text, $2::timestamptz, $3::json
          FROM model
         WHERE model_id = $1 AND (deleted_at IS NULL OR deleted_at < last_seen)
        ON CONFLICT (model_id) DO UPDATE SET at = excluded.at, activity = excluded.activity
              WHERE activity.at < excluded.at
        """,
        [(activity.model_id, activity.at, activity) for activity in activities],
    )
    await connection.executemany(
        """
        UPDATE model
           SET first_seen = least(first_seen, greatest($2::timestamptz, deleted_at)),
               last_seen = greatest(last_seen, $3)
         WHERE model_id = $1 AND (first_seen > greatest($2, deleted_at) OR last_seen < $3::timestamptz)
           AND (deleted_at IS NULL OR deleted_at < last_seen)
        """,
        [(activity.model_id, activity.first_seen, activity.last_seen) for activity in activities],
    )


async def find_activity(connection: Connection, model_id: str) -> Activity | None:
    """A model's newest activity; None if it has not reported any."""
    found = await connection.fetchval("SELECT activity FROM activity WHERE model_id = $1", model_id)
    return Activity.model_validate(found) if found is not None else None
