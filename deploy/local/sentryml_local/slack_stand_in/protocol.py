"""What Slack answers to a payload posted to an incoming webhook: a pure function, strict where Slack is.

Answers are plain text: 200 `ok`, or a status with a code word. Sources: Slack's reference of incoming webhooks
and of Block Kit; the limits are those that slack_sdk checks before it sends. One is an observation, marked so.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import orjson

BLOCKS_MAX = 50
ATTACHMENTS_MAX = 100
HEADER_CHARACTERS = 150
SECTION_CHARACTERS = 3000
FIELDS_MAX, FIELD_CHARACTERS = 10, 2000
CONTEXT_ELEMENTS_MAX = 10
ACTIONS_MAX = 25
BUTTON_CHARACTERS, BUTTON_URL_CHARACTERS = 75, 3000
CONFIRM_CHARACTERS = {"title": 100, "text": 300, "confirm": 30, "deny": 30}
BLOCK_ID_CHARACTERS = 255
# Observed, not documented: a message whose blocks hold more text than this is refused as a whole.
ALL_BLOCKS_CHARACTERS = 13_200

Json = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Answer:
    """One HTTP answer."""

    status: int
    body: str
    headers: Mapping[str, str] = field(default_factory=dict)


OK = Answer(200, "ok")


class _Refused(Exception):
    """Some part of the payload does not fit: which, for the stand-in's own log, and Slack's code for it."""

    def __init__(self, problem: str, code: str = "invalid_blocks") -> None:
        super().__init__(problem)
        self.code = code


def address_problem(team: str, bot: str, token: str, expected_token: str) -> Answer | None:
    """What Slack answers when the address is wrong; None if it is right."""
    if not (team.startswith("T") and bot.startswith("B")):
        return Answer(404, "no_service")
    if token != expected_token:
        return Answer(403, "invalid_token")
    return None


def read_payload(body: bytes) -> Json | None:
    """The payload as an object, or None if it is not one."""
    try:
        payload = orjson.loads(body)
    except orjson.JSONDecodeError:
        return None
    return payload if isinstance(payload, dict) else None


def answer_to(payload: Json | None) -> tuple[Answer, str]:
    """Slack's answer to a payload, and what was wrong with it as text (empty if nothing was)."""
    try:
        _check_payload(payload)
    except _Refused as err:
        return Answer(400, err.code), str(err)
    return OK, ""


def _check_payload(payload: Json | None) -> None:
    if payload is None:
        raise _Refused("the body is not a JSON object", "invalid_payload")
    text, blocks, attachments = payload.get("text", ""), payload.get("blocks", []), payload.get("attachments", [])
    if not (isinstance(text, str) and isinstance(blocks, list) and isinstance(attachments, list)):
        raise _Refused("text must be a string, blocks and attachments lists", "invalid_payload")
    if not (text.strip() or blocks or attachments):
        raise _Refused("there is neither text nor blocks nor attachments", "no_text")
    if len(attachments) > ATTACHMENTS_MAX:
        raise _Refused(f"{len(attachments)} attachments, at most {ATTACHMENTS_MAX}", "too_many_attachments")
    size = _check_blocks(blocks) + sum(_check_attachment(attachment) for attachment in attachments)
    if size > ALL_BLOCKS_CHARACTERS:
        raise _Refused(f"{size} characters in blocks, at most {ALL_BLOCKS_CHARACTERS}", "msg_blocks_too_long")


def _check_attachment(attachment: Any) -> int:
    _require(isinstance(attachment, dict), "an attachment is not an object")
    blocks = attachment.get("blocks", [])
    _require(isinstance(blocks, list), "an attachment's blocks are not a list")
    return _check_blocks(blocks)


def _check_blocks(blocks: list[Any]) -> int:
    """Return the number of characters in the blocks; raise at the first block that does not fit."""
    _require(len(blocks) <= BLOCKS_MAX, f"{len(blocks)} blocks, at most {BLOCKS_MAX}")
    return sum(_check_block(block, number) for number, block in enumerate(blocks))


