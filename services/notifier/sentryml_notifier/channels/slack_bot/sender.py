"""Slack by bot token: one incident is one conversation, in which an earlier attempt can be found again.

The first message about an incident is the root of a thread; what follows is a reply to it, shown in the channel too
when it is for the worse. Every message carries, as metadata, which deliveries it covers: after an attempt that may have
arrived, Slack is asked for it before anything is sent again.
"""

from __future__ import annotations

import asyncio
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import timedelta
from typing import Any
from uuid import UUID

from pydantic import Field, SecretStr, field_validator

from sentryml_notifier.channels.base import Config, Identity, Kind, Outgoing, Paced, Tools
from sentryml_notifier.channels.slack_bot.api import EDIT_LOST, ROOT_LOST, SlackApi, check_base
from sentryml_notifier.channels.slack_bot.blocks import plain_payload, rich_payload
from sentryml_notifier.channels.slack_bot.buttons import answers_for, buttons_for, with_buttons
from sentryml_notifier.domain.conversation import as_question, as_reply, current_state, is_said_aloud
from sentryml_notifier.domain.delivery import FOUND, NOT_CHECKED, Outcome, SendResult
from sentryml_notifier.domain.message import Message
from sentryml_notifier.domain.message_input import Story
from sentryml_notifier.domain.routing import ALERTING, CLOSING
from sentryml_notifier.domain.story_text import is_silent
from sentryml_notifier.domain.thread import Conversation, EditRequested, Learned, Question, QuestionPosted, RootPosted

EVENT_TYPE = "sentryml_delivery"
LOOK_BACK = timedelta(minutes=10)
"""Slack's clock and ours may differ by so much."""
PAGES_LOOKED_AT, PAGE_MESSAGES = 6, 100
ANSWER_BYTES_MAX = 8 * 1024 * 1024
"""Such a page holds whole messages of others: one that was cut off would say nothing, and be asked for for ever."""

# What a header can carry: a token travels in one.
BOT_TOKEN, APP_TOKEN = re.compile(r"xoxb-[!-~]*"), re.compile(r"xapp-[!-~]*")

DELIVERED = SendResult(Outcome.DELIVERED, "ok", "Accepted by Slack.")
FOUND_IT = SendResult(
    Outcome.DELIVERED, FOUND, "Accepted by Slack: an earlier attempt, thought to have failed, was found there."
)
COULD_NOT_CHECK = SendResult(
    Outcome.NOT_ACCEPTED, NOT_CHECKED, "Slack did not say whether an earlier attempt arrived; the check is repeated."
)


class BotSettings(Paced):
    """Where a bot writes to: Slack's id of the channel; the name is for people."""

    channel: str = Field(
        pattern=r"^[CGD][A-Z0-9]{2,20}$",
        title="Slack's id of the channel",
        description="invite the bot there",
        examples=["C0123456789"],
    )
    channel_name: str = Field("", max_length=80, title="Name of the channel", description="for people only")


class BotSecret(Config):
    """What is secret of a bot. With `signing_secret`, presses of buttons are taken over HTTP; with `app_token`, by
    Socket Mode."""

    token: SecretStr = Field(title="Bot token", examples=["xoxb-1234"])
    signing_secret: SecretStr | None = Field(None, title="Signing secret", description="for buttons over HTTP")
    app_token: SecretStr | None = Field(
        None, title="App-level token", description="for buttons by Socket Mode", examples=["xapp-1234"]
    )

    @field_validator("token")
    @classmethod
    def _is_a_bots(cls, token: SecretStr) -> SecretStr:
        if not BOT_TOKEN.fullmatch(token.get_secret_value()):
            raise ValueError("a bot token begins with xoxb-, and holds no spaces and no letters but a to z")
        return token

    @field_validator("app_token")
    @classmethod
    def _is_an_apps(cls, token: SecretStr | None) -> SecretStr | None:
        if token is not None and not APP_TOKEN.fullmatch(token.get_secret_value()):
            raise ValueError("an app-level token begins with xapp-, and holds no spaces and no letters but a to z")
        return token


