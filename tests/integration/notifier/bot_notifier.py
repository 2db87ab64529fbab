"""A notifier whose only channel is a bot, and what one sees of it in Slack."""

from __future__ import annotations

from typing import Any

import orjson
import pytest

from sentryml_local.slack_stand_in.page import as_text
from sentryml_local.slack_stand_in.web_api import ApiScript
from sentryml_local.slack_stand_in.workspace import Posted
from sentryml_notifier.domain.conversation import EDIT_AFTER
from tests.integration.notifier.conftest import World

CHANNEL = "C0ALERTS"
TICK = EDIT_AFTER.total_seconds()


@pytest.fixture
async def talk(world: World) -> World:
    """A notifier whose only channel is a bot."""
    await world.open_bot()
    return world


def title(posted: Posted) -> str:
    return as_text(posted.payload).split("\n")[0]


def root_of(world: World) -> Posted:
    (root,) = world.slack.workspace.roots(CHANNEL)
    return root


def thread_of(world: World) -> list[str]:
    """The titles of the replies; a mark where one was shown in the channel too."""
    replies = world.slack.workspace.replies(root_of(world))
    return [f"{'📢 ' if each.broadcast else ''}{title(each)}" for each in replies]


def calls(world: World, method: str) -> list[dict[str, Any]]:
    return [each.arguments for each in world.slack.api.calls if each.method == method]


def failing(error: str, method: str | None = None, **more: Any) -> ApiScript:
    return ApiScript(method=method, body=orjson.dumps({"ok": False, "error": error}).decode(), **more)


async def pass_edit_time(world: World) -> None:
    world.clock.advance(TICK)
    await world.edit()


def button_of(posted: Posted) -> dict[str, Any] | None:
    blocks = [each for attachment in posted.payload["attachments"] for each in attachment["blocks"]]
    return next((each["elements"][0] for each in blocks if each["type"] == "actions"), None)
