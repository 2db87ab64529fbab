"""Evaluations: for some months, by the week, some with their bins; of each model the newest whole."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

import asyncpg

from sentryml_common.contracts.evaluation import Evaluation, SlowDrift
from sentryml_common.contracts.reference import Reference
from sentryml_common.errors import Unavailable
from sentryml_common.postgres.pool import Connection
from sentryml_common.postgres.rows import insert_into, values_of
from sentryml_lifecycle.grades import DRIFTING, psi_of

LOCK_MILLISECONDS = 500
TEXT_FROM_STRANGERS = {"bins", "more_frequent"}
"""Fields of a signal with values that senders chose. These may hold U+0000, which `jsonb` refuses: they are kept in
columns of `json`, with the newest evaluation and in evidence."""


async def make_week(connection: Connection, moment: datetime) -> None:
    """Make the table of the week that `moment` falls into, unless there is one. In a transaction of its own: it waits
    for all who write evaluations."""
    await connection.execute("SELECT make_evaluation_week($1)", moment)


async def save_evaluations(
    connection: Connection, evaluations: Sequence[Evaluation], with_bins: Collection[UUID] = ()
) -> None:
    """Keep evaluations; keeping one twice is keeping it once. Those with an id in `with_bins` keep their bins.

    Raises:
        Unavailable: a week of theirs is not there: too old, it was dropped since it was made. Make it, and try again.
    """
    rows = [_row_of(evaluation, whole=evaluation.evaluation_id in with_bins) for evaluation in evaluations]
    try:
        await connection.executemany(_INSERT, rows)
    except asyncpg.CheckViolationError as err:
        if err.constraint_name is not None:  # a week that is missing has no name
            raise
        raise Unavailable(f"an old week of evaluations was dropped before its last ones came: {err}") from err


_INSERT = """
        INSERT INTO evaluation (
               evaluation_id, model_id, monitor_version, normal_time_revision, evaluated_at, level, reason, baseline,
               current, signals, psi, bins, slow_drift, activity, slices, segments)
        VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16)
        ON CONFLICT DO NOTHING
"""


def _row_of(evaluation: Evaluation, *, whole: bool) -> tuple[Any, ...]:
    return (
        evaluation.evaluation_id,
        evaluation.model_id,
        evaluation.monitor_version,
        evaluation.normal_time_revision,
        evaluation.evaluated_at,
        evaluation.level,
        evaluation.reason,
        evaluation.baseline,
        evaluation.current,
        [found.model_dump(mode="json", exclude=TEXT_FROM_STRANGERS) for found in evaluation.signals],
        psi_of(evaluation),
        _bins_of(evaluation) if whole else None,
        _slow_drift_of(evaluation),
        evaluation.activity,
        _slices_of(evaluation, whole=whole),
        _segments_of(evaluation, whole=whole),
    )


def _slices_of(evaluation: Evaluation, *, whole: bool) -> list[dict[str, Any]] | None:
    """The slices of an evaluation with their shares; `whole`: also how far each differs."""
    without = set() if whole else {"signals"}
    return [each.model_dump(mode="json", exclude=without) for each in evaluation.slices] or None


def _segments_of(evaluation: Evaluation, *, whole: bool) -> list[dict[str, Any]] | None:
    """What was found of segments; without `whole`, of those that drift alone."""
    without = set() if whole else TEXT_FROM_STRANGERS
    shown = [each for each in evaluation.segments if whole or each.level in DRIFTING]
    return [each.model_dump(mode="json", exclude=without) for each in shown] or None


def _slow_drift_of(evaluation: Evaluation) -> dict[str, Any] | None:
    found = evaluation.slow_drift
    return (
        None if found is None else found.model_dump(mode="json", exclude={"signals": {"__all__": TEXT_FROM_STRANGERS}})
    )


def stored_whole(evaluation: Evaluation) -> dict[str, Any]:
    """An evaluation with its bins; what has become a reference is stored as one."""
    return evaluation.model_dump(mode="json", exclude={"new_reference"})


def _bins_of(evaluation: Evaluation) -> dict[str, Any]:
    return {found.signal.value: found.model_dump(mode="json", include={"bins"})["bins"] for found in evaluation.signals}


async def save_latest_evaluations(connection: Connection, evaluations: Sequence[Evaluation]) -> None:
    """Keep each model's newest evaluation whole; an older one changes nothing."""
    oldest_first = sorted(evaluations, key=lambda evaluation: evaluation.evaluated_at)
    newest = {evaluation.model_id: evaluation for evaluation in oldest_first}
    same = ("model_id", "evaluation_id", "evaluated_at", "level", "reason")
    await connection.executemany(
        f"""
        {insert_into("latest_evaluation", (*same, "psi", "evaluation", "read_until"))}
        ON CONFLICT (model_id) DO UPDATE
           SET evaluation_id = excluded.evaluation_id, evaluated_at = excluded.evaluated_at, level = excluded.level,
               reason = excluded.reason, psi = excluded.psi, evaluation = excluded.evaluation,
               read_until = excluded.read_until
         WHERE latest_evaluation.evaluated_at < excluded.evaluated_at
        """,
        [
            [
                *values_of(each, same),
                psi_of(each),
                stored_whole(each),
                None if each.activity is None else each.activity.read_until,
            ]
            for each in newest.values()
        ],
    )