@dataclass(frozen=True, slots=True)
class SlackBot:
    """A channel that is a bot in one of Slack's channels."""

    tools: Tools
    identity: Identity
    settings: BotSettings
    secret: BotSecret
    api: SlackApi

    async def send(self, outgoing: Outgoing) -> SendResult:
        """Look for an earlier attempt, if there may be one; else post, as the root or in its thread."""
        return await _Attempt(self, outgoing).make()

    async def show(
        self, conversation: Conversation, story: Story, questions: Sequence[Question] = (), *, plain: bool
    ) -> SendResult:
        """Edit a root message, and the questions below it, the newest last, so that they show the current state of the
        incident. Doing it twice does no harm."""
        payload = root_payload(current_state(story), story, plain=plain)
        result = await self._edit(conversation.slack_channel, conversation.root_ts, payload)
        for question in questions:
            if not is_edited_or_lost(result):
                break
            newest = question is questions[-1]
            payload = question_payload(story, question.long_drift_days, newest=newest, plain=plain)
            edited = await self._edit(question.conversation.slack_channel, question.ts, payload)
            # One that was deleted has no buttons either.
            result = result if is_edited_or_lost(edited) else edited
        return result

    async def _edit(self, slack_channel: str, ts: str, payload: Mapping[str, Any]) -> SendResult:
        # An edit keeps what it does not name.
        whole = {"blocks": [], "attachments": [], **payload}
        answer = await self.api.call("chat.update", channel=slack_channel, ts=ts, **whole)
        return answer if isinstance(answer, SendResult) else DELIVERED


@dataclass(frozen=True, slots=True)
class _Found:
    """What was found of an incident: the newest message that can be a root, and the deliveries that are reported, each
    with its message."""

    root_ts: str = ""
    reported: Mapping[str, str] = field(default_factory=dict)

    def with_message(self, message: Mapping[str, Any], incident_id: UUID) -> _Found:
        """With one more message, an older one, if it is ours and about this incident."""
        metadata = message.get("metadata") or {}
        payload = metadata.get("event_payload") or {}
        if metadata.get("event_type") != EVENT_TYPE or payload.get("incident_id") != str(incident_id):
            return self
        ts = str(message.get("ts", ""))
        is_root = message.get("thread_ts", ts) == ts
        reported = str(payload.get("delivery_ids", "")).split()
        return _Found(self.root_ts or (ts if is_root else ""), {**dict.fromkeys(reported, ts), **self.reported})


THREAD_LOST = _Found()


def _no_answer(result: SendResult) -> _Found | SendResult:
    """What it means that we could not look."""
    if result.reason in ROOT_LOST:
        return THREAD_LOST
    return COULD_NOT_CHECK if result.outcome in (Outcome.NOT_ACCEPTED, Outcome.UNCERTAIN) else _Found()


