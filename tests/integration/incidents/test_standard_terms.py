"""Steps from before kinds and causes had their standard terms, and steps a text, can be read after the migrations; and
who was notified of a live incident before it is known what they were notified of is not notified again."""

from __future__ import annotations

from collections.abc import AsyncIterator
from uuid import UUID

import pytest
from pydantic import SecretStr

from sentryml_common.contracts.evaluation import CategoryBin, Signal
from sentryml_common.contracts.transition import SYSTEM, Severity, SignalWhy, TransitionText
from sentryml_common.health import Health
from sentryml_common.postgres.migrate import migrate, read_migrations
from sentryml_common.postgres.pool import Pool, open_pool
from sentryml_common.settings import PostgresSettings
from sentryml_incidents.store.timeline import list_transitions
from sentryml_lifecycle.worsening import Comparison, Finding, Notified

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


def why(signal: Signal, psi: float, critical_at: float | None = 0.2) -> dict[str, object]:
    """Why it alerted; a bin has a name that looks like fields, and holds U+0000."""
    name = '"signal": "score", "psi": 9, "warn_at": 0.1, "critical_at": null \0'
    odd = CategoryBin(value=name, baseline_share=0.1, current_share=0.2, contribution=0.1)
    found = SignalWhy(signal=signal, psi=psi, warn_at=0.1, critical_at=critical_at, top_bins=(odd,))
    return found.model_dump(mode="json")


async def test_of_live_incidents_the_figures_of_their_alerts_are_known(pool: Pool) -> None:
    files = read_migrations("sentryml_incidents")
    (at,) = [place for place, (name, _) in enumerate(files) if name.endswith("_worsened.sql")]
    await migrate(pool, "terms", files[:at])
    actor, text = SYSTEM.model_dump(mode="json"), {"title": "", "headline": "", "step": "", "next": []}
    steps = [
        ("opened", "slow_drift", [why(Signal.SCORE, 0.12, None)]),
        ("escalated", "psi_above_critical", [why(Signal.SCORE, 0.3), why(Signal.PREDICTION, 0.02)]),
        ("reopened", "psi_above_warn", [why(Signal.SCORE, 0.15)]),
        ("noted", "requested", []),
    ]
    async with pool.acquire() as connection:
        await connection.execute("SET session_replication_role = replica")  # models are left out
        await connection.execute(
            """
            INSERT INTO monitor_version (model_id, version, settings, actor, at)
            VALUES ('m', 1, '{}', '{}', now()), ('quiet', 1, '{}', '{}', now());
            INSERT INTO monitor (model_id, version) SELECT model_id, version FROM monitor_version;
            """
        )
        await connection.execute(
            """
            INSERT INTO incident (incident_id, model_id, state, severity, worst_severity, opened_at, psi, peak_psi,
                                  peak_at, sequence, last_kind, acknowledged_by, reopened)
            VALUES ($1, 'm', 'acknowledged', 'warn', 'warn', now(), 0.15, 0.3, now(), 4, 'noted', '[]', 0)
            """,
            INCIDENT,
        )
        await connection.execute("UPDATE monitor SET slow = slow || '{\"confirmed\": true}' WHERE model_id = 'm'")
        await connection.executemany(
            """
            INSERT INTO transition (transition_id, incident_id, model_id, sequence, kind, at, from_state, from_severity,
                                    to_state, to_severity, actor, cause, alert, why, text)
            VALUES (gen_random_uuid(), $1, 'm', $2::integer, $3, now(), CASE WHEN $2 > 1 THEN 'open' END,
                    CASE WHEN $2 > 1 THEN 'warn' END, 'open', 'warn', $4, $5, true, $6, $7)
            """,
            [
                (INCIDENT, number, kind, actor, cause, found, text)
                for number, (kind, cause, found) in enumerate(steps, 1)
            ],
        )
        await connection.execute("SET session_replication_role = origin")
    await migrate(pool, "terms", files)
    found = await pool.fetch("SELECT notified, slow FROM monitor ORDER BY model_id")
    notified = [Notified.model_validate(row["notified"]) for row in found]
    assert set(notified[0].findings) == {
        Finding(
            signal=Signal.SCORE,
            comparison=comparison,
            severity=Severity.WARN,
            psi=psi,
            warn_at=0.1,
            critical_at=critical_at,
        )
        for comparison, psi, critical_at in ((Comparison.REFERENCE, 0.12, None), (Comparison.BASELINE, 0.15, 0.2))
    }
    assert notified[1] == Notified()
    assert [row["slow"].get("psi") for row in found] == [0.15, None]
