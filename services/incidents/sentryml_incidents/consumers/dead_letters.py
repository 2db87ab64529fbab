"""Dead letters, counted for people: how many records could not be used, of which topic, why, and from whom."""

from __future__ import annotations

from sentryml_common.contracts.dead_letter import DeadLetter
from sentryml_common.postgres.pool import Pool, transaction
from sentryml_incidents.store.unreadable import count_letters


class DeadLetterConsumer:
    """Takes dead letters in. Topics in them begin with `topic_prefix`."""

    def __init__(self, pool: Pool, topic_prefix: str = "") -> None:
        self._pool, self._topic_prefix = pool, topic_prefix

    async def take_all(self, letters: list[DeadLetter]) -> None:
        """Count each once.

        Raises:
            Unavailable: PostgreSQL is away.
        """
        async with transaction(self._pool) as connection:
            await count_letters(connection, letters, self._topic_prefix)
