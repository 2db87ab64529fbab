"""Conversations: where an incident's root message is in Slack, what it shows, and when it is to be edited.

An edit is claimed with a lease, like a delivery: one at a time for each root, and one that was away for too long
changes nothing any more.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from uuid import UUID

import asyncpg

from sentryml_common.contracts.transition import Transition
from sentryml_common.postgres.pool import Connection
from sentryml_notifier.domain.conversation import EDIT_AFTER
from sentryml_notifier.domain.message_input import Story
from sentryml_notifier.domain.thread import Conversation, EditRequested, Learned, Question, QuestionPosted, RootPosted


@dataclass(frozen=True, slots=True)
class Edit:
    """An edit of a root message, to be made by the holder of the lease, with what has failed so far."""

    edit_id: UUID
    conversation: Conversation
    failures: int
    failing_since: datetime | None
    plain: bool


async def find_conversation(connection: Connection, channel_id: UUID, incident_id: UUID) -> Conversation | None:
    """The conversation about an incident on a channel."""
    row = await connection.fetchrow(
        """
        SELECT channel_id, incident_id, slack_channel, root_ts FROM conversation
         WHERE channel_id = $1 AND incident_id = $2
        """,
        channel_id, incident_id,
    )  # fmt: skip
    return Conversation(**dict(row.items())) if row else None


async def save_learned(connection: Connection, learned: Learned, now: datetime) -> None:
    """Keep what an attempt to send has learned."""
    match learned:
        case RootPosted(root=root, shown_sequence=shown):
            await save_conversation(connection, root, shown, now)
        case QuestionPosted(question=question):
            await save_question(connection, question, now)
        case EditRequested(incident_id=incident_id, sequence=sequence):
            await want_edits(connection, incident_id, sequence, now + EDIT_AFTER)


async def save_conversation(
    connection: Connection, conversation: Conversation, shown_sequence: int, now: datetime
) -> None:
    """Keep a new root message, in place of one that is lost. If it does not show all there is, an edit is due now."""
    await connection.execute(
        """
        INSERT INTO conversation (channel_id, incident_id, slack_channel, root_ts, shown_sequence, newest_sequence,
                                  edit_due_at)
        SELECT $1, $2, $3, $4, $5, newest, CASE WHEN newest > $5 THEN $6::timestamptz END
          FROM (SELECT greatest(max(sequence), $5) AS newest FROM transition WHERE incident_id = $2) AS known
            ON CONFLICT ON CONSTRAINT conversation_one_per_incident DO UPDATE
           SET slack_channel = excluded.slack_channel, root_ts = excluded.root_ts,
               shown_sequence = excluded.shown_sequence, newest_sequence = excluded.newest_sequence,
               edit_due_at = excluded.edit_due_at, edit_id = NULL, edit_failures = 0, edit_failing_since = NULL,
               edit_plain = false
        """,
        conversation.channel_id, conversation.incident_id, conversation.slack_channel, conversation.root_ts,
        shown_sequence, now,
    )  # fmt: skip


async def save_question(connection: Connection, question: Question, now: datetime) -> None:
    """Keep a question. An edit of the conversation follows: an older question loses its buttons, and the incident may
    have changed meanwhile. One that is under way may not know of it, and is made again."""
    conversation = question.conversation
    await connection.execute(
        """
        INSERT INTO question (channel_id, incident_id, slack_channel, ts, long_drift_days, posted_at)
        VALUES ($1, $2, $3, $4, $5, $6)
            ON CONFLICT ON CONSTRAINT question_key DO NOTHING
        """,
        conversation.channel_id, conversation.incident_id, conversation.slack_channel, question.ts,
        question.long_drift_days, now,
    )  # fmt: skip
    await connection.execute(
        "UPDATE conversation SET edit_due_at = $3, edit_id = NULL WHERE channel_id = $1 AND incident_id = $2",
        conversation.channel_id, conversation.incident_id, now + EDIT_AFTER,
    )  # fmt: skip


async def list_questions(connection: Connection, conversation: Conversation) -> list[Question]:
    """The questions of a conversation that may still have buttons, the newest last."""
    rows = await connection.fetch(
        """
        SELECT slack_channel, ts, long_drift_days FROM question
         WHERE channel_id = $1 AND incident_id = $2
         ORDER BY posted_at, ts
        """,
        conversation.channel_id, conversation.incident_id,
    )  # fmt: skip
    return [
        Question(replace(conversation, slack_channel=row["slack_channel"]), row["ts"], row["long_drift_days"])
        for row in rows
    ]


async def forget_questions(connection: Connection, questions: Sequence[Question]) -> None:
    """These have no buttons any more."""
    await connection.executemany(
        "DELETE FROM question WHERE channel_id = $1 AND incident_id = $2 AND ts = $3",
        [(each.conversation.channel_id, each.conversation.incident_id, each.ts) for each in questions],
    )


async def forget_conversation(connection: Connection, lost: Conversation) -> None:
    """The root message is gone: the next message starts over. One that has been replaced meanwhile stays."""
    await connection.execute(
        "DELETE FROM conversation WHERE channel_id = $1 AND incident_id = $2 AND root_ts = $3",
        lost.channel_id, lost.incident_id, lost.root_ts,
    )  # fmt: skip


async def want_edits(connection: Connection, incident_id: UUID, sequence: int, due_at: datetime) -> None:
    """An incident has changed: its root messages are to be edited at `due_at`, or earlier where that is set already."""
    await connection.execute(
        """
        UPDATE conversation
           SET newest_sequence = greatest(newest_sequence, $2), edit_due_at = coalesce(edit_due_at, $3)
         WHERE incident_id = $1 AND shown_sequence < $2
        """,
        incident_id, sequence, due_at,
    )  # fmt: skip


async def claim_edit(
    connection: Connection, channel_id: UUID, edit_id: UUID, now: datetime, lease_until: datetime
) -> Edit | None:
    """Take the edit that has been due longest on a channel; None if none may be made now."""
    row = await connection.fetchrow(
        """
        UPDATE conversation SET edit_id = $2, edit_due_at = $4
         WHERE (channel_id, incident_id) = (
               SELECT channel_id, incident_id FROM conversation
                WHERE channel_id = $1 AND edit_due_at <= $3
                  AND EXISTS (
                      SELECT FROM channel
                       WHERE channel_id = $1 AND state = 'active'
                         AND (edits_paused_until IS NULL OR edits_paused_until <= $3))
                ORDER BY edit_due_at
                LIMIT 1
                  FOR UPDATE SKIP LOCKED)
        RETURNING *
        """,
        channel_id, edit_id, now, lease_until,
    )  # fmt: skip
    return _edit_of(row) if row else None


def _edit_of(row: asyncpg.Record) -> Edit:
    conversation = Conversation(row["channel_id"], row["incident_id"], row["slack_channel"], row["root_ts"])
    return Edit(row["edit_id"], conversation, row["edit_failures"], row["edit_failing_since"], row["edit_plain"])


async def read_story(connection: Connection, incident_id: UUID) -> Story:
    """The current state of an incident; there is one, since it has a conversation."""
    rows = await connection.fetch(
        "SELECT message FROM transition WHERE incident_id = $1 ORDER BY sequence", incident_id
    )
    steps = [Transition.model_validate(row["message"]) for row in rows]
    return Story(steps, steps[-1:])


async def find_link(connection: Connection, incident_id: UUID) -> tuple[int, str] | None:
    """The number of an incident, and the address of its page."""
    row = await connection.fetchrow(
        "SELECT incident_number, message FROM transition WHERE incident_id = $1 ORDER BY sequence DESC LIMIT 1",
        incident_id,
    )
    return (row["incident_number"], Transition.model_validate(row["message"]).incident_url) if row else None


async def note_shown(connection: Connection, edit: Edit, sequence: int, due_at: datetime) -> None:
    """The root shows the incident up to `sequence`; if more has happened meanwhile, it is edited again at `due_at`."""
    await connection.execute(
        """
        UPDATE conversation
           SET shown_sequence = $2, edit_id = NULL, edit_failures = 0, edit_failing_since = NULL,
               edit_due_at = CASE WHEN newest_sequence > $2 THEN $3::timestamptz END
         WHERE edit_id = $1
        """,
        edit.edit_id, sequence, due_at,
    )  # fmt: skip


async def note_not_shown(
    connection: Connection, edit: Edit, now: datetime, due_at: datetime | None, *, plain: bool
) -> None:
    """An edit has failed: it is made again at `due_at`, or, if None, only when the incident changes again."""
    await connection.execute(
        """
        UPDATE conversation
           SET edit_id = NULL, edit_due_at = $3, edit_plain = $4,
               edit_failures = CASE WHEN $3::timestamptz IS NULL THEN 0 ELSE edit_failures + 1 END,
               edit_failing_since = CASE WHEN $3::timestamptz IS NOT NULL THEN coalesce(edit_failing_since, $2) END
         WHERE edit_id = $1
        """,
        edit.edit_id, now, due_at, plain,
    )  # fmt: skip


async def pause_edits(connection: Connection, channel_id: UUID, until: datetime) -> None:
    """Edit nothing on a channel before `until`, or before a later time already set."""
    await connection.execute(
        "UPDATE channel SET edits_paused_until = greatest(edits_paused_until, $2) WHERE channel_id = $1",
        channel_id, until,
    )  # fmt: skip
