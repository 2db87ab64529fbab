"""The page of a monitor: every setting with what it does, a preview of what it would have done, its versions.

One form, three buttons: trying, saving, and both again after somebody else was quicker; and one that asks what would be
quieter. What was entered is never lost.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import StrEnum
from typing import Annotated

from fastapi import APIRouter, Depends, Form, Query, Request, Response

from sentryml_common.contracts.api_key import without_keys
from sentryml_common.postgres.pool import Connection
from sentryml_common.text import sentence
from sentryml_incidents.api.previews.advice_view import AdviceView
from sentryml_incidents.api.previews.monitor_advice import advise
from sentryml_incidents.api.previews.monitor_preview import try_out
from sentryml_incidents.store.evaluations.evaluations import find_latest_evaluation
from sentryml_incidents.store.evaluations.history import find_version_settings
from sentryml_incidents.store.incidents import IncidentFilter, list_incidents
from sentryml_incidents.store.monitors import MonitorVersion, list_monitor_versions
from sentryml_incidents.store.snapshots import read_snapshot
from sentryml_incidents.store.timeline import find_ever_critical
from sentryml_incidents.usecases.change_monitor import change_monitor
from sentryml_incidents.usecases.context import Context, WithContext
from sentryml_incidents.usecases.errors import InvalidMonitor, MonitorChangedMeanwhile
from sentryml_incidents.usecases.known_model import known_model
from sentryml_incidents.usecases.managed_by import ChangedSince, ManagedBy, managed_by
from sentryml_incidents.web.models.monitor_advice import advice_table
from sentryml_incidents.web.models.monitor_preview import MonitorPreview, monitor_preview_of
from sentryml_incidents.web.people.session import Reader, Responder
from sentryml_incidents.web.rendering import PageRoute, go_to, render
from sentryml_incidents.web.view.comparison_text import what_is_seen
from sentryml_incidents.web.view.monitor_form import (
    MAIN,
    MORE,
    SETTINGS,
    Group,
    Texts,
    changes_in_words,
    labels_of,
    other_than_default,
    read,
    reason_in_words,
    rebase,
    write,
)
from sentryml_lifecycle.events.on_monitor_change import changes
from sentryml_lifecycle.snapshot import LAST_VERSION

router = APIRouter(prefix="/models/{model_id}/monitor", include_in_schema=False, route_class=PageRoute)

VERSIONS_SHOWN = 20
MOST_HAPPENED = 100
LONGEST_TEXT = 60
PREVIEW_DAYS = (7, 30, 90)

VersionField = Annotated[int, Form(ge=1, le=LAST_VERSION)]
DaysField = Annotated[int, Form(ge=1, le=PREVIEW_DAYS[-1])]
Before = Annotated[int | None, Query(ge=2, le=LAST_VERSION)]


class Done(StrEnum):
    """What has just been done; the page says it."""

    SAVED = "saved"
    UNCHANGED = "unchanged"
    ON = "on"
    OFF = "off"


@dataclass(frozen=True, slots=True)
class Filled:
    """The form as it is shown: what is in its fields, what is wrong with some, what somebody else has put in force
    where that differs from what is entered, and why nothing was done. `version` is the one that it was filled from, if
    that may not be the one in force."""

    texts: Texts
    wrong: Texts = field(default_factory=dict)
    theirs: Texts = field(default_factory=dict)
    refused: str | None = None
    days: int = PREVIEW_DAYS[0]
    monitor_preview: MonitorPreview | None = None
    version: int | None = None


@dataclass(frozen=True, slots=True)
class FoldedGroup:
    """Settings that are shown on request, and the labels of those that are other than by default."""

    group: Group
    is_open: bool
    changed: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class VersionRow:
    """One entry in the history of a monitor."""

    found: MonitorVersion
    text: str


@dataclass(frozen=True, slots=True)
class Managed:
    """The files that manage a monitor, what they set, and each setting that was changed elsewhere since, in words."""

    found: ManagedBy
    sets: str
    changes: tuple[tuple[str, ChangedSince], ...]


async def _entered(request: Request) -> Texts:
    """What is in the fields of the form, as it came."""
    form = await request.form()
    texts = {name: str(form.get(name, "")) for name in SETTINGS}
    return _cleaned(texts | {"signals": " ".join(str(each) for each in form.getlist("signals"))})


def _cleaned(texts: Texts) -> Texts:
    return {name: without_keys(text[:LONGEST_TEXT]) for name, text in texts.items()}


Entered = Annotated[Texts, Depends(_entered)]


@router.get("")
async def show(
    request: Request,
    context: WithContext,
    visitor: Reader,
    model_id: str,
    before: Before = None,
    done: Done | None = None,
) -> Response:
    """All settings as they are in force, but for those that the address names: these are in the form, and not saved."""
    named = {name: request.query_params[name] for name in SETTINGS if name in request.query_params}
    return await page(request, context, model_id, named=_cleaned(named), before=before, done=done)


@router.post("/save")
async def save(
    request: Request, context: WithContext, visitor: Responder, model_id: str, entered: Entered, version: VersionField
) -> Response:
    """Put what was entered in force; `version` is the one that the form was filled from."""
    requested, wrong = read(entered)
    if wrong:
        return await page(request, context, model_id, _wrong(entered, wrong, version), status=422)
    await _check_known(context, model_id)
    try:
        monitor = await change_monitor(context, visitor.actor, model_id, requested | {"version": version})
    except (InvalidMonitor, MonitorChangedMeanwhile) as err:
        return await _refused(request, context, model_id, entered, version, err)
    done = Done.SAVED if monitor.version > version else Done.UNCHANGED
    return go_to(request, f"/models/{model_id}/monitor?done={done}")


@router.post("/preview")
async def preview(
    request: Request,
    context: WithContext,
    visitor: Responder,
    model_id: str,
    entered: Entered,
    version: VersionField,
    days: DaysField = PREVIEW_DAYS[0],
) -> Response:
    """What these settings would have done; changes nothing. A monitor that is off is evaluated as if it were on."""
    requested, wrong = read(entered)
    if wrong:
        return await page(request, context, model_id, _wrong(entered, wrong, version, days), status=422)
    await _check_known(context, model_id)
    try:
        found = await try_out(context, model_id, requested | {"version": version, "enabled": True}, days)
    except (InvalidMonitor, MonitorChangedMeanwhile) as err:
        return await _refused(request, context, model_id, entered, version, err, days)
    async with context.transaction() as connection:
        happened = await list_incidents(connection, IncidentFilter(model_id=model_id), None, MOST_HAPPENED)
        critical = await find_ever_critical(connection, [each.incident_id for each in happened])
    filled = Filled(entered, days=days, monitor_preview=monitor_preview_of(found, happened, critical), version=version)
    return await page(request, context, model_id, filled)


@router.post("/advice")
async def show_advice(
    request: Request, context: WithContext, visitor: Responder, model_id: str, entered: Entered, version: VersionField
) -> Response:
    """What would be quieter than the settings in force; what was entered stays in the form."""
    await _check_known(context, model_id)
    found = await advise(context, model_id)
    return await page(request, context, model_id, Filled(entered, version=version), advice=found)


async def _refused(
    request: Request,
    context: Context,
    model_id: str,
    entered: Texts,
    version: int,
    err: InvalidMonitor | MonitorChangedMeanwhile,
    days: int = PREVIEW_DAYS[0],
) -> Response:
    """The form with what was entered and why it was not accepted."""
    if isinstance(err, InvalidMonitor):
        wrong = {each["field"].partition(".")[0]: each["reason"] for each in err.errors}
        wrong = {name: reason_in_words(name, reason) for name, reason in wrong.items()}
        return await page(request, context, model_id, _wrong(entered, wrong, version, days), status=422)
    async with context.transaction() as connection:
        _, monitor = await known_model(connection, model_id)
        seen = (await find_version_settings(connection, model_id)).get(version, monitor)
    both = rebase(entered, seen, monitor)
    since = changes_in_words(changes(seen, monitor)) or "nothing that is left"
    refused = (
        f"Nothing was done: the monitor is at version {monitor.version} by now, and this form was filled from version "
        f"{version}. Since then, somebody changed: {since}. That is in the form below, and so is what you entered; "
        "where both changed the same setting, it says what is in force. Check it, then send it again."
    )
    filled = Filled(both.texts, theirs=both.theirs, refused=refused, days=days)
    return await page(request, context, model_id, filled, status=409)


def _wrong(entered: Texts, wrong: Texts, version: int, days: int = PREVIEW_DAYS[0]) -> Filled:
    settings = "One setting is" if len(wrong) == 1 else f"{len(wrong)} settings are"
    refused = f"Nothing was done: {settings} not valid. The form says which, and what to change."
    return Filled(entered, wrong, refused=refused, days=days, version=version)


async def _check_known(context: Context, model_id: str) -> None:
    async with context.transaction() as connection:
        await known_model(connection, model_id)


async def page(
    request: Request,
    context: Context,
    model_id: str,
    filled: Filled | None = None,
    *,
    named: Texts | None = None,
    advice: AdviceView | None = None,
    status: int = 200,
    before: int | None = None,
    done: Done | None = None,
) -> Response:
    """The page with the form as it was filled, or else as the monitor is."""
    async with context.transaction() as connection:
        model, monitor = await known_model(connection, model_id)
        snapshot = await read_snapshot(connection, model_id)
        rows = await _versions(connection, model_id, before)
        latest = await find_latest_evaluation(connection, model_id)
        managed = await managed_by(connection, monitor)
    filled = filled or Filled(write(monitor) | (named or {}))
    return render(
        request,
        "models/monitor.html",
        status=status,
        model=model,
        monitor=monitor,
        managed=_managed(managed) if managed else None,
        filled=filled,
        in_force=write(monitor),
        main=MAIN,
        more=[_folded(group, filled, write(monitor)) for group in MORE],
        labels={name: each.label for name, each in SETTINGS.items()},
        advice=advice_table(advice, monitor) if advice else None,
        what_is_seen=what_is_seen(monitor, latest) if latest is not None else (),
        live=snapshot.incident if snapshot and snapshot.incident and snapshot.incident.live else None,
        versions=rows[:VERSIONS_SHOWN],
        older=rows[VERSIONS_SHOWN - 1].found.version if len(rows) > VERSIONS_SHOWN else None,
        before=before,
        done=done,
        preview_days=PREVIEW_DAYS,
        longest=LONGEST_TEXT,
    )


def _managed(found: ManagedBy) -> Managed:
    changed = ((changes_in_words({each.setting: (each.applied, each.in_force)}), each) for each in found.changed_since)
    return Managed(found, labels_of(found.applied.settings), tuple(changed))


def _folded(group: Group, filled: Filled, in_force: Texts) -> FoldedGroup:
    """A group of settings that is open if one of them is wrong, or other than in force: then it has to be seen."""
    names = [each.name for each in group.settings]
    is_open = any(name in filled.wrong or filled.texts[name] != in_force[name] for name in names)
    return FoldedGroup(group, is_open, other_than_default(group, filled.texts))


async def _versions(connection: Connection, model_id: str, before: int | None) -> list[VersionRow]:
    found = await list_monitor_versions(connection, model_id, before, VERSIONS_SHOWN + 1)
    return [
        VersionRow(each, sentence(each.happened) if each.happened else changes_in_words(each.changed)) for each in found
    ]
