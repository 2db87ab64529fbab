"""References of models: each is kept, and the one in force is published."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import Any
from uuid import UUID

from sentryml_common.contracts.reference import Reference
from sentryml_common.contracts.transition import Actor
from sentryml_common.postgres.pool import Connection
from sentryml_common.postgres.rows import reader_of
from sentryml_incidents.store.wake import wake_relay


@dataclass(frozen=True, slots=True)
class KeptReference:
    """A reference, and who has made it."""

    reference: Reference
    actor: Actor


_kept = reader_of(KeptReference)


async def insert_references(connection: Connection, references: Sequence[Reference], actor: Actor) -> None:
    """Keep references; keeping one twice is keeping it once."""
    await connection.executemany(
        """
        INSERT INTO reference (reference_id, model_id, made_at, actor, message) VALUES ($1, $2, $3, $4, $5)
        ON CONFLICT DO NOTHING
        """,
        [(each.reference_id, each.model_id, each.made_at, actor, each) for each in references],
    )


async def queue_references(connection: Connection, reference_ids: Collection[UUID]) -> None:
    """Have references published, each as the one in force of its model."""
    await connection.execute(
        """
        INSERT INTO reference_message (model_id, message)
        SELECT model_id, message FROM reference WHERE reference_id = ANY ($1)
        """,
        list(reference_ids),
    )
    await wake_relay(connection)


async def delete_references(connection: Connection, model_id: str) -> None:
    """Delete the references of a model that is about to be deleted, in Kafka too."""
    await connection.execute("DELETE FROM reference WHERE model_id = $1", model_id)
    await connection.execute("INSERT INTO reference_message (model_id) VALUES ($1)", model_id)


async def find_reference(connection: Connection, model_id: str) -> KeptReference | None:
    """The reference in force of a model; None while it has none."""
    row = await connection.fetchrow(
        """
        SELECT reference.message AS reference, reference.actor
          FROM monitor
          JOIN reference ON reference.reference_id = (monitor.normal_time ->> 'reference_id')::uuid
         WHERE monitor.model_id = $1
        """,
        model_id,
    )
    return None if row is None else _kept(row)


async def list_references(connection: Connection, model_id: str, limit: int) -> list[KeptReference]:
    """The newest references of a model, newest first."""
    rows = await connection.fetch(
        "SELECT message AS reference, actor FROM reference WHERE model_id = $1 ORDER BY made_at DESC LIMIT $2",
        model_id,
        limit,
    )
    return [_kept(row) for row in rows]


def reference_of(message: dict[str, Any] | None) -> Reference | None:
    """A reference as it goes out; None for the deletion of its model."""
    return None if message is None else Reference.model_validate(message)
