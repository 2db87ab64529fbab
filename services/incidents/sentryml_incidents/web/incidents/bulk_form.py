"""The form that acts on many incidents at once, each in a transaction of its own and only as it was seen."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

from sentryml_common.contracts.transition import Actor
from sentryml_common.http.problems import Problem
from sentryml_incidents.usecases.act_on_incident import act, everything
from sentryml_incidents.usecases.context import Context
from sentryml_incidents.usecases.errors import IncidentMovedOn, ModelDeleted, NotAllowed, Refused
from sentryml_incidents.web.incidents.notes import read_note
from sentryml_incidents.web.view.bulk_summary import ALREADY, DELETED, GONE, MEANWHILE, Result, not_allowed, summarize
from sentryml_lifecycle.events.on_action import Action

_AS_SEEN = re.compile(r"(\d{1,19}) v(\d{1,10})", re.ASCII)


@dataclass(frozen=True, slots=True)
class Acted:
    """What the list says of an action: that it was done, or why not; and what of the form is kept."""

    done: str | None = None
    refused: str | None = None
    ticked: frozenset[str] = frozenset()
    note: str = ""


async def act_on_all(context: Context, actor: Actor, action: Action, chosen: Sequence[str], note: str) -> Acted:
    """Do it to each of `chosen`, written `<number> v<sequence>`; those that it was not done to stay ticked.

    Raises:
        Problem: 422, nothing was chosen, or the form is not ours, or the note cannot be kept.
        Unavailable: PostgreSQL is away.
    """
    seen = [_as_seen(each) for each in dict.fromkeys(chosen)]
    if not seen:
        raise Problem(422, "invalid-request", "Select at least one incident first.")
    text = read_note(action, note)
    results = [await _act_on_one(context, actor, action, number, sequence, text) for number, sequence in seen]
    response = summarize(action, results)
    ticked = frozenset(str(number) for number in response.refused)
    if len(response.refused) == len(results):
        return Acted(refused=response.text, ticked=ticked, note=note)
    return Acted(done=response.text, ticked=ticked)


def _as_seen(text: str) -> tuple[int, int]:
    found = _AS_SEEN.fullmatch(text)
    if found is None:
        raise Problem(422, "invalid-request", "This form is not valid: load the list again.")
    return int(found[1]), int(found[2])


async def _act_on_one(
    context: Context, actor: Actor, action: Action, number: int, sequence: int, note: str | None
) -> Result:
    try:
        after = await act(context, actor, everything, str(number), action, note, if_match=f'"v{sequence}"')
    except Refused as err:
        return Result(number, _why_not(action, err))
    return Result(number, ALREADY[action] if after.sequence == sequence else None)


def _why_not(action: Action, err: Refused) -> str:
    match err:
        case IncidentMovedOn():
            return MEANWHILE[err.incident.state]
        case NotAllowed():
            return not_allowed(action, err.incident.state)
        case ModelDeleted():
            return DELETED
        case _:
            return GONE