def _check_block(block: Any, number: int) -> int:
    kind = block.get("type") if isinstance(block, dict) else None
    check = CHECKS.get(kind) if isinstance(kind, str) else None
    if check is None:
        raise _Refused(f"block {number} has the unknown type {kind!r}")
    block_id = block.get("block_id", "")
    _require(
        isinstance(block_id, str) and len(block_id) <= BLOCK_ID_CHARACTERS, f"block {number}: block_id is too long"
    )
    try:
        return check(block)
    except _Refused as err:
        raise _Refused(f"block {number} ({kind}): {err}") from err


def _check_header(block: Json) -> int:
    return _check_text(block.get("text"), HEADER_CHARACTERS, kinds=("plain_text",))


def _check_section(block: Json) -> int:
    text, fields = block.get("text"), block.get("fields")
    _require(text is not None or bool(fields), "needs text or fields")
    size = 0 if text is None else _check_text(text, SECTION_CHARACTERS)
    if fields is not None:
        _require(isinstance(fields, list) and 1 <= len(fields) <= FIELDS_MAX, f"needs 1 to {FIELDS_MAX} fields")
        size += sum(_check_text(each, FIELD_CHARACTERS) for each in fields)
    return size


def _check_context(block: Json) -> int:
    elements = block.get("elements")
    fits = isinstance(elements, list) and 1 <= len(elements) <= CONTEXT_ELEMENTS_MAX
    _require(fits, f"needs 1 to {CONTEXT_ELEMENTS_MAX} elements")
    return sum(_check_text(each, SECTION_CHARACTERS) for each in elements or [] if _type_of(each) != "image")


def _check_actions(block: Json) -> int:
    elements = block.get("elements")
    _require(isinstance(elements, list) and 1 <= len(elements) <= ACTIONS_MAX, f"needs 1 to {ACTIONS_MAX} elements")
    ids = [each.get("action_id") for each in elements or [] if isinstance(each, dict)]
    _require(len(ids) == len(set(ids)), "action_id is not unique")
    return sum(_check_button(each) for each in elements or [])


def _check_button(element: Any) -> int:
    _require(_type_of(element) == "button", "only buttons are known to the stand-in")
    url = element.get("url", "")
    _require(isinstance(url, str) and len(url) <= BUTTON_URL_CHARACTERS, "a button's url is too long")
    label = element.get("accessibility_label", "")
    _require(isinstance(label, str) and len(label) <= BUTTON_CHARACTERS, "a button's accessibility_label is too long")
    _check_confirm(element.get("confirm"))
    return _check_text(element.get("text"), BUTTON_CHARACTERS, kinds=("plain_text",))


def _check_confirm(confirm: Any) -> None:
    """The dialog before a click counts; it is no part of the message's text."""
    if confirm is None:
        return
    _require(isinstance(confirm, dict), "a confirm is not an object")
    for part, longest in CONFIRM_CHARACTERS.items():
        _check_text(confirm.get(part), longest, kinds=("plain_text",))


def _check_divider(_: Json) -> int:
    return 0


def _check_text(text: Any, longest: int, kinds: tuple[str, ...] = ("plain_text", "mrkdwn")) -> int:
    _require(_type_of(text) in kinds, f"text must be of type {' or '.join(kinds)}")
    content = text.get("text")
    _require(isinstance(content, str) and content != "", "text is empty")
    _require(len(content) <= longest, f"text has {len(content)} characters, at most {longest}")
    return len(content)


def _type_of(element: Any) -> Any:
    return element.get("type") if isinstance(element, dict) else None


def _require(fits: bool, otherwise: str) -> None:
    if not fits:
        raise _Refused(otherwise)


CHECKS: Mapping[str, Callable[[Json], int]] = {
    "header": _check_header,
    "section": _check_section,
    "context": _check_context,
    "actions": _check_actions,
    "divider": _check_divider,
}