class _Attempt:
    """One attempt, which has `send_seconds` for all its calls."""

    def __init__(self, bot: SlackBot, outgoing: Outgoing) -> None:
        self._bot, self._outgoing = bot, outgoing
        self._ends = asyncio.get_running_loop().time() + bot.tools.send_seconds
        self._subject_id = outgoing.subject_id
        self._covered = (
            [str(outgoing.message_id)] if outgoing.of_group else [str(each) for each in outgoing.delivery_ids]
        )

    async def make(self) -> SendResult:
        if not self._outgoing.of_incident:
            return await self._say()
        conversation = self._conversation()
        if not self._outgoing.possibly_sent:
            return await (self._reply(conversation) if conversation else self._begin())
        return await self._look_and_send(conversation)

    async def _look_and_send(self, conversation: Conversation | None) -> SendResult:
        """DELIVERED if an earlier attempt has arrived; else send it again, if Slack said whether it has."""
        found = await self._find(conversation)
        if found is THREAD_LOST:
            conversation, found = None, await self._find(None)
        if isinstance(found, SendResult):
            return found
        learned: Learned | None = None
        if conversation is None and found.root_ts:
            # The root is there, though we never learned of it. An edit will bring it to where things are.
            learned = self._root(found.root_ts, 0)
            conversation = learned.root
        if all(each in found.reported for each in self._covered):
            posted = self._question(conversation, found.reported[self._covered[-1]]) if conversation else None
            return replace(FOUND_IT, learned=learned or posted)
        result = await (self._reply(conversation) if conversation else self._begin())
        return replace(result, learned=learned) if learned and not isinstance(result.learned, RootPosted) else result

    async def _say(self) -> SendResult:
        """Post a message of no incident, with no button and no conversation."""
        answer = await self._post(self._payload(self._outgoing.message))
        return answer if isinstance(answer, SendResult) else DELIVERED

    def _conversation(self) -> Conversation | None:
        """The one there is; not one in a channel that is no longer ours."""
        known = self._outgoing.conversation
        return known if known is not None and known.slack_channel == self._bot.settings.channel else None

    async def _begin(self) -> SendResult:
        """Post the root. That of an incident contains the news itself; where the news is quiet, the current state. That
        of a group is not edited: what follows comes in its thread."""
        outgoing, story = self._outgoing, self._outgoing.story
        payload, shown_sequence = self._payload(outgoing.message), 0
        if not outgoing.of_group:
            aloud = story.last.kind in ALERTING | CLOSING
            message = outgoing.message if aloud else replace(current_state(story), notes=outgoing.message.notes)
            payload, shown_sequence = root_payload(message, story, plain=outgoing.plain), story.history[-1].sequence
        answer = await self._post(payload)
        if isinstance(answer, SendResult):
            return answer
        return replace(DELIVERED, learned=self._root(str(answer.get("ts", "")), shown_sequence))

    def _payload(self, message: Message) -> dict[str, Any]:
        return plain_payload(message) if self._outgoing.plain else rich_payload(message)

    async def _reply(self, conversation: Conversation) -> SendResult:
        outgoing = self._outgoing
        message = outgoing.message if outgoing.of_group else as_reply(outgoing.message, outgoing.story)
        payload = self._payload(message)
        if outgoing.story.long_drift_days and not outgoing.plain and not outgoing.of_group:
            newest = outgoing.story.newest
            payload = with_buttons(payload, answers_for(newest, silent=is_silent(outgoing.story)), newest)
        aloud = is_said_aloud(outgoing.story)
        answer = await self._post(payload, thread_ts=conversation.root_ts, reply_broadcast=aloud)
        if isinstance(answer, SendResult):
            return await self._begin() if answer.reason in ROOT_LOST else answer
        posted = answer.get("message")
        if isinstance(posted, Mapping) and posted.get("thread_ts") == conversation.root_ts:
            if self._in_group_thread:
                return DELIVERED
            # It is requested already, unless the change came while the root was posted.
            requested = EditRequested(self._subject_id, outgoing.story.history[-1].sequence)
            return replace(DELIVERED, learned=self._question(conversation, str(answer.get("ts", ""))) or requested)
        # The root was deleted: Slack has posted the reply to the channel, and says nothing. It is the root from now on.
        return replace(DELIVERED, learned=self._root(str(answer.get("ts", "")), 0))

    @property
    def _in_group_thread(self) -> bool:
        return self._subject_id != self._outgoing.story.last.incident_id

    def _question(self, conversation: Conversation, ts: str) -> QuestionPosted | None:
        """That a question was posted, if it is one whose buttons are to be kept up to date."""
        days = self._outgoing.story.long_drift_days
        if not days or self._outgoing.plain or self._in_group_thread or ts == conversation.root_ts:
            return None
        return QuestionPosted(Question(conversation, ts, days))

    def _root(self, ts: str, shown_sequence: int) -> RootPosted:
        bot = self._bot
        return RootPosted(
            Conversation(bot.identity.channel_id, self._subject_id, bot.settings.channel, ts), shown_sequence
        )

    async def _post(self, payload: Mapping[str, Any], **more: Any) -> Mapping[str, Any] | SendResult:
        addressed = {**payload, "channel": self._bot.settings.channel, "unfurl_links": False, "unfurl_media": False}
        # What was refused may have been the metadata: the plainest form has none.
        if not self._outgoing.plain:
            addressed["metadata"] = metadata_of(self._subject_id, self._covered)
        return await self._call("chat.postMessage", **addressed, **more)

    async def _find(self, conversation: Conversation | None) -> _Found | SendResult:
        """What of this incident has been posted in a thread, or in the channel. Nothing, if we are not allowed to
        look: then it is sent again, and says so."""
        oldest = self._outgoing.story.reported[0].at - LOOK_BACK
        arguments: dict[str, Any] = {
            "channel": self._bot.settings.channel,
            "oldest": f"{oldest.timestamp():.6f}",
            "limit": PAGE_MESSAGES,
            "include_all_metadata": "true",
        }
        if conversation is not None:
            arguments["ts"] = conversation.root_ts
        method = "conversations.history" if conversation is None else "conversations.replies"
        found = _Found()
        for _ in range(PAGES_LOOKED_AT):
            answer = await self._call(method, **arguments)
            if isinstance(answer, SendResult):
                return _no_answer(answer)
            for message in answer.get("messages", []):
                found = found.with_message(message, self._subject_id)
            cursor = (answer.get("response_metadata") or {}).get("next_cursor")
            if not cursor:
                break
            arguments["cursor"] = cursor
        return found

    async def _call(self, method: str, **arguments: Any) -> Mapping[str, Any] | SendResult:
        left = self._ends - asyncio.get_running_loop().time()
        return await self._bot.api.within(left).call(method, **arguments)


