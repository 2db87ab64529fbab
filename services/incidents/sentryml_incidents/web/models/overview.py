"""The overview: how many models there are of each kind, and what needs somebody first. Complete without JavaScript."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Annotated
from urllib.parse import urlencode

from fastapi import APIRouter, Query, Request, Response

from sentryml_common.group_text import in_common
from sentryml_common.postgres.pool import Connection
from sentryml_incidents.domain.overview import URGENT, LiveGroup, Overview, Section, distinct_groups
from sentryml_incidents.domain.psi_series import Span
from sentryml_incidents.domain.status import Status
from sentryml_incidents.store.deliveries import list_live_groups
from sentryml_incidents.store.evaluations.curves import Recent, read_recent
from sentryml_incidents.store.models import ModelFilter, ModelSummary, list_models, read_overview
from sentryml_incidents.store.timeline import newest_alerts
from sentryml_incidents.usecases.context import WithContext
from sentryml_incidents.usecases.system_state import read_system_state
from sentryml_incidents.usecases.unreadable_records import read_unreadable
from sentryml_incidents.web.models.checklist import first_steps
from sentryml_incidents.web.people.session import Reader
from sentryml_incidents.web.rendering import PageRoute, render
from sentryml_incidents.web.view.charts import Sparkline, recent, sparkline

router = APIRouter(include_in_schema=False, route_class=PageRoute)

ROWS, UNEVALUATED_SHOWN = 50, 10
COMPARED = 500
"""Of how many incidents of a group, the worst, the page says what they have in common: a message covers as many."""
SPARK_LENGTH, SPARK_STEPS = timedelta(days=1), 48
LAST_PAGE = 100_000

Search = Annotated[str, Query(max_length=128, pattern=r"^[^\x00]*$")]
PageNumber = Annotated[int, Query(ge=1, le=LAST_PAGE)]


@dataclass(frozen=True, slots=True)
class ModelRow:
    """One model in the list."""

    model: ModelSummary
    status: Status
    spark: Sparkline
    not_evaluated_since: datetime | None


@dataclass(frozen=True, slots=True)
class GroupRow:
    """One alert group, and what its live incidents have in common."""

    group: LiveGroup
    in_common: list[str]


@dataclass(frozen=True, slots=True)
class Count:
    """How many models there are of a kind, and the query that shows these alone."""

    section: Section | None
    text: str
    count: int
    query: str
    current: bool


@router.get("/models")
async def show(
    request: Request,
    context: WithContext,
    visitor: Reader,
    search: Search = "",
    show: Section | None = None,
    page: PageNumber = 1,
) -> Response:
    """Alert groups, then every model: what drifts, is silent or not evaluated first."""
    part, now, start = search.strip(), context.now(), ROWS * (page - 1)
    plain = page == 1 and not part and not show
    async with context.transaction() as connection:
        overview = await read_overview(connection, now, part, show, start, ROWS)
        sections = await _sections(connection, overview, now)
        groups = await _groups(connection) if plain else []
        unreadable = (await read_unreadable(connection, now)).in_short
        system = await read_system_state(connection, context, overview.unevaluated)
    return render(
        request,
        "models/overview.html",
        any_at_all=overview.models > 0,
        steps=await first_steps(context, visitor, overview.models) if plain else (),
        groups=groups,
        sections=sections,
        counts=_counts(overview, part, show),
        found=overview.found(show),
        calm=bool(overview.counts[Section.OK]) and not groups and not any(overview.counts[each] for each in URGENT),
        previous=_query(part, show, page - 1) if page > 1 else None,
        next=_query(part, show, page + 1) if overview.found(show) > start + ROWS else None,
        search=part,
        only=show,
        system=system,
        unreadable=unreadable,
        unevaluated_shown=sorted(system.unevaluated.since)[:UNEVALUATED_SHOWN],
        ingest_url=context.ingest_url,
    )


async def _groups(connection: Connection) -> list[GroupRow]:
    groups = distinct_groups(await list_live_groups(connection))
    alerts = await newest_alerts(connection, {each for group in groups for each in group.live[:COMPARED]})
    return [
        GroupRow(group, in_common([alerts[each] for each in group.live[:COMPARED] if each in alerts]))
        for group in groups
    ]


def _counts(overview: Overview, part: str, only: Section | None) -> list[Count]:
    """All, then each kind that there is; and the one that is shown, even if there is none of it."""
    shown = [each for each in Section if overview.counts[each] or each is only]
    total = overview.matching
    every = Count(None, "model" if total == 1 else "models", total, _query(part, None), only is None)
    return [every, *(Count(e, e.text, overview.counts[e], _query(part, e), e is only) for e in shown)]


def _query(part: str, only: Section | None, page: int = 1) -> str:
    asked = {"search": part, "show": only, "page": page if page > 1 else None}
    found = {name: str(value) for name, value in asked.items() if value}
    return f"?{urlencode(found)}" if found else ""


async def _sections(connection: Connection, overview: Overview, now: datetime) -> list[tuple[Section, list[ModelRow]]]:
    """The rows of a page, by section."""
    listed = overview.listed
    models = await list_models(connection, None, len(listed), ModelFilter(model_ids=tuple(listed)))
    rows = await _rows(connection, models, now)
    sections: dict[Section, list[ModelRow]] = {}
    for model_id, section in listed.items():
        if model_id in rows:
            sections.setdefault(section, []).append(rows[model_id])
    return list(sections.items())


async def _rows(connection: Connection, models: Sequence[ModelSummary], now: datetime) -> dict[str, ModelRow]:
    known = {model.model_id: model for model in models}
    spans = {each.model_id: recent(each.first_seen, now, SPARK_LENGTH, SPARK_STEPS) for each in known.values()}
    read = await read_recent(connection, spans)
    return {name: _row(model, spans[name], read.get(name, Recent([], None)), now) for name, model in known.items()}


def _row(model: ModelSummary, span: Span, recent: Recent, now: datetime) -> ModelRow:
    spark = sparkline(recent.psi, span, recent.warn_at)
    return ModelRow(model, model.status(now), spark, model.not_evaluated_since(now))
