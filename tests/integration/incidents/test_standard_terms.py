"""Steps from before kinds and causes had their standard terms, and steps a text, can be read after the migrations."""

from __future__ import annotations

from collections.abc import AsyncIterator
from uuid import UUID

import pytest
from pydantic import SecretStr

from sentryml_common.contracts.transition import SYSTEM, TransitionText
from sentryml_common.http.health import Health
from sentryml_common.postgres.migrate import migrate, read_migrations
from sentryml_common.postgres.pool import Pool, open_pool
from sentryml_common.settings import PostgresSettings
from sentryml_incidents.store.timeline import list_transitions

INCIDENT = "00000000-0000-0000-0000-000000000001"


@pytest.fixture
def database_template() -> None:
    """Empty: the test applies the migrations itself."""


@pytest.fixture
async def pool(database_url: str) -> AsyncIterator[Pool]:
    settings = PostgresSettings(postgres_url=SecretStr(database_url))
    async with open_pool(settings, "terms", Health()) as opened:
        yield opened


async def test_steps_of_an_incident_get_their_standard_terms(pool: Pool) -> None:
    files = read_migrations("sentryml_incidents")
    (at,) = [place for place, (name, _) in enumerate(files) if name.endswith("standard_terms.sql")]
    actor = SYSTEM.model_dump(mode="json")
    await migrate(pool, "terms", files[:at])
    async with pool.acquire() as connection:
        await connection.execute("SET session_replication_role = replica")  # models and monitors are left out
        await connection.execute(
            """
            INSERT INTO incident (incident_id, model_id, state, severity, worst_severity, opened_at, psi, peak_psi,
                                  peak_at, sequence, last_kind, acknowledged_by, reopened)
            VALUES ($1, 'm', 'open', 'warn', 'warn', now(), 0.1, 0.1, now(), 5, 'blind', '[]', 0)
            """,
            INCIDENT,
        )
        await connection.executemany(
            """
            INSERT INTO transition (transition_id, incident_id, model_id, sequence, kind, at, from_state, from_severity,
                                    to_state, to_severity, actor, cause, alert, why)
            VALUES (gen_random_uuid(), $1, 'm', $2, $3, now(), 'open', 'warn', 'open', 'warn', $5, $4, false, '[]')
            """,
            [
                (INCIDENT, 2, "acknowledged", "asked", actor),
                (INCIDENT, 3, "acknowledged", "also_seen", actor),
                (INCIDENT, 4, "blind", "no_data", actor),
                (INCIDENT, 5, "seeing", "data_are_back", actor),
            ],
        )
        await connection.execute("SET session_replication_role = origin")
    await migrate(pool, "terms", files)
    steps = await pool.fetch("SELECT kind, cause FROM transition ORDER BY sequence")
    assert [tuple(step) for step in steps] == [
        ("acknowledged", "requested"),
        ("acknowledged", "co_acknowledged"),
        ("evaluation_paused", "no_data"),
        ("evaluation_resumed", "data_are_back"),
    ]
    async with pool.acquire() as connection:
        timeline = await list_transitions(connection, UUID(INCIDENT), "http://127.0.0.1", 0, 10)
    assert timeline[2].text == TransitionText(
        title="Evaluation paused · m", headline="Evaluation paused: no data.", step="Evaluation paused", next=()
    )
    assert await pool.fetchval("SELECT last_kind FROM incident") == "evaluation_paused"
    with pytest.raises(Exception, match="append-only"):
        await pool.execute("DELETE FROM transition")
