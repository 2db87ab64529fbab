"""What becomes of deliveries: published by the notifier on `deliveries.v1`, kept for the pages and the API."""

from __future__ import annotations

from sentryml_common.contracts.delivery import Delivery
from sentryml_common.contracts.topics import DELIVERIES, Topic
from sentryml_common.kafka.consumer import BatchConsumer
from sentryml_common.kafka.dead_letter import DeadLetters
from sentryml_common.postgres.pool import Pool, transaction
from sentryml_incidents.store.deliveries import save_deliveries

GROUP = "sentryml.incidents.deliveries"


class DeliveryConsumer:
    """Takes deliveries in."""

    def __init__(self, pool: Pool) -> None:
        self._pool = pool

    def consuming(self, dead_letters: DeadLetters, topic: Topic = DELIVERIES) -> BatchConsumer[Delivery]:
        """The loop over the topic."""
        return BatchConsumer(topic, Delivery, GROUP, self.take_all, dead_letters)

    async def take_all(self, deliveries: list[Delivery]) -> None:
        """Keep the newest revision of each delivery.

        Raises:
            Unavailable: PostgreSQL is away.
        """
        newest = {each.delivery_id: each for each in sorted(deliveries, key=lambda each: each.revision)}
        async with transaction(self._pool) as connection:
            await save_deliveries(connection, list(newest.values()))
