"""Updates threads: edits root messages and the questions below them, so that each shows how its incident stands.

Beside the dispatcher and never in its way: an edit waits a few seconds for more changes, one edit of an incident is
under way at a time, and when Slack asks to edit more slowly, alerts go on.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta
from uuid import UUID

from sentryml_common.clock import Clock
from sentryml_common.logging import get_logger
from sentryml_common.postgres.pool import Pool, transaction
from sentryml_notifier.by_channel import work_by_channel
from sentryml_notifier.channel_registry import ChannelRegistry, OpenChannel
from sentryml_notifier.channels.slack_bot.api import EDIT_LOST
from sentryml_notifier.channels.slack_bot.sender import SlackBot, is_edited_or_lost
from sentryml_notifier.domain.conversation import EDIT_AFTER
from sentryml_notifier.domain.delivery import Outcome, Parked, RetryState, SendResult, TryAgain, decide
from sentryml_notifier.domain.story_text import LIVE
from sentryml_notifier.metrics import CONVERSATION_EDIT_TOTAL
from sentryml_notifier.store import conversations
from sentryml_notifier.store.conversations import Edit

log = get_logger(__name__)

FOR_ALL = (Outcome.RATE_LIMITED, Outcome.CHANNEL_REFUSED)
"""What one edit says about all edits of the channel: they wait."""


@dataclass(frozen=True, slots=True)
class ThreadUpdater:
    """Edits on the channels of the registry that have threads. Clock, randomness and new ids are injected."""

    pool: Pool
    registry: ChannelRegistry
    lease: timedelta
    clock: Clock
    jitter: Callable[[], float]
    new_id: Callable[[], UUID]

    async def run(self) -> None:
        """Edit until cancelled: one edit at a time on each channel, and no channel waits for another."""
        await work_by_channel(self.registry, SlackBot, self._edit_all, "edit")

    async def _edit_all(self, channel: OpenChannel) -> None:
        while await self.edit_one(channel) and self.registry.opened.get(channel.channel_id) is channel:
            pass

    async def edit_one(self, channel: OpenChannel) -> bool:
        """Make the edit that has been due longest on a channel; return whether another can be made at once.

        Raises:
            Unavailable: PostgreSQL is away. What was edited, and could not be noted, is edited again.
        """
        assert isinstance(channel.channel, SlackBot)
        now = self.clock()
        async with transaction(self.pool) as connection:
            edit = await conversations.claim_edit(
                connection, channel.channel_id, self.new_id(), now, now + self.lease
            )  # fmt: skip
            if edit is None:
                return False
            story = await conversations.read_story(connection, edit.conversation.incident_id)
            questions = await conversations.list_questions(connection, edit.conversation)
        result = await channel.attempt(channel.channel.show(edit.conversation, story, questions, plain=edit.plain))
        edited = is_edited_or_lost(result)
        if edited:
            # The newest keeps its buttons while the incident is live.
            over = questions[:-1] if story.last.to.state in LIVE else questions
            async with transaction(self.pool) as connection:
                await conversations.forget_questions(connection, over)
        await self._note(channel, edit, result, story.last.sequence)
        return edited

    async def _note(self, channel: OpenChannel, edit: Edit, result: SendResult, sequence: int) -> None:
        now = self.clock()
        async with transaction(self.pool) as connection:
            if result.outcome is Outcome.DELIVERED:
                await conversations.note_shown(connection, edit, sequence, now + EDIT_AFTER)
            elif result.reason in EDIT_LOST:
                # The next change starts over: one who deleted a message does not want it back for nothing.
                await conversations.forget_conversation(connection, edit.conversation)
            else:
                due_at, plain = self._next(edit, result, now)
                # The channel first: the same order of locks as the consumer.
                if result.outcome in FOR_ALL and due_at is not None:
                    await conversations.pause_edits(connection, channel.channel_id, due_at)
                await conversations.note_not_shown(connection, edit, now, due_at, plain=plain)
        CONVERSATION_EDIT_TOTAL.labels(
            channel=channel.name, outcome=result.outcome.value, reason=result.reason
        ).inc()  # fmt: skip
        level = log.info if result.outcome is Outcome.DELIVERED else log.warning
        level(
            "root_edited" if result.outcome is Outcome.DELIVERED else "root_not_edited",
            channel=channel.name,
            incident_id=str(edit.conversation.incident_id),
            sequence=sequence,
            reason=result.reason,
            text=result.text,
        )

    def _next(self, edit: Edit, result: SendResult, now: datetime) -> tuple[datetime | None, bool]:
        """When the edit is made again, None for not before the next change; and whether as plain text."""
        retry_state = RetryState(edit.failures, edit.failing_since, plain=edit.plain)
        match decide(result, retry_state, now=now, jitter=self.jitter()):
            case TryAgain(at=at, retry_state=after):
                return at, after.plain
            case Parked(at=at) if result.outcome is Outcome.CHANNEL_REFUSED:
                return at, edit.plain
            case _:
                return None, edit.plain
