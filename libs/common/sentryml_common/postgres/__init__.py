"""PostgreSQL by asyncpg: a pool that waits for the server, and migrations in plain SQL."""
