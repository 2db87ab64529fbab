"""When API keys were last used: services without a database publish it on `api-key-usage.v1`."""

from __future__ import annotations

from sentryml_common.contracts.api_key_usage import ApiKeyUsage
from sentryml_common.postgres.pool import Pool, transaction
from sentryml_incidents.store.people.api_keys import save_usage


class KeyUsageConsumer:
    """Takes uses of keys in."""

    def __init__(self, pool: Pool) -> None:
        self._pool = pool

    async def take_all(self, usages: list[ApiKeyUsage]) -> None:
        """Keep the newest use of each key.

        Raises:
            Unavailable: PostgreSQL is away.
        """
        newest = {usage.key_id: usage for usage in sorted(usages, key=lambda usage: usage.used_at)}
        for usage in newest.values():
            # One transaction each: rows that are held together could be met in another order by another process.
            async with transaction(self._pool) as connection:
                await save_usage(connection, usage)
