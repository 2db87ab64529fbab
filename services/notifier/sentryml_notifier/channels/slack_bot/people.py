"""Who somebody in Slack is: their address, if Slack vouches for it and they belong to the bot's own workspace."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from sentryml_notifier.channels.slack_bot.api import SlackApi
from sentryml_notifier.domain.delivery import SendResult

NO_SCOPE = (
    "SentryML cannot see who you are: its Slack app lacks the scopes users:read and users:read.email. An admin "
    "of the app can add them."
)
NO_ANSWER = "SentryML could not ask Slack who you are. Try again in a minute."
NO_ADDRESS = "SentryML cannot see your address in Slack, by which it knows people. It works on the incident's page."
STRANGER = (
    "This works for members of this Slack workspace alone. It works on the incident's page for all who have an account."
)


class Unknown(Exception):
    """It is not known who somebody is; the message is for them."""


async def email_of(api: SlackApi, user: str) -> str:
    """The address of a person, by Slack's id.

    An address from another workspace, as in a channel that is shared, is worth nothing: there, others decide about it.

    Raises:
        Unknown: there is none to go by.
    """
    found, bot = await _ask(api, "users.info", user=user), await _ask(api, "auth.test")
    person = found.get("user")
    if not isinstance(person, Mapping):
        raise Unknown(NO_ANSWER)
    if person.get("deleted") or person.get("is_bot") or person.get("is_stranger") or not _same_home(person, bot):
        raise Unknown(STRANGER)
    profile = person.get("profile")
    email = profile.get("email") if isinstance(profile, Mapping) else None
    if not isinstance(email, str) or not email or person.get("is_email_confirmed") is False:
        raise Unknown(NO_ADDRESS)
    return email


async def _ask(api: SlackApi, method: str, **arguments: Any) -> Mapping[str, Any]:
    answer = await api.call(method, **arguments)
    if isinstance(answer, SendResult):
        raise Unknown(NO_SCOPE if answer.reason == "missing_scope" else NO_ANSWER)
    return answer


def _same_home(person: Mapping[str, Any], bot: Mapping[str, Any]) -> bool:
    """Whether a person belongs to the bot's workspace, or to another one of the same enterprise."""
    if bot.get("team_id") and person.get("team_id") == bot["team_id"]:
        return True
    member = person.get("enterprise_user")
    enterprise = bot.get("enterprise_id")
    return bool(enterprise) and isinstance(member, Mapping) and member.get("enterprise_id") == enterprise
