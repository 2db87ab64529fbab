"""Models and the versions of their monitors. A model is registered by being seen."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import datetime
from typing import Any

from sentryml_common.contracts.activity import Activity
from sentryml_common.contracts.monitor import Monitor, MonitorSettings
from sentryml_common.contracts.transition import SYSTEM, Actor
from sentryml_common.postgres.pool import Connection
from sentryml_incidents.store.wake import wake_relay


def monitor_of(model_id: str, version: int, settings: dict[str, Any]) -> Monitor:
    """A version's row as it is published."""
    return Monitor.model_validate({**settings, "model_id": model_id, "version": version})


async def find_registered(connection: Connection, model_ids: Iterable[str]) -> set[str]:
    """Those among models that are registered."""
    rows = await connection.fetch("SELECT model_id FROM model WHERE model_id = ANY ($1)", list(model_ids))
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
    await insert_monitor_version(connection, model_id, 1, settings, SYSTEM, last_seen)
    await connection.execute("INSERT INTO monitor (model_id, version) VALUES ($1, 1)", model_id)
    return True


async def insert_monitor_version(
    connection: Connection, model_id: str, version: int, settings: MonitorSettings, actor: Actor, now: datetime
) -> None:
    """Keep a monitor's new settings; the relay publishes them."""
    await connection.execute(
        "INSERT INTO monitor_version (model_id, version, settings, actor, at) VALUES ($1, $2, $3, $4, $5)",
        model_id,
        version,
        settings.model_dump(mode="json"),
        actor.model_dump(mode="json"),
        now,
    )
    await wake_relay(connection)


async def find_monitor(connection: Connection, model_id: str) -> Monitor | None:
    """The monitor in force."""
    row = await connection.fetchrow(
        """
        SELECT model_id, version, settings
          FROM monitor JOIN monitor_version USING (model_id, version)
         WHERE model_id = $1
        """,
        model_id,
    )
    return monitor_of(row["model_id"], row["version"], row["settings"]) if row else None


async def save_activities(connection: Connection, activities: Sequence[Activity]) -> None:
    """Keep activity of models, each once; one older than what is known changes nothing."""
    await connection.executemany(
        """
        INSERT INTO activity (model_id, at, activity) VALUES ($1, $2, $3)
        ON CONFLICT (model_id) DO UPDATE SET at = excluded.at, activity = excluded.activity
              WHERE activity.at < excluded.at
        """,
        [(activity.model_id, activity.at, activity.model_dump(mode="json")) for activity in activities],
    )
    await connection.executemany(
        """
        UPDATE model SET first_seen = least(first_seen, $2), last_seen = greatest(last_seen, $3)
         WHERE model_id = $1 AND (first_seen > $2 OR last_seen < $3)
        """,
        [(activity.model_id, activity.first_seen, activity.last_seen) for activity in activities],
    )


async def find_activity(connection: Connection, model_id: str) -> Activity | None:
    """A model's newest activity; None if it has not reported any."""
    found = await connection.fetchval("SELECT activity FROM activity WHERE model_id = $1", model_id)
    return Activity.model_validate(found) if found is not None else None
