"""Models that exist: the one look-up for the API and for pages."""

from __future__ import annotations

from sentryml_common.contracts.monitor import Monitor
from sentryml_common.postgres.pool import Connection
from sentryml_incidents.store.models import ModelSummary, find_model
from sentryml_incidents.store.monitors import find_monitor
from sentryml_incidents.usecases.errors import UnknownModel


async def known_model(connection: Connection, model_id: str) -> tuple[ModelSummary, Monitor]:
    """A model that exists, and its monitor.

    Raises:
        UnknownModel: there is none with this id.
    """
    model = await find_model(connection, model_id) if "\x00" not in model_id else None
    monitor = await find_monitor(connection, model_id) if model is not None else None
    if model is None or monitor is None:
        raise UnknownModel(model_id)
    return model, monitor
