"""What becomes of deliveries: published by the notifier on `deliveries.v1`, kept for the pages and the API."""

from __future__ import annotations

from sentryml_common.contracts.delivery import Delivery
from sentryml_common.postgres.pool import Pool, transaction
from sentryml_incidents.store.deliveries import save_deliveries


class DeliveryConsumer:
    """Takes deliveries in."""

    def __init__(self, pool: Pool) -> None:
        self._pool = pool

    async def take_all(self, deliveries: list[Delivery]) -> None:
        """Keep the newest revision of each delivery.

        Raises:
            Unavailable: PostgreSQL is away.
        """
        newest = {each.delivery_id: each for each in sorted(deliveries, key=lambda each: each.revision)}
        async with transaction(self._pool) as connection:
            await save_deliveries(connection, list(newest.values()))
