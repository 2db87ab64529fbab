"""`POST /v1/internal/incident-actions`: people act on incidents where messages reach them.

Another service of ours says whose address it is, and has made sure of that; who has an account, and what it may do, is
decided here, as on the pages. What does not work is no error: the person is given the reason.
"""

from __future__ import annotations

from fastapi import APIRouter, Request, Response

from sentryml_common.contracts.internal.incident_action import PATH, ActedOnIncident, ActOnIncident, IncidentAction
from sentryml_common.contracts.message import decode, encode
from sentryml_common.contracts.transition import Actor, ActorType
from sentryml_common.errors import UndecodableMessage
from sentryml_common.http.bodies import check_json
from sentryml_common.http.internal import InternalAccess
from sentryml_common.http.problems import Problem
from sentryml_common.http.versions import etag
from sentryml_common.text import sentence
from sentryml_incidents.domain.roles import Permission, may, who_may
from sentryml_incidents.store.people.users import User, find_user_by_email
from sentryml_incidents.usecases.act_on_incident import act, everything
from sentryml_incidents.usecases.context import Context, WithContext
from sentryml_incidents.usecases.errors import IncidentMovedOn, Refused
from sentryml_lifecycle.events.on_action import Action
from sentryml_lifecycle.snapshot import Incident
from sentryml_lifecycle.text.wording import moment

NO_ACCOUNT = "Nobody has an account of SentryML with your address here, {email}. An admin can make one."
DISABLED = "Your account of SentryML is disabled. An admin can enable it."
NEVER_SIGNED_IN = "Sign in to SentryML once and choose a password of your own; then it works from here too."
NOT_YOURS = "This needs the role {needed}; yours is {role}. An admin can change it."
ACKNOWLEDGED = "You have acknowledged incident #{number}. That does not mute alerts."
CLOSED = (
    "You have {said}, which closed incident #{number}. It can be undone on its page until {until}, or until another "
    "incident opens."
)
SAID = {
    IncidentAction.ACCEPT: "accepted the change as the new normal",
    IncidentAction.WAS_NORMAL: "said that this was normal",
}
MOVED_ON = (
    "Incident #{number} has changed since this message was written: it is {state} now, severity {severity}. "
    "Open it again to see its current state."
)


def slack_action_routes(access: InternalAccess) -> APIRouter:
    """The one route, for other services alone."""
    router = APIRouter(include_in_schema=False)

    @router.post(PATH)
    async def take(request: Request, context: WithContext) -> Response:
        signed = await access(request)
        check_json(signed.body)
        try:
            asked = decode(ActOnIncident, signed.body)
        except UndecodableMessage as err:
            raise Problem(422, "invalid-request", err.detail, errors=[]) from err
        return Response(encode(await answer(context, asked)), media_type="application/json")

    return router


async def answer(context: Context, asked: ActOnIncident) -> ActedOnIncident:
    """Do it, or say why not. Asking again, as after an answer that got lost, changes nothing.

    Raises:
        Unavailable: PostgreSQL is away.
    """
    async with context.transaction() as connection:
        user = await find_user_by_email(connection, asked.email)
    refusal = _refusal(user, asked.email)
    if refusal is not None:
        return ActedOnIncident(done=False, text=refusal)
    assert user is not None
    actor = Actor(type=ActorType.USER, id=str(user.user_id), name=user.name)
    try:
        incident = await act(
            context,
            actor,
            everything,
            str(asked.incident_id),
            Action(asked.action),
            note=f"via {asked.via}",
            if_match=etag(asked.sequence),
        )
    except Refused as err:
        return ActedOnIncident(done=False, text=_in_words(err))
    if asked.action is IncidentAction.ACKNOWLEDGE:
        return ActedOnIncident(done=True, text=ACKNOWLEDGED.format(number=incident.incident_number))
    if incident.undo_until is None:
        # A request that is sent again, after what it did was undone.
        return ActedOnIncident(done=False, text=_moved_on(incident))
    said, until = SAID[asked.action], moment(incident.undo_until)
    return ActedOnIncident(done=True, text=CLOSED.format(said=said, number=incident.incident_number, until=until))


def _refusal(user: User | None, email: str) -> str | None:
    """Why somebody may not; None if they may."""
    if user is None:
        return NO_ACCOUNT.format(email=email)
    if user.disabled_at is not None:
        return DISABLED
    if user.initial_password_until is not None:
        return NEVER_SIGNED_IN
    if not may(user.role, Permission.RESPOND):
        return NOT_YOURS.format(needed=who_may(Permission.RESPOND), role=user.role)
    return None


def _in_words(err: Refused) -> str:
    return _moved_on(err.incident) if isinstance(err, IncidentMovedOn) else sentence(str(err))


def _moved_on(incident: Incident) -> str:
    return MOVED_ON.format(number=incident.incident_number, state=incident.state, severity=incident.severity)