def root_payload(message: Message, story: Story, *, plain: bool) -> dict[str, Any]:
    """A root message, with buttons as long as the incident is live."""
    if plain:
        return plain_payload(message)
    last = story.history[-1]
    return with_buttons(rich_payload(message), buttons_for(last, silent=is_silent(story)), last)


def is_edited_or_lost(result: SendResult) -> bool:
    """Whether nothing is left to edit."""
    return result.outcome is Outcome.DELIVERED or result.reason in EDIT_LOST


def question_payload(story: Story, long_drift_days: int, *, newest: bool, plain: bool) -> dict[str, Any]:
    """A question below the root, as the incident is now: with buttons, if it can be answered and is the newest."""
    message = as_question(story, long_drift_days, newest=newest)
    if plain:
        return plain_payload(message)
    payload = rich_payload(message)
    last = story.history[-1]
    return with_buttons(payload, answers_for(last, silent=is_silent(story)) if newest else (), last)


def metadata_of(subject_id: UUID, covered: Sequence[str]) -> dict[str, Any]:
    """The incident, or group, and the deliveries that a message covers, of a group's message one id for all, for us to
    find it by. Slack keeps it beside the message and shows it to nobody."""
    payload = {"incident_id": str(subject_id), "delivery_ids": " ".join(covered)}
    return {"event_type": EVENT_TYPE, "event_payload": payload}


def open_bot(tools: Tools, identity: Identity, settings: BotSettings, secret: BotSecret) -> SlackBot:
    """A channel of this kind.

    Raises:
        ChannelMisconfigured: the operator has set an address of Slack's Web API that tokens may not be sent to.
    """
    poster = tools.poster("Slack", ANSWER_BYTES_MAX)
    base = check_base(tools.slack_api, tools.allowed_hosts)
    return SlackBot(tools, identity, settings, secret, SlackApi(poster, secret.token, identity.fix, base))


KIND = Kind(
    "slack_bot",
    "Slack, by bot",
    "Each incident is one conversation, with buttons. Needs a Slack app: docs/slack.md.",
    BotSettings,
    BotSecret,
    open_bot,
    threads=True,
    edits=True,
    buttons=True,
)
