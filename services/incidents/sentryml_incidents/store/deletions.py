"""Deleting a model: what is lost, what is freed, what stays."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from sentryml_common.contracts.transition import Actor
from sentryml_common.postgres.pool import Connection
from sentryml_incidents.store.markers import delete_markers
from sentryml_incidents.store.monitors import insert_deletion
from sentryml_incidents.store.references import delete_references

CLEAN_UP_ROWS = 10_000


@dataclass(frozen=True, slots=True)
class Belongings:
    """How much there is of a model."""

    incidents: int
    evaluations: int


async def count_belongings(connection: Connection, model_id: str) -> Belongings:
    """Count what belongs to a model."""
    row = await connection.fetchrow(
        """
        SELECT (SELECT count(*) FROM incident WHERE model_id = $1 AND model_deleted_at IS NULL) AS incidents,
               (SELECT count(*) FROM evaluation WHERE model_id = $1) AS evaluations
        """,
        model_id,
    )
    assert row is not None
    return Belongings(**row)


async def find_confirmation_key(connection: Connection) -> bytes:
    """What confirmations are signed with."""
    key: bytes = await connection.fetchval("SELECT key FROM confirmation_key")
    return key


async def delete_model(connection: Connection, model_id: str, version: int, actor: Actor, now: datetime) -> None:
    """Delete a model, whose lock the caller holds and whose incidents are closed. `version` is the last of its monitor.

    Its evaluations go afterwards, some at a time: there may be millions.
    """
    await insert_deletion(connection, model_id, version + 1, actor, now)
    await connection.execute("DELETE FROM monitor WHERE model_id = $1", model_id)
    await delete_references(connection, model_id)
    await delete_markers(connection, model_id)
    await connection.execute("DELETE FROM latest_evaluation WHERE model_id = $1", model_id)
    await connection.execute("DELETE FROM activity WHERE model_id = $1", model_id)
    await connection.execute(
        "UPDATE incident SET model_deleted_at = $2 WHERE model_id = $1 AND model_deleted_at IS NULL", model_id, now
    )
    await connection.execute(
        """
        UPDATE model SET deleted_at = $2, first_seen = least(first_seen, $2), last_seen = least(last_seen, $2)
         WHERE model_id = $1
        """,
        model_id,
        now,
    )


async def delete_evaluations_of_deleted_models(connection: Connection) -> int:
    """Delete some evaluations of before their model was deleted; return how many. 0 means that none is left."""
    deleted = await connection.execute(
        """
        WITH old AS (
            SELECT model_id, evaluated_at, evaluation_id
              FROM model JOIN evaluation USING (model_id)
             WHERE model.deleted_at IS NOT NULL AND evaluation.evaluated_at <= model.deleted_at
             LIMIT $1
        )
        DELETE FROM evaluation USING old
         WHERE evaluation.model_id = old.model_id AND evaluation.evaluated_at = old.evaluated_at
           AND evaluation.evaluation_id = old.evaluation_id
        """,
        CLEAN_UP_ROWS,
    )
    return int(deleted.rpartition(" ")[2])
