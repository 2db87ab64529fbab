"""A database that holds rows of every table can be migrated, and its rows can be read."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest
from pydantic import SecretStr

from sentryml_common.health import Health
from sentryml_common.postgres.migrate import migrate, read_migrations
from sentryml_common.postgres.pool import Pool, open_pool
from sentryml_common.settings import PostgresSettings
from sentryml_notifier.domain.conversation import current_state
from sentryml_notifier.store.conversations import read_story
from tests.unit.notifier.builders import opened_critical

BEFORE_STANDARD_TERMS = 9
"""The number of the last migration before kinds and causes got their standard terms."""
ID = "00000000-0000-0000-0000-00000000000"
ROWS = f"""
INSERT INTO channel (channel_id, name, kind, fingerprint) VALUES ('{ID}1', 'slack', 'slack_webhook', 'f');
INSERT INTO route (route_id, name, channel_id, kinds)
VALUES ('{ID}2', 'all', '{ID}1', '{{escalated,blind,seeing}}');
INSERT INTO delivery (delivery_id, transition_id, route_id, channel_id, incident_id, sequence, kind, urgency, due_at,
                      created_at)
SELECT transition_id, transition_id, '{ID}2', '{ID}1', incident_id, sequence, step_kind, 2, now(), now()
  FROM transition;
INSERT INTO attempt (delivery_id, send_id, at, outcome, reason, words)
SELECT delivery_id, gen_random_uuid(), now(), 'delivered', 'ok', 'Slack has it.' FROM delivery;
INSERT INTO unrouted (transition_id, words, at) SELECT transition_id, 'No route.', now() FROM transition;
INSERT INTO conversation (channel_id, incident_id, slack_channel, root_ts, shown_sequence, newest_sequence)
SELECT '{ID}1', incident_id, 'C0', '1.0', 1, 1 FROM transition LIMIT 1;
INSERT INTO change (at, actor, action, subject_id, subject, words)
VALUES (now(), '{{}}', 'channel_made', '{ID}1', 'slack', '');
"""


@pytest.fixture
def database_template() -> None:
    """Empty: the test applies the migrations itself."""


@pytest.fixture
async def pool(database_url: str) -> AsyncIterator[Pool]:
    settings = PostgresSettings(postgres_url=SecretStr(database_url))
    async with open_pool(settings, "notifier", Health()) as opened:
        yield opened


def old_message(sequence: int, kind: str, cause: str) -> dict[str, object]:
    """A transition as incidents published it then, with a note that holds what looks like fields, and U+0000."""
    message = opened_critical(sequence=sequence, note='"kind":"blind" "cause":"asked" \0').model_dump(
        mode="json", by_alias=True, exclude={"text"}
    )
    return {**message, "kind": kind, "cause": cause}


async def insert_rows(pool: Pool) -> None:
    """Rows of every table, as at BEFORE_STANDARD_TERMS."""
    steps = [(1, "opened", "psi_above_critical"), (2, "blind", "no_data"), (3, "acknowledged", "asked")]
    for sequence, kind, cause in steps:
        message = old_message(sequence, kind, cause)
        await pool.execute(
            """
            INSERT INTO transition (transition_id, incident_id, incident_number, model_id, sequence, message, monitor,
                                    step_kind, to_state, happened_at, alert, taken_in_at)
            VALUES ($1, $2, 42, 'flights-delay', $3, $4, '{}', $5, 'open', now(), true, now())
            """,
            message["transition_id"], message["incident_id"], sequence, message, kind,
        )  # fmt: skip
    await pool.execute(ROWS)


async def counted(pool: Pool) -> dict[str, int]:
    """The number of rows of every table but that of the migrations."""
    tables = await pool.fetch(
        "SELECT tablename FROM pg_tables WHERE schemaname = 'notifier' AND tablename NOT LIKE '%migration%'"
    )
    return {name: await pool.fetchval(f'SELECT count(*) FROM "{name}"') for (name,) in tables}


async def test_a_database_with_rows_of_every_table_can_be_migrated(pool: Pool) -> None:
    files = read_migrations("sentryml_notifier")
    await migrate(pool, "notifier", files[:BEFORE_STANDARD_TERMS])
    await insert_rows(pool)
    before = await counted(pool)
    assert len(before) == 9
    assert all(before.values())

    await migrate(pool, "notifier", files)

    before["delivery_outbox"] = before.pop("delivery_news")
    added = ("question", "alert_group", "system_alert", "system_delivery", "resending", "weekly_summary")
    assert await counted(pool) == before | dict.fromkeys(added, 0)
    assert await pool.fetchval("SELECT kinds FROM route") == [
        "escalated",
        "evaluation_paused",
        "evaluation_resumed",
        "worsened",
    ]
    found = await pool.fetch(
        """
        SELECT transition.step_kind, transition.message, delivery.kind
          FROM transition JOIN delivery USING (transition_id) ORDER BY transition.sequence
        """
    )
    kinds = ["opened", "evaluation_paused", "acknowledged"]
    assert [(row["step_kind"], row["message"]["kind"], row["kind"]) for row in found] == [(k, k, k) for k in kinds]
    assert [row["message"]["cause"] for row in found] == ["psi_above_critical", "no_data", "requested"]
    assert {row["message"]["note"] for row in found} == {old_message(1, "", "")["note"]}
    async with pool.acquire() as connection:
        story = await read_story(connection, await connection.fetchval("SELECT incident_id FROM conversation"))
    assert [step.text.step for step in story.history] == ["Opened", "Evaluation paused", "Acknowledged"]
    opening, pause, _ = (step.text for step in story.history)
    assert opening.title == "CRITICAL drift: Opened · flights-delay"
    assert pause.headline == "Evaluation paused: no data."
    assert current_state(story).lead == opening.headline == "Opened: psi above critical."
    with pytest.raises(Exception, match="only ever added"):
        await pool.execute("UPDATE transition SET model_id = 'other'")
