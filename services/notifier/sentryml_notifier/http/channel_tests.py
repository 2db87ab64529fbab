"""`POST /v1/channels/{id}:test`: one message that is clearly a test, and what became of it in words.

A test has no transition, so it is no delivery: it is kept among the changes, with its outcome.
"""

from __future__ import annotations

from uuid import UUID

from fastapi import APIRouter
from pydantic import ConfigDict, JsonValue

from sentryml_common.contracts.internal.notifier_api import TrialResponse
from sentryml_common.http.problems import Problem, problem_answers
from sentryml_notifier.channel_registry import NotOpened
from sentryml_notifier.channels.base import Outgoing
from sentryml_notifier.domain.change import Action
from sentryml_notifier.domain.channel_tests import NEXT, trial_message, trial_story, what_next
from sentryml_notifier.domain.delivery import Outcome, SendResult
from sentryml_notifier.http.auth import Asker, Tester
from sentryml_notifier.http.channels import UNKNOWN, unknown_channel
from sentryml_notifier.http.context import Context, WithContext
from sentryml_notifier.store.channel_changes import lock_stored_channel, repair_channel
from sentryml_notifier.store.channels import StoredChannel, list_stored_channels, release_waiting

router = APIRouter(prefix="/v1/channels", tags=["channels"])


EXAMPLE: dict[str, JsonValue] = {
    "delivered": True,
    "outcome": "delivered",
    "reason": "ok",
    "text": "Accepted by Slack.",
    "what_next": NEXT[Outcome.DELIVERED],
    "http_status": 200,
}


class TrialView(TrialResponse):
    """The result of a test message."""

    model_config = ConfigDict(json_schema_extra={"examples": [EXAMPLE]})

    outcome: Outcome


@router.post(
    "/{channel_id:uuid}:test",
    responses={**UNKNOWN, **problem_answers((409, "The channel cannot be opened; it says why."))},
)
async def test(context: WithContext, asker: Tester, channel_id: UUID) -> TrialView:
    """Send a test message, also on a broken channel; if it arrives, what waits there is due again."""
    async with context.transaction() as connection:
        found = await list_stored_channels(connection, channel_id)
    if not found:
        raise unknown_channel(channel_id)
    result = await _send(context, asker, found[0])
    await _note(context, asker, found[0], result)
    return TrialView(
        delivered=result.outcome is Outcome.DELIVERED,
        outcome=result.outcome,
        reason=result.reason,
        text=result.text,
        what_next=what_next(result),
        http_status=result.http_status,
    )


async def _send(context: Context, asker: Asker, stored: StoredChannel) -> SendResult:
    try:
        opened = context.channels().open_as(stored)
    except NotOpened as err:
        raise Problem(409, "channel-not-open", str(err)) from err
    now, actor, trial_id = context.clock(), asker.actor, context.new_id()
    message, story = trial_message(stored.name, actor, now), trial_story(trial_id, actor, now)
    return await opened.send(Outgoing(message, story, trial_id, (trial_id,), test=True))


async def _note(context: Context, asker: Asker, tested: StoredChannel, result: SendResult) -> None:
    now, fixed = context.clock(), False
    async with context.transaction() as connection:
        stored = await lock_stored_channel(connection, tested.channel_id)
        if stored is not None and stored.fingerprint == tested.fingerprint and result.outcome is Outcome.DELIVERED:
            fixed = await repair_channel(connection, stored.channel_id)
            if fixed:
                await release_waiting(connection, stored.channel_id, now)
        text = f"{result.outcome.value.replace('_', ' ')}: {result.text}"
        await context.note(connection, asker.actor, Action.TEST_SENT, tested.channel_id, tested.name, text)
    if fixed:
        context.wake()
