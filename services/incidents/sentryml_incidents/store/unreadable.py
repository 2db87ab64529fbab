"""Records that could not be used, by hour, topic, reason and sender. Counting a letter twice is counting it once."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import TypeAlias

from sentryml_common.contracts.dead_letter import DeadLetter
from sentryml_common.postgres.pool import Connection
from sentryml_common.text import cut
from sentryml_incidents.domain.system.unreadable import Unreadable

KEPT = timedelta(days=14)
SENDERS_MAX, OTHER_SENDERS = 50, "others"
LONGEST_NAME, LONGEST_DETAIL, SHOWN = 64, 300, 200
RECREATED_AFTER = timedelta(days=1)

_Key: TypeAlias = tuple[datetime, str, str, str]
"""Hour, topic, reason, sender."""
_Place: TypeAlias = tuple[str, str, int]
"""Service, topic, partition."""
_Mark: TypeAlias = tuple[int, datetime]
"""The last offset that was counted, and the time of its letter."""


async def count_letters(connection: Connection, letters: Sequence[DeadLetter], topic_prefix: str) -> None:
    """Count those that are not counted yet, given in the order in which they were written."""
    marks = await _read_marks(connection, letters)
    groups: dict[_Key, list[DeadLetter]] = {}
    for letter in letters:
        place = _place(letter)
        if is_new(letter, marks.get(place)):
            marks[place] = (letter.offset, letter.at)
            groups.setdefault(_key(letter, topic_prefix), []).append(letter)
    for key in sorted(groups):
        await _count(connection, key, groups[key])
    await connection.executemany(
        """
        INSERT INTO unreadable_counted (service, topic, partition, "offset", at) VALUES ($1, $2, $3, $4, $5)
            ON CONFLICT ON CONSTRAINT unreadable_counted_key DO UPDATE
           SET "offset" = excluded."offset", at = excluded.at
        """,
        [(*place, *mark) for place, mark in sorted(marks.items())],
    )


def is_new(letter: DeadLetter, mark: _Mark | None) -> bool:
    """Whether a letter is not counted yet. A lower offset than the last is a repetition, or, so long after it, of a
    topic that was created again."""
    return mark is None or letter.offset > mark[0] or letter.at > mark[1] + RECREATED_AFTER


def _place(letter: DeadLetter) -> _Place:
    return cut(letter.service, LONGEST_NAME), cut(letter.topic, LONGEST_DETAIL), letter.partition


def _key(letter: DeadLetter, topic_prefix: str) -> _Key:
    topic = cut(letter.topic.removeprefix(topic_prefix), LONGEST_DETAIL)
    hour = letter.at.replace(minute=0, second=0, microsecond=0)
    return hour, topic, cut(letter.reason, LONGEST_NAME), cut(letter.sender or "", LONGEST_NAME)


async def _read_marks(connection: Connection, letters: Sequence[DeadLetter]) -> dict[_Place, _Mark]:
    rows = await connection.fetch(
        'SELECT service, topic, partition, "offset", at FROM unreadable_counted WHERE topic = ANY ($1) FOR UPDATE',
        sorted({_place(letter)[1] for letter in letters}),
    )
    return {(row["service"], row["topic"], row["partition"]): (row["offset"], row["at"]) for row in rows}


async def _count(connection: Connection, key: _Key, letters: Sequence[DeadLetter]) -> None:
    """Add letters to their hour; of more senders than are kept apart to the others."""
    newest = letters[-1]
    await connection.execute(
        """
        WITH known AS (
            SELECT count(DISTINCT sender) AS senders, coalesce(bool_or(sender = $4), false) AS has_this
              FROM unreadable_hour WHERE hour = $1 AND topic = $2)
        INSERT INTO unreadable_hour AS h (hour, topic, reason, sender, records, newest_at, partition, "offset", detail)
        SELECT $1, $2, $3, CASE WHEN has_this OR senders < $10 THEN $4 ELSE $11 END, $5, $6, $7, $8, $9 FROM known
            ON CONFLICT ON CONSTRAINT unreadable_hour_key DO UPDATE
           SET records = h.records + excluded.records, newest_at = excluded.newest_at, partition = excluded.partition,
               "offset" = excluded."offset", detail = excluded.detail
        """,
        *key, len(letters), newest.at, newest.partition, newest.offset, cut(newest.detail, LONGEST_DETAIL), SENDERS_MAX,
        OTHER_SENDERS,
    )  # fmt: skip


async def list_unreadable(connection: Connection, recently: datetime, now: datetime) -> list[Unreadable]:
    """What could not be read, the most frequent since `recently` first, then the newest."""
    rows = await connection.fetch(
        """
        SELECT topic, reason, sender, coalesce(sum(records) FILTER (WHERE hour >= $1), 0)::bigint AS recently,
               coalesce(sum(records) FILTER (WHERE hour > $2), 0)::bigint AS in_day, sum(records)::bigint AS in_all,
               max(newest_at) AS newest_at,
               (array_agg(partition ORDER BY newest_at DESC))[1] AS partition,
               (array_agg("offset" ORDER BY newest_at DESC))[1] AS "offset",
               (array_agg(detail ORDER BY newest_at DESC))[1] AS detail
          FROM unreadable_hour
         GROUP BY topic, reason, sender
         ORDER BY recently DESC, newest_at DESC
         LIMIT $3
        """,
        recently, now - timedelta(days=1), SHOWN,
    )  # fmt: skip
    return [Unreadable(**row) for row in rows]


async def forget_unreadable(connection: Connection, now: datetime) -> None:
    """Delete what is older than dead letters are kept."""
    await connection.execute("DELETE FROM unreadable_hour WHERE hour < $1", now - KEPT)