async def find_latest_evaluation(connection: Connection, model_id: str) -> Evaluation | None:
    """A model's newest evaluation, whole."""
    found = await connection.fetchval("SELECT evaluation FROM latest_evaluation WHERE model_id = $1", model_id)
    return Evaluation.model_validate(found) if found is not None else None


async def list_evaluations(
    connection: Connection, model_id: str, before: tuple[datetime, UUID] | None, limit: int
) -> list[Evaluation]:
    """A model's evaluations, newest first, from after `before` on; with bins those that keep them, and the newest."""
    rows = await connection.fetch(
        """
        SELECT evaluation.evaluation_id, model_id, evaluation.monitor_version, evaluation.normal_time_revision,
               evaluation.evaluated_at, evaluation.level, evaluation.reason, evaluation.baseline, evaluation.current,
               evaluation.signals, evaluation.bins, evaluation.slow_drift, evaluation.activity, evaluation.slices,
               evaluation.segments, latest_evaluation.evaluation AS whole
          FROM evaluation
          JOIN model USING (model_id)
          LEFT JOIN latest_evaluation USING (model_id, evaluation_id)
         WHERE evaluation.model_id = $1 AND (model.deleted_at IS NULL OR evaluation.evaluated_at > model.deleted_at)
           AND ($2::timestamptz IS NULL OR (evaluation.evaluated_at, evaluation.evaluation_id) < ($2, $3::uuid))
         ORDER BY evaluation.evaluated_at DESC, evaluation.evaluation_id DESC
         LIMIT $4
        """,
        model_id,
        before[0] if before else None,
        before[1] if before else None,
        limit,
    )
    return [evaluation_of(dict(row.items())) for row in rows]


def evaluation_of(row: dict[str, Any]) -> Evaluation:
    """A row of `evaluation`, and in `whole` the same with its bins where these are kept elsewhere."""
    whole, bins, slices = row.pop("whole"), row.pop("bins") or {}, row.pop("slices", None) or ()
    if whole is not None:
        return Evaluation.model_validate(whole)
    signals = [{**found, "bins": bins.get(found["signal"], ())} for found in row["signals"]]
    segments = [{"bins": (), **found} for found in row.pop("segments", None) or ()]
    slow_drift = slow_drift_of(row.pop("slow_drift"))
    return Evaluation.model_validate(
        {**row, "signals": signals, "slow_drift": slow_drift, "slices": slices, "segments": segments}
    )


def slow_drift_of(stored: dict[str, Any] | None) -> SlowDrift | None:
    """What a row of `evaluation` has of it, without bins."""
    if stored is None:
        return None
    return SlowDrift.model_validate({**stored, "signals": [{**found, "bins": ()} for found in stored["signals"]]})


async def find_slow_drift(connection: Connection, reference: Reference) -> tuple[datetime, SlowDrift] | None:
    """When a model was last compared with its reference, and what was found, without bins; None: not yet."""
    row = await connection.fetchrow(
        """
        SELECT evaluated_at, slow_drift
          FROM evaluation
         WHERE model_id = $1 AND evaluated_at >= $2 AND slow_drift ->> 'reference_id' = $3
         ORDER BY evaluated_at DESC
         LIMIT 1
        """,
        reference.model_id,
        reference.made_at,
        str(reference.reference_id),
    )
    return None if row is None or (found := slow_drift_of(row["slow_drift"])) is None else (row["evaluated_at"], found)


async def drop_old_weeks(connection: Connection, now: datetime, keep_days: int) -> list[str]:
    """Drop the weeks of evaluations that are too old as a whole; return their tables. In a transaction of its own.

    One at a time: who lists a week that somebody else is dropping would find it gone. The second one finds nothing to
    do, and checks again at its next turn.
    """
    if not await connection.fetchval("SELECT pg_try_advisory_xact_lock(hashtext('drop_evaluation_weeks'))"):
        return []
    rows = await connection.fetch("SELECT evaluation_weeks_before($1) AS week", now - timedelta(days=keep_days))
    weeks = [row["week"] for row in rows]
    for week in weeks:
        # Who waits for this lock is waited for by everyone else: rather give up, and try again at the next turn.
        await connection.execute(f"SET LOCAL lock_timeout = '{LOCK_MILLISECONDS}ms'")
        await connection.execute(f'DROP TABLE "{week}"')
    return weeks
