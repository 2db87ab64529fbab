"""Dead letters, counted for people: how many records could not be used, of which topic, why, and from whom."""

from __future__ import annotations

from sentryml_common.contracts.dead_letter import DeadLetter
from sentryml_common.contracts.topics import DEAD_LETTERS, Topic
from sentryml_common.kafka.consumer import BatchConsumer
from sentryml_common.kafka.dead_letter import DeadLetters
from sentryml_common.postgres.pool import Pool, transaction
from sentryml_incidents.store.unreadable import count_letters

GROUP = "sentryml.incidents.dead-letters"


class DeadLetterConsumer:
    """Takes dead letters in. Topics in them begin with `topic_prefix`."""

    def __init__(self, pool: Pool, topic_prefix: str = "") -> None:
        self._pool, self._topic_prefix = pool, topic_prefix

    def consuming(self, dead_letters: DeadLetters, topic: Topic = DEAD_LETTERS) -> BatchConsumer[DeadLetter]:
        """The loop over the topic."""
        return BatchConsumer(topic, DeadLetter, GROUP, self.take_all, dead_letters)

    async def take_all(self, letters: list[DeadLetter]) -> None:
        """Count each once.

        Raises:
            Unavailable: PostgreSQL is away.
        """
        async with transaction(self._pool) as connection:
            await count_letters(connection, letters, self._topic_prefix)
