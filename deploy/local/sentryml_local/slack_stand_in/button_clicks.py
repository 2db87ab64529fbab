"""Somebody presses a button of a message: what Slack sends to the app then, over HTTP or by Socket Mode."""

from __future__ import annotations

import hashlib
import hmac
from typing import Any
from urllib.parse import urlencode

import orjson

from sentryml_local.slack_stand_in.workspace import TEAM, Body, Posted


class NoButton(Exception):
    """The message has no such button."""


def press_payload(message: Posted, user: str, action_id: str) -> Body:
    """The payload of a press.

    Raises:
        NoButton: there is nothing to press.
    """
    button = next((each for each in buttons_of(message) if each.get("action_id") == action_id), None)
    if button is None:
        raise NoButton(action_id)
    container = {"type": "message", "message_ts": message.ts, "channel_id": message.channel, "is_ephemeral": False}
    return {
        "type": "block_actions",
        "api_app_id": "A0SENTRYML",
        "team": {"id": TEAM, "domain": "stand-in"},
        "user": {"id": user, "team_id": TEAM},
        "channel": {"id": message.channel},
        "container": container,
        "message": message.shown(with_metadata=False),
        "actions": [{**button, "block_id": "b1", "action_ts": message.ts}],
    }


def buttons_of(message: Posted) -> list[dict[str, Any]]:
    """The buttons of a message, wherever they are."""
    parts = [message.payload, *message.payload.get("attachments", [])]
    blocks = [block for part in parts for block in part.get("blocks", [])]
    return [each for block in blocks if block.get("type") == "actions" for each in block["elements"]]


def signed(payload: Body, signing_secret: str, now: float) -> tuple[bytes, dict[str, str]]:
    """The body and headers of a press over HTTP, signed as Slack does at the time `now`, epoch seconds."""
    body = urlencode({"payload": orjson.dumps(payload).decode()}).encode()
    time = str(int(now))
    signature = hmac.new(signing_secret.encode(), f"v0:{time}:".encode() + body, hashlib.sha256).hexdigest()
    headers = {
        "Content-Type": "application/x-www-form-urlencoded",
        "X-Slack-Request-Timestamp": time,
        "X-Slack-Signature": f"v0={signature}",
    }
    return body, headers
