"""The overview: every model, how it is doing, what needs somebody first. Complete without JavaScript."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Annotated

from fastapi import APIRouter, Query, Request, Response

from sentryml_common.contracts.message import MODEL_ID_PATTERN
from sentryml_common.postgres.pool import Connection
from sentryml_incidents.domain.psi_series import Span
from sentryml_incidents.domain.status import Status, status_of
from sentryml_incidents.store.evaluations.curves import Recent, read_recent
from sentryml_incidents.store.models import ModelFilter, ModelSummary, list_models
from sentryml_incidents.usecases.context import WithContext
from sentryml_incidents.usecases.system_state import read_system_state
from sentryml_incidents.usecases.unreadable_records import read_unreadable
from sentryml_incidents.web.people.session import Reader
from sentryml_incidents.web.rendering import PageRoute, render
from sentryml_incidents.web.view.charts import Sparkline, recent, sparkline

router = APIRouter(include_in_schema=False, route_class=PageRoute)

ROWS, ATTENTION_ROWS, UNEVALUATED_SHOWN = 30, 20, 10
SPARK_LENGTH, SPARK_STEPS = timedelta(days=1), 48

After = Annotated[str | None, Query(pattern=MODEL_ID_PATTERN)]
Search = Annotated[str, Query(max_length=128, pattern=r"^[^\x00]*$")]


@dataclass(frozen=True, slots=True)
class ModelRow:
    """One model in the list."""

    model: ModelSummary
    status: Status
    spark: Sparkline
    not_evaluated_since: datetime | None


@router.get("/models")
async def show(
    request: Request, context: WithContext, visitor: Reader, search: Search = "", after: After = None
) -> Response:
    """Every model in the order of their ids; on the first page those with a live incident first."""
    part = search.strip()
    now = context.now()
    async with context.transaction() as connection:
        found = await list_models(connection, after, ROWS + 1, ModelFilter(part=part or None))
        urgent = []
        if after is None and not part:
            urgent = await list_models(connection, None, ATTENTION_ROWS, ModelFilter(live=True))
        rows = await _rows(connection, [*found[:ROWS], *urgent], now)
        unreadable = (await read_unreadable(connection, now)).in_short
        system = await read_system_state(connection, context)
    return render(
        request,
        "models/overview.html",
        rows=[rows[model.model_id] for model in found[:ROWS]],
        attention=[rows[model.model_id] for model in urgent],
        more=found[ROWS - 1].model_id if len(found) > ROWS else None,
        search=part,
        system=system,
        unreadable=unreadable,
        unevaluated_shown=sorted(system.unevaluated.since)[:UNEVALUATED_SHOWN],
        first=after is None,
        ingest_url=context.ingest_url,
    )


async def _rows(connection: Connection, models: Sequence[ModelSummary], now: datetime) -> dict[str, ModelRow]:
    """By model, each read and drawn once, however often it is listed."""
    known = {model.model_id: model for model in models}
    spans = {each.model_id: recent(each.first_seen, now, SPARK_LENGTH, SPARK_STEPS) for each in known.values()}
    read = await read_recent(connection, spans)
    return {name: _row(model, spans[name], read.get(name, Recent([], None)), now) for name, model in known.items()}


def _row(model: ModelSummary, span: Span, recent: Recent, now: datetime) -> ModelRow:
    spark, missed_since = sparkline(recent.psi, span, recent.warn_at), model.not_evaluated_since(now)
    silent, missed = model.silent_since is not None, missed_since is not None
    status = status_of(model.enabled, model.level, model.reason, silent, missed=missed)
    return ModelRow(model, status, spark, missed_since)
