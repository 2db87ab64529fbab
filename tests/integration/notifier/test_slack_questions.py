"""The question what long drift is, in Slack: answered with its buttons, and kept up to date."""

from __future__ import annotations

import pytest

from sentryml_local.slack_stand_in.button_clicks import NoButton, press_payload, signed
from sentryml_local.slack_stand_in.page import as_text
from sentryml_local.slack_stand_in.store import Ending
from sentryml_local.slack_stand_in.web_api import ApiScript
from sentryml_local.slack_stand_in.workspace import Posted
from sentryml_notifier.delivery.reminders import remind_of_long_drift
from tests.integration.notifier.slack_office import (
    ACCEPT,
    ACKNOWLEDGE,
    ADA,
    CHANNEL,
    SIGNING,
    WAS_NORMAL,
    Office,
    incidents_pool,
    office,
)

__all__ = ["incidents_pool", "office"]


async def ask(office: Office, *, days: int = 7) -> Posted:
    """Let a week pass, and ask what the drift is; returns the question."""
    office.world.clock.advance(days * 86_400)
    assert await remind_of_long_drift(office.world.pool, office.world.clock, 7) == 1
    await office.relay()
    return office.world.slack.workspace.replies(office.root)[-1]


@pytest.mark.parametrize(("action", "state"), [(ACCEPT, "Closed: new normal"), (WAS_NORMAL, "Closed: was normal")])
async def test_the_question_what_long_drift_is_can_be_answered(office: Office, action: str, state: str) -> None:
    question = await ask(office)
    assert question.broadcast
    assert as_text(question.payload).split("\n")[-3:] == ["[New normal]", "[This was normal]", "[Still a fault]"]
    payload = press_payload(question, ADA, action)
    await office.post(*signed(payload, SIGNING, office.world.clock.now.timestamp()))
    assert "which closed incident #1" in await office.reported()
    await office.relay()
    for message in (office.root, question):
        text = as_text(message.payload)
        assert state in text.split("\n")[0]
        assert "[" not in text
    assert await office.world.pool.fetchval("SELECT count(*) FROM question") == 0


async def test_still_a_fault_acknowledges_and_the_question_can_be_answered_otherwise_later(office: Office) -> None:
    question = await ask(office)
    for count, action in enumerate((ACKNOWLEDGE, WAS_NORMAL), start=1):
        payload = press_payload(question, ADA, action)
        await office.post(*signed(payload, SIGNING, office.world.clock.now.timestamp()))
        await office.reported(count=count)
        await office.relay()
    assert [kind for kind, _ in await office.steps()] == ["opened", "acknowledged", "closed"]


async def test_a_question_that_was_asked_again_loses_its_buttons(office: Office) -> None:
    first = await ask(office)
    second = await ask(office)
    assert "It was asked again since." in as_text(first.payload)
    with pytest.raises(NoButton):
        press_payload(first, ADA, ACCEPT)
    assert press_payload(second, ADA, ACCEPT)


async def test_a_question_that_arrived_without_confirmation_is_kept_up_to_date(office: Office) -> None:
    office.world.slack.api.play(ApiScript(method="chat.postMessage", ending=Ending.RESET, accept=True))
    await ask(office)
    office.world.clock.advance(10)
    await office.relay()
    question = office.world.slack.workspace.replies(office.root)[-1]
    await office.press(action=ACCEPT)
    await office.reported()
    await office.relay()
    assert "[" not in as_text(question.payload)


async def test_a_question_that_was_deleted_keeps_no_edit_from_being_made(office: Office) -> None:
    question = await ask(office)
    office.world.slack.workspace.delete(CHANNEL, question.ts)
    await office.press()
    await office.reported()
    await office.relay()
    assert "acknowledged by ada" in as_text(office.root.payload)
