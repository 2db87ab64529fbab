"""Adding and deleting markers: the one way for the API and for pages."""

from __future__ import annotations

from datetime import datetime
from uuid import UUID, uuid5

from sentryml_common.contracts.transition import Actor
from sentryml_common.logging import get_logger
from sentryml_incidents.store.markers import Marker, delete_marker, insert_marker
from sentryml_incidents.usecases.context import Context
from sentryml_incidents.usecases.errors import UnknownMarker
from sentryml_incidents.usecases.known_model import known_model

log = get_logger(__name__)

MARKERS = UUID("3a6c8c0e-7f53-5d0b-9a55-0d1f2b7c4e91")
"""Namespace of their ids: the same text at the same time is the same marker, so a request may be repeated."""
MOST_KEPT = 1_000


async def add_marker(context: Context, actor: Actor, model_id: str, text: str, at: datetime | None) -> Marker:
    """Keep a marker of a model, at a time or else now, in a transaction of its own; return it.

    Raises:
        UnknownModel: there is none with this id.
        Unavailable: PostgreSQL is away.
    """
    now = context.now()
    at = now if at is None else at
    marker = Marker(uuid5(MARKERS, f"{model_id}|{at.isoformat()}|{text}"), model_id, at, text, now, actor)
    async with context.transaction() as connection:
        await known_model(connection, model_id)
        kept = await insert_marker(connection, marker, MOST_KEPT)
    log.info("marker_added", model_id=model_id, marker_id=str(kept.marker_id), actor=actor.name)
    return kept


async def remove_marker(context: Context, actor: Actor, model_id: str, marker_id: UUID) -> None:
    """Delete a marker of a model, in a transaction of its own.

    Raises:
        UnknownModel: there is none with this id.
        UnknownMarker: the model has none with this id.
        Unavailable: PostgreSQL is away.
    """
    async with context.transaction() as connection:
        await known_model(connection, model_id)
        if not await delete_marker(connection, model_id, marker_id):
            raise UnknownMarker(marker_id)
    log.info("marker_deleted", model_id=model_id, marker_id=str(marker_id), actor=actor.name)
