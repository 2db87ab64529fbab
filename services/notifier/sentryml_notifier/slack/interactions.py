"""Clicks on the buttons of an incident, from HTTP or Socket Mode.

Slack requires an answer within three seconds and gets it at once; the result is reported afterwards, to the person
alone, and the root message changes with the incident.
"""

from __future__ import annotations

import asyncio
from contextlib import suppress

from sentryml_common.errors import Unavailable
from sentryml_common.logging import get_logger
from sentryml_common.postgres.pool import transaction
from sentryml_notifier.channels.slack_bot.blocks import notice_payload
from sentryml_notifier.channels.slack_bot.people import Unknown, email_of
from sentryml_notifier.channels.slack_bot.sender import SlackBot
from sentryml_notifier.domain.delivery import SendResult
from sentryml_notifier.domain.slack_interaction import Press, read_press
from sentryml_notifier.incidents import Incidents
from sentryml_notifier.metrics import SLACK_PRESS_TOTAL
from sentryml_notifier.store.conversations import find_link

log = get_logger(__name__)

MOST_UNDER_WAY = 100
"""People do not press so fast; what comes on top is dropped and counted, and can be pressed again."""


def count(press: Press, outcome: str) -> None:
    """Count a click: done, refused, failed, or one too many."""
    SLACK_PRESS_TOTAL.labels(action=press.action.value, outcome=outcome).inc()


class SlackInteractions:
    """Handles presses in the background. Each may come twice: the second changes nothing."""

    def __init__(self, incidents: Incidents) -> None:
        self._incidents = incidents
        self._under_way: set[asyncio.Task[None]] = set()

    def take(self, bot: SlackBot, payload: object) -> None:
        """Take what Slack sent to a bot; returns at once. What is no press of ours is none of our business."""
        press = read_press(payload)
        if press is None:
            return
        if len(self._under_way) >= MOST_UNDER_WAY:
            count(press, "too_many")
            return
        task = asyncio.create_task(self._handle_safely(bot, press), name="press")
        self._under_way.add(task)
        task.add_done_callback(self._under_way.discard)

    async def _handle_safely(self, bot: SlackBot, press: Press) -> None:
        try:
            await self.handle(bot, press)
        except Exception:
            log.exception("press_failed", incident_id=str(press.incident_id))
            count(press, "failed")

    async def handle(self, bot: SlackBot, press: Press) -> None:
        """Find out who it is, call incidents, and answer the person."""
        try:
            email = await email_of(bot.api, press.user)
        except Unknown as err:
            done, text = False, str(err)
        else:
            answer = await self._incidents.act(email, press.action, press.incident_id, press.sequence)
            done, text = answer.done, answer.text
        outcome = "done" if done else "refused"
        count(press, outcome)
        log.info("pressed", action=press.action.value, outcome=outcome, incident_id=str(press.incident_id),
                 slack_user=press.user, text=text)  # fmt: skip
        await self._answer(bot, press, text)

    async def _answer(self, bot: SlackBot, press: Press, text: str) -> None:
        link_label, link_url = "", ""
        with suppress(Unavailable):
            async with transaction(bot.tools.pool) as connection:
                number, link_url = await find_link(connection, press.incident_id) or (0, "")
                link_label = f"Open incident #{number}"
        payload = notice_payload(text, link_label, link_url)
        sent = await bot.api.call("chat.postEphemeral", channel=press.channel, user=press.user, **payload)
        if isinstance(sent, SendResult):
            log.warning("press_not_answered", reason=sent.reason, text=sent.text)
